#include "services/edge/session_log.h"

#include <chrono>
#include <utility>

#include "services/base/strings.h"

namespace gatepost::edge {
namespace {

// As much of an address as the virtual server allows.
std::string_view Shown(std::string_view address, policy::LogAddresses how) {
  switch (how) {
    case policy::LogAddresses::kFull:
      return address;
    case policy::LogAddresses::kDomain: {
      const size_t at = address.rfind('@');
      return at == std::string_view::npos ? std::string_view() : address.substr(at);
    }
    case policy::LogAddresses::kNone:
      return {};
  }
  return {};
}

int64_t Milliseconds(base::Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

SessionLog::SessionLog(base::Log& log, const base::Clock& clock,
                       std::shared_ptr<const VirtualServerRuntime> virtual_server, std::string session,
                       base::Endpoint client)
    : log_(log),
      clock_(clock),
      virtual_server_(std::move(virtual_server)),
      session_(std::move(session)),
      client_(client.ToString()),
      start_(clock.Now()) {
  virtual_server_->metrics().SessionOpened();
}

SessionLog::~SessionLog() {
  const base::Duration took = clock_.Now() - start_;
  virtual_server_->metrics().SessionClosed(end_, took);
  log_.Info("session_end", {{"session", session_},
                            {"virtual_server", virtual_server_->settings().id},
                            {"policy", virtual_server_->settings().revision},
                            {"client", client_},
                            {"end", end_ ? EndName(*end_) : std::string_view("aborted")},
                            {"cipher", cipher_},
                            {"login", login_},
                            {"commands", commands_},
                            {"messages", messages_},
                            {"octets", octets_},
                            {"milliseconds", Milliseconds(took)}});
}

void SessionLog::OnCommand(smtp::Verb verb, int code) {
  ++commands_;
  virtual_server_->metrics().Command(verb, code);
}

void SessionLog::OnVerdict(const policy::Verdict& verdict) {
  virtual_server_->metrics().Verdict(verdict.reason);
  if (verdict.accepted) return;
  const policy::LogAddresses how = virtual_server_->settings().log_addresses;
  log_.Info("refused", {{"session", session_},
                        {"virtual_server", virtual_server_->settings().id},
                        {"client", client_},
                        {"login", Shown(login_, how)},
                        {"policy", virtual_server_->settings().revision},
                        {"reason", policy::ReasonName(verdict.reason)},
                        {"rule", verdict.rule}});
}

void SessionLog::OnAuth(std::string_view mechanism, smtp::AuthOutcome outcome, std::string_view login) {
  virtual_server_->metrics().Auth(mechanism, outcome);
  if (outcome == smtp::AuthOutcome::kSuccess) login_ = login;
  log_.Info("auth", {{"session", session_},
                     {"virtual_server", virtual_server_->settings().id},
                     {"client", client_},
                     {"mechanism", MechanismLabel(mechanism)},
                     {"outcome", OutcomeName(outcome)},
                     {"login", login}});
}

void SessionLog::OnTls(const policy::TlsFacts& tls) {
  cipher_ = tls.cipher;
  virtual_server_->metrics().TlsEstablished(tls);
}

void SessionLog::OnHandshakeFailed(std::string_view why) {
  log_.Info("handshake_failed", {{"session", session_},
                                 {"virtual_server", virtual_server_->settings().id},
                                 {"client", client_},
                                 {"reason", why}});
}

void SessionLog::OnMessage(const smtp::MessageResult& result) {
  virtual_server_->metrics().Message(result);
  if (result.accepted) {
    ++messages_;
    octets_ += result.octets;
  }
  const policy::LogAddresses how = virtual_server_->settings().log_addresses;
  const std::string id = base::StrCat(session_, ".", result.transaction);
  log_.Info("message", {{"session", session_},
                        {"message", id},
                        {"virtual_server", virtual_server_->settings().id},
                        {"client", client_},
                        {"login", Shown(login_, how)},
                        {"sender", Shown(result.sender, how)},
                        {"recipients", result.recipients},
                        {"octets", result.octets},
                        {"accepted", result.accepted},
                        {"in_doubt", result.in_doubt},
                        {"code", result.code},
                        {"text", result.text}});
}

void SessionLog::OnLineIn(std::string_view line) {
  if (!virtual_server_->settings().protocol_log) return;
  log_.Info("line_in", {{"session", session_}, {"line", line}});
}

void SessionLog::OnReplyOut(const smtp::Reply& reply) {
  if (!virtual_server_->settings().protocol_log) return;
  log_.Info("reply_out",
            {{"session", session_}, {"code", reply.code}, {"enhanced", reply.enhanced}, {"text", reply.text}});
}

void SessionLog::OnEnd(smtp::SessionEnd why) {
  end_ = why;
  if (why == smtp::SessionEnd::kTlsFailed) virtual_server_->metrics().TlsFailed();
}

void SessionLog::OnConnect(const smtp::UpstreamOutcome& outcome, base::Duration took) {
  virtual_server_->metrics().UpstreamConnect(outcome, took);
  if (outcome.accepted()) return;
  log_.Warning("upstream_failed", {{"session", session_},
                                   {"virtual_server", virtual_server_->settings().id},
                                   {"outcome", KindName(outcome.kind)},
                                   {"code", outcome.reply.code},
                                   {"detail", outcome.detail}});
}

void SessionLog::OnOpen(int change) { virtual_server_->metrics().UpstreamOpen(change); }

void SessionLog::OnTakenOver(bool good) { virtual_server_->metrics().UpstreamReused(good); }

void SessionLog::OnEndOfData(const smtp::UpstreamOutcome& outcome, base::Duration took) {
  virtual_server_->metrics().EndOfData(outcome, took);
  if (!outcome.in_doubt()) return;
  log_.Warning("in_doubt",
               {{"session", session_}, {"virtual_server", virtual_server_->settings().id}, {"detail", outcome.detail}});
}

void SessionLog::OnMisconfigured(const smtp::UpstreamOutcome& outcome) {
  virtual_server_->metrics().UpstreamMisconfigured();
  log_.Warning("next_hop_misconfigured", {{"session", session_},
                                          {"virtual_server", virtual_server_->settings().id},
                                          {"code", outcome.reply.code},
                                          {"text", outcome.reply.text()},
                                          {"detail", outcome.detail}});
}

void SessionLog::OnAuthAnswer(base::Duration took) { virtual_server_->metrics().AuthAnswer(took); }

}  // namespace gatepost::edge
