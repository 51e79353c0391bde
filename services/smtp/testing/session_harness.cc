#include "services/smtp/testing/session_harness.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "services/base/check.h"
#include "services/base/strings.h"
#include "services/smtp/judge.h"

namespace gatepost::smtp {

SessionSetup::SessionSetup() {
  settings.id = "test";
  settings.fqdn = "mx.example";
  settings.authentication.anonymous = true;
  settings.local_domains.push_back({"in.example", true});
}

SessionHarness::SessionHarness(SessionSetup setup) : setup_(std::move(setup)) {
  auto server = policy::CompiledVirtualServer::Compile(setup_.settings);
  GATEPOST_CHECK(server.ok());
  server_ = *server;
  SessionOptions options;
  options.virtual_server = server_.get();
  options.next_hop = setup_.next_hop;
  options.servable_mechanisms = setup_.mechanisms;
  options.starttls_available = setup_.starttls_available && !setup_.start.implicit_tls;
  options.session_id = "sid";
  options.client.address = *base::IpAddress::Parse(setup_.address);
  options.random = &random_;
  options.clock = &clock_;
  options.observer = setup_.observer;
  next_hop_.set_extensions(setup_.extensions);
  session_ = std::make_unique<ServerSession>(std::move(options));
}

std::string SessionHarness::Begin() {
  Run(setup_.start);
  return setup_.early.empty() ? TakeOutput() : Send(setup_.early);
}

void SessionHarness::Greet() {
  Begin();
  Send("EHLO client.example\r\n");
}

std::string SessionHarness::Send(std::string_view octets) {
  pending_.erase(0, std::exchange(pending_read_, 0));
  pending_ += octets;
  while (!closed() && unread() > 0) {
    // The session waits in a read; this ends it.
    size_t most = std::min(unread(), std::max<size_t>(reading_.want, 1));
    if (setup_.segment != 0) most = std::min(most, setup_.segment);
    std::span<char> room = session_->input().Prepare(most);
    std::memcpy(room.data(), pending_.data() + pending_read_, most);
    session_->input().Commit(most);
    pending_read_ += most;
    most_input_ = std::max(most_input_, session_->input().capacity());
    Run(BytesRead{});
  }
  return TakeOutput();
}

std::string SessionHarness::TimeOut() {
  clock_.Advance(std::max(base::Duration::zero(), reading_.deadline - clock_.Now()));
  Run(TimedOut{});
  return TakeOutput();
}

std::string SessionHarness::HangUp() {
  Run(PeerClosed{});
  return TakeOutput();
}

std::string SessionHarness::InterruptWith(Interrupt::Reason reason) {
  Run(Interrupt{reason});
  return TakeOutput();
}

std::string SessionHarness::TakeOutput() { return std::exchange(output_, std::string()); }

std::string SessionHarness::upstream_octets() const {
  std::string all;
  for (const UpstreamConnection& connection : upstream()) all += connection.octets;
  return all;
}

// Until the session waits for the client, or closes.
void SessionHarness::Run(Event event) {
  GATEPOST_CHECK(!closed());
  for (;;) {
    Action action = session_->Advance(clock_.Now(), std::move(event));
    most_output_ = std::max(most_output_, session_->output().size());
    output_ += std::exchange(session_->output(), std::string());
    if (const ReadClient* read = std::get_if<ReadClient>(&action)) {
      reading_ = *read;
      return;
    }
    if (const Close* close = std::get_if<Close>(&action)) {
      close_ = *close;
      return;
    }
    event = std::visit(
        [this](const auto& asked) -> Event {
          using Asked = std::decay_t<decltype(asked)>;
          if constexpr (std::is_same_v<Asked, WriteClient>) {
            return Done{};
          } else if constexpr (std::is_same_v<Asked, StartTls>) {
            ++handshakes_;
            // Whatever follows our 220 is no ClientHello here.
            if (setup_.handshake_fails || unread() > 0) return TlsFailed{};
            return TlsEstablished{setup_.tls};
          } else if constexpr (std::is_same_v<Asked, Delay>) {
            delays_.push_back(asked.duration);
            clock_.Advance(asked.duration);
            return Done{};
          } else if constexpr (std::is_same_v<Asked, LookUpClientName>) {
            ++name_lookups_;
            return ClientNameFound{setup_.name};
          } else if constexpr (std::is_same_v<Asked, LookUpBlockLists>) {
            ++block_list_lookups_;
            return BlockListsAsked{setup_.listing};
          } else if constexpr (std::is_same_v<Asked, JudgeConnection> || std::is_same_v<Asked, JudgeMail> ||
                               std::is_same_v<Asked, JudgeRecipient>) {
            Judged judged = *Judge(asked, *server_);
            judged.client_acted = std::is_same_v<Asked, JudgeConnection> && !setup_.early.empty();
            return judged;
          } else if constexpr (std::is_same_v<Asked, AuthCancel>) {
            auth_log_.push_back("CANCEL");
            return Done{};
          } else if constexpr (std::is_same_v<Asked, ReadClient> || std::is_same_v<Asked, Close>) {
            GATEPOST_CHECK(false);
          } else {
            return Answer(asked);
          }
        },
        action);
  }
}

Event SessionHarness::Answer(const AuthStart& start) {
  auth_log_.push_back(base::StrCat("START ", start.mechanism));
  auth_mechanism_ = start.mechanism;
  login_user_.reset();
  if (!start.initial_response) return AuthAnswer{AuthChallenge{"Username:"}};
  return Answer(AuthRespond{*start.initial_response});
}

Event SessionHarness::Answer(const AuthRespond& respond) {
  if (auth_log_.back() != base::StrCat("START ", auth_mechanism_)) auth_log_.push_back("RESPOND");
  if (auth_mechanism_ == "PLAIN") {
    std::vector<std::string_view> parts = base::Split(respond.response, '\0');
    if (parts.size() != 3) return AuthAnswer{AuthMalformed{}};
    return CheckPassword(parts[1], parts[2]);
  }
  if (!login_user_) {
    login_user_ = std::string(respond.response);
    auth_log_.push_back("USER");
    return AuthAnswer{AuthChallenge{"Password:"}};
  }
  return CheckPassword(*login_user_, respond.response);
}

Event SessionHarness::CheckPassword(std::string_view user, std::string_view password) {
  if (password == "junk") return AuthAnswer{AuthMalformed{}};
  if (password == "down") return AuthAnswer{AuthUnavailable{}};
  if (password == "last words") {
    policy::Identity proved;
    proved.login = user;
    return AuthAnswer{AuthSuccess{std::move(proved), "v=signature"}};
  }
  if (password != "good") return AuthAnswer{AuthFailure{}};
  if (setup_.identity) return AuthAnswer{AuthSuccess{*setup_.identity}};
  policy::Identity identity;
  identity.login = user;
  identity.may_submit = user != "nosubmit";
  return AuthAnswer{AuthSuccess{std::move(identity)}};
}

Event SessionHarness::Answer(const OpenTransaction& open) {
  sender_ = open.mail->path.canonical();
  UpstreamOutcome outcome = next_hop_.Open(open);
  recipients_.clear();
  binary_ = open.mail->body == BodyType::kBinaryMime;
  if (outcome.accepted()) recipients_.push_back(open.recipient->path.canonical());
  return UpstreamDone{std::move(outcome)};
}

Event SessionHarness::Answer(const AddRecipient& add) {
  UpstreamOutcome outcome = next_hop_.AddRecipient(add);
  if (outcome.accepted()) recipients_.push_back(add.recipient->path.canonical());
  return UpstreamDone{std::move(outcome)};
}

Event SessionHarness::Answer(const BeginData&) { return UpstreamDone{next_hop_.BeginData()}; }
Event SessionHarness::Answer(const SendBody& send) { return UpstreamDone{next_hop_.SendBody(send.pieces)}; }

Event SessionHarness::Answer(const FinishData& finish) {
  std::string body;
  UpstreamOutcome outcome = next_hop_.FinishData(finish.pieces, &body);
  if (!outcome.accepted()) return UpstreamDone{std::move(outcome)};
  DeliveredMessage message;
  message.sender = sender_;
  message.recipients = recipients_;
  size_t header_end = body.find("+0000\r\n");
  GATEPOST_CHECK(header_end != std::string::npos);
  message.received = body.substr(0, header_end + 7);
  bool line_start = true;
  for (char c : std::string_view(body).substr(header_end + 7)) {
    if (binary_ || !(line_start && c == '.')) message.body += c;
    line_start = c == '\n';
  }
  delivered_.push_back(std::move(message));
  return UpstreamDone{std::move(outcome)};
}

Event SessionHarness::Answer(const ResetUpstream&) {
  next_hop_.Reset();
  return Done{};
}

Event SessionHarness::Answer(const DropUpstream&) {
  next_hop_.Drop();
  return Done{};
}

}  // namespace gatepost::smtp
