#include "services/edge/auth_client.h"

#include <utility>

#include "services/base/wipe.h"
#include "services/edge/limits.h"

namespace gatepost::edge {
namespace {

using auth::v1::AuthenticateRequest;
using auth::v1::AuthenticateResponse;
using auth::v1::Failure;

smtp::AuthAnswer Unavailable() { return smtp::AuthAnswer{smtp::AuthUnavailable{}}; }

// The answer of the service in the session's words. Whatever is not known is "cannot say".
smtp::AuthAnswer ToAnswer(AuthenticateResponse& message) {
  switch (message.message_case()) {
    case AuthenticateResponse::kChallenge:
      return smtp::AuthAnswer{smtp::AuthChallenge{std::move(*message.mutable_challenge()->mutable_data())}};
    case AuthenticateResponse::kSuccess: {
      auth::v1::Success& success = *message.mutable_success();
      // A success must say whose; to act as somebody else is not served here.
      if (success.user().empty() || success.login().empty() || !success.authzid().empty()) return Unavailable();
      policy::Identity identity;
      identity.login = std::move(*success.mutable_login());
      identity.user = std::move(*success.mutable_user());
      identity.groups.assign(success.groups().begin(), success.groups().end());
      identity.may_submit = success.may_submit();
      identity.may_relay = success.may_relay();
      identity.addresses.assign(success.addresses().begin(), success.addresses().end());
      identity.senders.assign(success.senders().begin(), success.senders().end());
      smtp::AuthSuccess answer{std::move(identity), std::nullopt};
      if (success.has_final()) answer.final = std::move(*success.mutable_final());
      return smtp::AuthAnswer{std::move(answer)};
    }
    case AuthenticateResponse::kFailure:
      switch (message.failure().category()) {
        case Failure::CREDENTIALS:
          return smtp::AuthAnswer{smtp::AuthFailure{}};
        case Failure::MALFORMED:
          return smtp::AuthAnswer{smtp::AuthMalformed{}};
        default:
          return Unavailable();
      }
    default:
      return Unavailable();
  }
}

auth::v1::Integrated::Binding ToProto(policy::ChannelBinding binding) {
  switch (binding) {
    case policy::ChannelBinding::kOff:
      return auth::v1::Integrated::OFF;
    case policy::ChannelBinding::kWhenSupported:
      return auth::v1::Integrated::WHEN_SUPPORTED;
    case policy::ChannelBinding::kRequired:
      break;
  }
  return auth::v1::Integrated::REQUIRED;
}

// What only some mechanisms need: octets that are not sent cost nothing.
void AddMechanismFacts(std::string_view mechanism, const AuthContext& context, auth::v1::Start* start) {
  const policy::Authentication defaults;
  const policy::Authentication& settings = context.settings == nullptr ? defaults : *context.settings;
  if (mechanism.starts_with("SCRAM-")) {
    start->mutable_channel_binding()->set_tls_exporter(context.tls.exporter);
  } else if (mechanism == "NTLM" || mechanism == "GSSAPI") {
    start->mutable_channel_binding()->set_tls_server_end_point(context.tls.server_end_point);
    auth::v1::Integrated& integrated = *start->mutable_integrated();
    integrated.set_ntlm_target_name(settings.ntlm_target_name);
    integrated.set_ntlm_require_mic(settings.ntlm_require_mic);
    integrated.set_ntlm_binding(ToProto(settings.ntlm_binding));
    integrated.set_gssapi_binding(ToProto(settings.gssapi_binding));
    if (mechanism == "NTLM") return;
    for (const policy::Realm& realm : settings.realms) {
      auth::v1::Realm& added = *integrated.add_realms();
      added.set_realm(realm.realm);
      added.set_domain(realm.domain);
    }
  } else if (mechanism == "OAUTHBEARER" || mechanism == "XOAUTH2") {
    for (const std::string& issuer : settings.token_issuers) start->add_token_issuers(issuer);
  } else if (mechanism == "EXTERNAL" && context.tls.client_certificate != nullptr) {
    auth::v1::Certificate& certificate = *start->mutable_peer()->mutable_certificate();
    certificate.set_sha256(context.tls.client_certificate->sha256);
    for (const std::string& email : context.tls.client_certificate->emails) certificate.add_emails(email);
  }
}

// Passwords and tokens.
void WipeCredentials(AuthenticateRequest& request) {
  if (request.has_response()) base::Wipe(request.mutable_response()->mutable_data());
  if (request.has_start()) base::Wipe(request.mutable_start()->mutable_initial_response());
}

}  // namespace

// One exchange; registered with its line from its Start() to its end.
class AuthClient::Exchange final : public AuthExchange {
 public:
  Exchange(AuthClient& client, std::shared_ptr<Line> line, const AuthContext& context)
      : client_(client), line_(std::move(line)), context_(context), id_(++client.last_id_), answer_(client.executor_) {
    line_->exchanges.emplace(id_, this);
  }

  ~Exchange() override {
    if (!over_ && !lost_) Cancel();
  }

  asio::awaitable<smtp::AuthAnswer> Start(std::string_view mechanism,
                                          std::optional<std::string_view> initial_response) override {
    AuthenticateRequest request;
    auto& start = *request.mutable_start();
    start.set_virtual_server(context_.virtual_server);
    start.set_mechanism(std::string(mechanism));
    if (initial_response) start.mutable_initial_response()->assign(*initial_response);
    start.set_default_domain(context_.default_domain);
    auto& peer = *start.mutable_peer();
    peer.set_address(context_.address);
    peer.set_port(context_.port);
    peer.set_tls(context_.tls.active);
    peer.set_session_id(context_.session_id);
    AddMechanismFacts(mechanism, context_, &start);
    co_return co_await Ask(std::move(request));
  }

  asio::awaitable<smtp::AuthAnswer> Respond(std::string_view response) override {
    AuthenticateRequest request;
    request.mutable_response()->mutable_data()->assign(response);
    co_return co_await Ask(std::move(request));
  }

  void OnAnswer(AuthenticateResponse& message) {
    // An answer that nobody waits for: this exchange is out of step, and nothing that it says counts any more.
    if (!waiting_ || answered_) {
      poisoned_ = true;
      client_.callbacks_.on_stray_answer();
      return;
    }
    answered_ = true;
    answer_.Bring(ToAnswer(message));
  }

  // The line is gone.
  void OnLost() {
    lost_ = true;
    if (waiting_ && !answered_) {
      answered_ = true;
      answer_.Bring(Unavailable());
    }
  }

 private:
  asio::awaitable<smtp::AuthAnswer> Ask(AuthenticateRequest request) {
    if (lost_ || poisoned_ || over_) {
      if (!over_) Cancel();
      co_return Unavailable();
    }
    request.set_exchange_id(id_);
    waiting_ = true;
    answered_ = false;
    line_->stream->Send(std::move(request));
    std::optional<smtp::AuthAnswer> answer = co_await answer_.Wait(client_.clock_.Now() + client_.options_.answer);
    waiting_ = false;
    if (!answer) {
      client_.CountFailure(*line_);
      Cancel();
      co_return Unavailable();
    }
    if (poisoned_) {
      Cancel();
      co_return Unavailable();
    }
    if (!std::holds_alternative<smtp::AuthChallenge>(answer->answer)) {
      over_ = true;
      client_.Forget(*line_, id_);
    }
    co_return *std::move(answer);
  }

  void Cancel() {
    over_ = true;
    AuthenticateRequest request;
    request.set_exchange_id(id_);
    request.mutable_cancel();
    line_->stream->Send(std::move(request));
    client_.Forget(*line_, id_);
  }

  AuthClient& client_;
  const std::shared_ptr<Line> line_;
  const AuthContext context_;
  const uint64_t id_;
  OneShot<smtp::AuthAnswer> answer_;
  bool waiting_ = false;
  bool answered_ = false;
  bool poisoned_ = false;
  bool lost_ = false;
  bool over_ = false;
};

AuthClient::Options AuthClient::Defaults() {
  return {.streams = limits::kAuthStreams,
          .exchanges_per_stream = limits::kExchangesPerStream,
          .answer = limits::kAuthAnswer,
          .life_least = limits::kStreamLifeLeast,
          .life_most = limits::kStreamLifeMost,
          .backoff_least = limits::kBackoffLeast,
          .backoff_most = limits::kBackoffMost,
          .circuit = {.failures = limits::kCircuitFailures,
                      .open_least = limits::kCircuitOpenLeast,
                      .open_most = limits::kCircuitOpenMost}};
}

AuthClient::AuthClient(asio::any_io_executor worker, std::shared_ptr<grpc::Channel> channel, rpc::CompletionLoop& loop,
                       base::Gate& gate, const base::Clock& clock, base::Random& random, Options options,
                       Callbacks callbacks)
    : executor_(std::move(worker)),
      stub_(auth::v1::SaslService::NewStub(std::move(channel))),
      loop_(loop),
      gate_(gate),
      clock_(clock),
      random_(random),
      options_(options),
      callbacks_(std::move(callbacks)) {
  for (int i = 0; i < options_.streams; ++i) {
    slots_.push_back(
        std::make_unique<Slot>(Slot{.current = nullptr,
                                    .successor = nullptr,
                                    .timer = std::make_unique<asio::steady_timer>(executor_),
                                    .backoff = base::Backoff(options_.backoff_least, options_.backoff_most)}));
  }
}

AuthClient::~AuthClient() { Stop(); }

void AuthClient::Start() {
  for (const auto& slot : slots_) Open(*slot);
}

void AuthClient::Stop() {
  if (std::exchange(stopped_, true)) return;
  std::vector<std::shared_ptr<Line>> lines;
  for (const auto& slot : slots_) {
    slot->timer->cancel();
    lines.push_back(std::move(slot->current));
    lines.push_back(std::move(slot->successor));
  }
  for (const std::weak_ptr<Line>& old : retired_) lines.push_back(old.lock());
  for (const std::shared_ptr<Line>& line : lines) {
    if (!line) continue;
    line->ended = true;
    line->stream->Abandon();
    for (const auto& [id, exchange] : line->exchanges) exchange->OnLost();
  }
}

void AuthClient::Open(Slot& slot) {
  if (stopped_ || slot.successor) return;
  base::Gate::Pass pass = gate_.Enter();
  if (!pass) return;
  auto line = std::make_shared<Line>(options_.circuit, random_);
  std::weak_ptr<Line> weak = line;  // The stream belongs to the line, or to its exchanges.
  line->stream = std::make_shared<Stream>(executor_, loop_, std::move(pass),
                                          Stream::Handlers{.on_message =
                                                               [this, &slot, weak](AuthenticateResponse& message) {
                                                                 if (auto strong = weak.lock()) {
                                                                   OnMessage(slot, strong, message);
                                                                 }
                                                               },
                                                           .on_end =
                                                               [this, &slot, weak](const grpc::Status&) {
                                                                 if (auto strong = weak.lock()) OnEnd(slot, strong);
                                                               },
                                                           .on_written = WipeCredentials});
  slot.successor = line;
  line->stream->Start(
      [this](grpc::ClientContext* context, auto* queue) { return stub_->PrepareAsyncAuthenticate(context, queue); });
}

void AuthClient::After(Slot& slot, base::Duration delay) {
  slot.timer->expires_after(delay);
  slot.timer->async_wait([this, &slot](std::error_code error) {
    if (!error) Open(slot);
  });
}

void AuthClient::OnMessage(Slot& slot, const std::shared_ptr<Line>& line, AuthenticateResponse& message) {
  switch (message.message_case()) {
    case AuthenticateResponse::kMechanisms:
      mechanisms_.assign(message.mechanisms().names().begin(), message.mechanisms().names().end());
      if (line == slot.successor) {
        if (slot.current) Retire(slot.current);
        slot.current = std::move(slot.successor);
        slot.current->spoken = true;
        slot.backoff.Reset();
        callbacks_.on_stream(1);
        After(slot, options_.life_least + base::UniformDelay(random_, options_.life_most - options_.life_least));
      }
      return;
    case AuthenticateResponse::kRevoked: {
      const auto& since = message.revoked().since();
      callbacks_.on_revoked(message.revoked().user(),
                            base::WallTime(std::chrono::duration_cast<base::WallTime::duration>(
                                std::chrono::seconds(since.seconds()) + std::chrono::nanoseconds(since.nanos()))));
      return;
    }
    case AuthenticateResponse::kDraining:
      Retire(line);
      if (line == slot.current) After(slot, base::Duration::zero());
      return;
    default:
      OnAnswer(*line, message);
  }
}

void AuthClient::OnAnswer(Line& line, AuthenticateResponse& message) {
  const auto found = line.exchanges.find(message.exchange_id());
  if (found == line.exchanges.end()) {
    callbacks_.on_stray_answer();
    return;
  }
  if (line.circuit.Answered()) callbacks_.on_circuit(-1);
  found->second->OnAnswer(message);
}

void AuthClient::OnEnd(Slot& slot, const std::shared_ptr<Line>& line) {
  line->ended = true;
  if (line->spoken && !line->retiring) callbacks_.on_stream(-1);
  if (line->circuit.open()) callbacks_.on_circuit(-1);
  for (const auto& [id, exchange] : line->exchanges) exchange->OnLost();
  if (stopped_) return;
  if (line == slot.successor) {
    slot.successor.reset();
  } else if (line == slot.current) {
    slot.current.reset();
  } else {
    return;  // It had been replaced.
  }
  if (!slot.successor) After(slot, slot.backoff.Next(random_));
}

void AuthClient::Retire(const std::shared_ptr<Line>& line) {
  if (std::exchange(line->retiring, true)) return;
  if (line->spoken) callbacks_.on_stream(-1);
  std::erase_if(retired_, [](const std::weak_ptr<Line>& old) { return old.expired(); });
  retired_.push_back(line);
  if (line->exchanges.empty()) line->stream->HalfClose();
}

void AuthClient::Forget(Line& line, uint64_t id) {
  line.exchanges.erase(id);
  if (line.retiring && line.exchanges.empty()) line.stream->HalfClose();
}

bool AuthClient::Usable(Line& line) const {
  return line.spoken && !line.retiring && !line.ended && line.exchanges.size() < options_.exchanges_per_stream &&
         line.circuit.Allows(clock_.Now());
}

void AuthClient::CountFailure(Line& line) {
  if (line.circuit.Failed(clock_.Now()) && !line.ended) callbacks_.on_circuit(1);
}

std::unique_ptr<AuthExchange> AuthClient::Begin(const AuthContext& context) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    const std::shared_ptr<Line>& line = slots_[next_slot_++ % slots_.size()]->current;
    if (!line || !Usable(*line)) continue;
    line->circuit.Begin(clock_.Now());
    return std::make_unique<Exchange>(*this, line, context);
  }
  return nullptr;
}

}  // namespace gatepost::edge
