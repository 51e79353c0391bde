#include "services/auth/sasl_service.h"

#include <atomic>
#include <chrono>
#include <deque>
#include <optional>
#include <utility>
#include <variant>

#include "services/auth/limits.h"
#include "services/auth/user_records.h"
#include "services/base/strings.h"
#include "services/base/wipe.h"
#include "services/rpc/status_details.h"
#include "services/sasl/mechanism.h"

namespace gatepost::auth {
namespace {

using v1::AuthenticateRequest;
using v1::AuthenticateResponse;
using v1::Failure;

constexpr std::string_view kMethod = "gatepost.auth.v1.SaslService.Authenticate";

Failure::Category CategoryOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCredentials:
      return Failure::CREDENTIALS;
    case Outcome::kMalformed:
      return Failure::MALFORMED;
    case Outcome::kMechanism:
      return Failure::MECHANISM;
    case Outcome::kThrottled:
      return Failure::THROTTLED;
    case Outcome::kExpired:
      return Failure::EXPIRED;
    case Outcome::kSuccess:
    case Outcome::kCancelled:
    case Outcome::kUnavailable:
      break;
  }
  return Failure::UNAVAILABLE;
}

}  // namespace

// One stream of one edge, from before it comes. Lock order: Revocations', then the stream's; the service's is never held
// with either.
class SaslServiceImpl::Stream final : public RevocationSink, public std::enable_shared_from_this<Stream> {
 public:
  Stream(SaslServiceImpl& service, rpc::CompletionLoop& loop) : service_(service), loop_(loop) {}

  void Await() {
    context_.AsyncNotifyWhenDone(gone_.Tag(shared_from_this()));
    auto* queue = static_cast<grpc::ServerCompletionQueue*>(loop_.queue());
    service_.RequestAuthenticate(&context_, &stream_, queue, queue, arrived_.Tag(shared_from_this()));
  }

  void OnRevoked(const std::string& user, base::WallTime since) override {
    absl::MutexLock lock(&mutex_);
    if (ending_) return;
    // A login that is being judged may have been judged by what was in force before.
    if (!exchanges_.empty()) revoked_[user] = ++revocations_;
    AuthenticateResponse response;
    response.mutable_revoked()->set_user(user);
    *response.mutable_revoked()->mutable_since() = ToTimestamp(since);
    Send(std::move(response));
  }

  void Drain() {
    absl::MutexLock lock(&mutex_);
    SendDraining();
  }

  void Tick(base::MonotonicTime now, bool other_mechanisms) {
    absl::MutexLock lock(&mutex_);
    if (other_mechanisms) SendMechanisms();
    for (auto entry = exchanges_.begin(); entry != exchanges_.end();) {
      const auto next = std::next(entry);
      if (!entry->second.busy && now - entry->second.waiting_since >= kExchangeIdle)
        Fail(entry, Outcome::kExpired, "idle");
      entry = next;
    }
    EndWhenEmpty();
  }

 private:
  void OnArrived(bool ok) {
    if (!ok) return gone_.Drop();  // The server stops.
    std::make_shared<Stream>(service_, loop_)->Await();
    const absl::Status status = service_.authorizer_.Authorize(context_, kMethod, &call_.caller).status();
    if (!status.ok()) {
      service_.calls_.Record(call_, kMethod, /*allowed=*/false, status);
      absl::MutexLock lock(&mutex_);
      ending_ = finishing_ = true;
      stream_.Finish(rpc::ToGrpcStatus(status), refused_.Tag(shared_from_this()));
      return;
    }
    const bool draining = service_.Keep(shared_from_this());
    service_.metrics_.streams.Add(1);
    service_.revocations_.Add(this);
    absl::MutexLock lock(&mutex_);
    SendMechanisms();
    if (draining) SendDraining();
    if (!ending_) Read();
  }

  void OnRefused(bool /*ok*/) {}

  void OnRead(bool ok) {
    std::optional<Job> job;
    {
      absl::MutexLock lock(&mutex_);
      if (!ok) {
        half_closed_ = true;
        return EndWhenEmpty();
      }
      if (ending_) return;
      job = Take(request_);
      request_.Clear();
    }
    // Without the lock: it may be answered on this thread.
    if (job) Run(*job);
    absl::MutexLock lock(&mutex_);
    if (ending_) return;
    // A peer that does not take its answers is not read from.
    read_waits_ = out_.size() >= kMostUnsent;
    if (!read_waits_) Read();
  }

  void OnWritten(bool ok) {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    out_.pop_front();
    if (!ok) End(grpc::Status(grpc::StatusCode::CANCELLED, "the stream is gone"));
    if (ending_) {
      FinishWhenIdle();
      return;
    }
    WriteNext();
    if (read_waits_ && out_.size() < kMostUnsent) {
      read_waits_ = false;
      Read();
    }
    EndWhenEmpty();
  }

  // The call is over for gRPC: finished, or given up by the edge.
  void OnGone(bool /*ok*/) {
    absl::MutexLock lock(&mutex_);
    End(grpc::Status::CANCELLED);
  }

  void OnFinished(bool /*ok*/) {
    service_.revocations_.Remove(this);
    service_.metrics_.streams.Add(-1);
    service_.calls_.Record(call_, kMethod, /*allowed=*/true, absl::OkStatus());
    service_.Forget(this);
  }

  struct Exchange {
    std::shared_ptr<SaslExchange> machine;
    std::string name;  // Of the mechanism.
    std::string virtual_server, address, session_id;
    bool busy = false;  // Else the client has to answer.
    base::MonotonicTime waiting_since, asked;
    uint64_t began = 0;  // Revocations told before.
    // Set when nobody wants the answer any more; also what tells this exchange from a later one with its id.
    std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
  };
  using Exchanges = std::map<uint64_t, Exchange>;
  // What the machine of an exchange is to be told, without the lock.
  struct Job {
    uint64_t id = 0;
    std::shared_ptr<SaslExchange> machine;
    bool begins = false;
    std::optional<std::string> octets;
    std::shared_ptr<std::atomic<bool>> cancelled;
  };

  std::optional<Job> Take(AuthenticateRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const uint64_t id = request.exchange_id();
    const auto known = exchanges_.find(id);
    switch (request.step_case()) {
      case AuthenticateRequest::kStart:
        if (id == 0 || known != exchanges_.end()) {
          Refuse("an exchange id is 0, or in use");
          return std::nullopt;
        }
        return Start(id, *request.mutable_start());
      case AuthenticateRequest::kResponse: {
        if (known == exchanges_.end()) {
          service_.metrics_.stray.Increment();
          return std::nullopt;
        }
        // Before there was a challenge: the edge is out of step, and so is what its client would be told.
        if (known->second.busy) {
          Fail(known, Outcome::kUnavailable, "out_of_step");
          return std::nullopt;
        }
        return MakeJob(known, /*begins=*/false, std::move(*request.mutable_response()->mutable_data()));
      }
      case AuthenticateRequest::kCancel:
        if (known != exchanges_.end()) Remove(known, Outcome::kCancelled);
        return std::nullopt;
      case AuthenticateRequest::STEP_NOT_SET:
        break;
    }
    Refuse("a message is none of those known here");
    return std::nullopt;
  }

  std::optional<Job> Start(uint64_t id, v1::Start& start) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::unique_ptr<sasl::Mechanism> mechanism = service_.mechanisms_.Make(start);
    if (mechanism == nullptr || exchanges_.size() >= kMostExchanges) {
      const Outcome outcome = mechanism == nullptr ? Outcome::kMechanism : Outcome::kUnavailable;
      service_.metrics_.Ended(start.mechanism(), outcome);
      SendFailure(id, outcome);
      return std::nullopt;
    }
    Exchange exchange;
    // An edge of ours always says who its client is; without an address failures count for nobody's network.
    Client client{.default_domain = start.default_domain(),
                  .address = base::IpAddress::Parse(start.peer().address()).value_or(base::IpAddress()),
                  .certificate = std::move(*start.mutable_peer()->mutable_certificate())};
    exchange.machine = std::make_shared<SaslExchange>(
        service_.judges_, std::move(mechanism), std::move(client),
        std::vector<std::string>(start.token_issuers().begin(), start.token_issuers().end()), exchange.cancelled);
    exchange.name = start.mechanism();
    exchange.virtual_server = start.virtual_server();
    exchange.address = start.peer().address();
    exchange.session_id = start.peer().session_id();
    exchange.began = revocations_;
    const auto entry = exchanges_.emplace(id, std::move(exchange)).first;
    service_.metrics_.exchanges.Add(1);
    std::optional<std::string> initial;
    if (start.has_initial_response()) initial = std::move(*start.mutable_initial_response());
    return MakeJob(entry, /*begins=*/true, std::move(initial));
  }

  Job MakeJob(Exchanges::iterator entry, bool begins, std::optional<std::string> octets)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Exchange& exchange = entry->second;
    exchange.busy = true;
    exchange.asked = service_.clock_.Now();
    return Job{entry->first, exchange.machine, begins, std::move(octets), exchange.cancelled};
  }

  void Run(Job& job) ABSL_LOCKS_EXCLUDED(mutex_) {
    auto done = [self = shared_from_this(), id = job.id, token = job.cancelled](SaslExchange::Answer answer) {
      self->OnAnswer(id, token, std::move(answer));
    };
    if (job.begins) {
      job.machine->Begin(job.octets, std::move(done));
    } else {
      job.machine->Continue(*job.octets, std::move(done));
    }
    // It may hold a password.
    if (job.octets) base::Wipe(&*job.octets);
  }

  void OnAnswer(uint64_t id, const std::shared_ptr<std::atomic<bool>>& token, SaslExchange::Answer answer)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto entry = exchanges_.find(id);
    if (entry == exchanges_.end() || entry->second.cancelled != token) {
      service_.metrics_.stray.Increment();
      return;
    }
    if (auto* challenge = std::get_if<sasl::Challenge>(&answer)) {
      entry->second.busy = false;
      entry->second.waiting_since = service_.clock_.Now();
      AuthenticateResponse response;
      response.set_exchange_id(id);
      response.mutable_challenge()->set_data(std::move(challenge->octets));
      Send(std::move(response));
    } else {
      OnJudged(entry, std::get<Judgement>(answer));
    }
    EndWhenEmpty();
  }

  void OnJudged(Exchanges::iterator entry, Judgement& judgement) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    service_.metrics_.exchange_seconds.Observe(
        std::chrono::duration<double>(service_.clock_.Now() - entry->second.asked).count());
    if (judgement.outcome != Outcome::kSuccess) return Fail(entry, judgement.outcome, judgement.reason, judgement.user);
    if (const auto revoked = revoked_.find(judgement.user);
        revoked != revoked_.end() && revoked->second > entry->second.began) {
      // The edge has been told already: it would take this session for a new one.
      return Fail(entry, Outcome::kUnavailable, "revoked_meanwhile", judgement.user);
    }
    AuthenticateResponse response;
    response.set_exchange_id(entry->first);
    LogEnd(entry->second, Outcome::kSuccess, judgement.user, "", judgement.credential);
    Remove(entry, Outcome::kSuccess);
    v1::Success& success = *response.mutable_success();
    success.set_user(judgement.user);
    success.set_login(judgement.login);
    success.set_may_submit(judgement.may_submit);
    success.set_may_relay(judgement.may_relay);
    for (std::string& group : judgement.groups) success.add_groups(std::move(group));
    for (std::string& address : judgement.addresses) success.add_addresses(std::move(address));
    for (std::string& sender : judgement.senders) success.add_senders(std::move(sender));
    if (judgement.final) success.set_final(*std::move(judgement.final));
    Send(std::move(response));
  }

  void Fail(Exchanges::iterator entry, Outcome outcome, std::string_view reason, std::string_view user = "")
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const uint64_t id = entry->first;
    LogEnd(entry->second, outcome, user, reason);
    Remove(entry, outcome);
    SendFailure(id, outcome);
  }

  // Names that are not a user's are not logged: people type passwords there.
  void LogEnd(const Exchange& exchange, Outcome outcome, std::string_view user, std::string_view reason,
              std::string_view credential = "") const {
    service_.log_.Info("login", {{"outcome", kOutcomeNames[static_cast<size_t>(outcome)]},
                                 {"reason", reason},
                                 {"user", user},
                                 {"credential", credential.substr(credential.rfind('/') + 1)},
                                 {"mechanism", exchange.name},
                                 {"virtual_server", exchange.virtual_server},
                                 {"client", exchange.address},
                                 {"session", exchange.session_id},
                                 {"peer", call_.caller.uri}});
  }

  void Remove(Exchanges::iterator entry, Outcome outcome) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    entry->second.cancelled->store(true);
    service_.metrics_.Ended(entry->second.name, outcome);
    service_.metrics_.exchanges.Add(-1);
    exchanges_.erase(entry);
    if (exchanges_.empty()) revoked_.clear();
  }

  void SendFailure(uint64_t id, Outcome outcome) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    AuthenticateResponse response;
    response.set_exchange_id(id);
    response.mutable_failure()->set_category(CategoryOf(outcome));
    Send(std::move(response));
  }

  void SendMechanisms() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    AuthenticateResponse response;
    for (std::string& name : service_.mechanisms_.names())
      *response.mutable_mechanisms()->add_names() = std::move(name);
    Send(std::move(response));
  }

  void SendDraining() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    AuthenticateResponse response;
    response.mutable_draining();
    Send(std::move(response));
  }

  void Send(AuthenticateResponse response) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (ending_) return;
    out_.push_back(std::move(response));
    WriteNext();
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || ending_ || out_.empty()) return;
    writing_ = true;
    stream_.Write(out_.front(), written_.Tag(shared_from_this()));
  }

  void Read() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { stream_.Read(&request_, read_.Tag(shared_from_this())); }

  // The edge never says this: one of us has another protocol.
  void Refuse(std::string_view why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    service_.log_.Warning("stream_refused", {{"peer", call_.caller.uri}, {"error", why}});
    End(rpc::ToGrpcStatus(rpc::Error(absl::StatusCode::kInvalidArgument, "OUT_OF_PROTOCOL", why)));
  }

  // Half-closed: what is being verified is still answered; what waits for a client never will be.
  void EndWhenEmpty() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!half_closed_ || ending_ || !out_.empty()) return;
    for (const auto& [id, exchange] : exchanges_) {
      if (exchange.busy) return;
    }
    End(grpc::Status::OK);
  }

  void End(grpc::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(ending_, true)) return;
    status_ = std::move(status);
    while (!exchanges_.empty()) Remove(exchanges_.begin(), Outcome::kCancelled);
    FinishWhenIdle();
  }

  // Never while a write is in flight, and nothing is begun after it.
  void FinishWhenIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || std::exchange(finishing_, true)) return;
    stream_.Finish(status_, finished_.Tag(shared_from_this()));
  }

  SaslServiceImpl& service_;
  rpc::CompletionLoop& loop_;
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<AuthenticateResponse, AuthenticateRequest> stream_{&context_};
  rpc::Operation<Stream> arrived_{loop_, &Stream::OnArrived};
  rpc::Operation<Stream> refused_{loop_, &Stream::OnRefused};
  rpc::Operation<Stream> read_{loop_, &Stream::OnRead};
  rpc::Operation<Stream> written_{loop_, &Stream::OnWritten};
  rpc::Operation<Stream> finished_{loop_, &Stream::OnFinished};
  rpc::Operation<Stream> gone_{loop_, &Stream::OnGone};
  rpc::Call call_;  // Known from the arrival on.

  absl::Mutex mutex_;
  AuthenticateRequest request_ ABSL_GUARDED_BY(mutex_);
  std::deque<AuthenticateResponse> out_ ABSL_GUARDED_BY(mutex_);  // The front is being written while writing_.
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool read_waits_ ABSL_GUARDED_BY(mutex_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  Exchanges exchanges_ ABSL_GUARDED_BY(mutex_);
  // Users revoked while exchanges are in flight, with the number of their last revocation.
  uint64_t revocations_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, uint64_t> revoked_ ABSL_GUARDED_BY(mutex_);
};

void SaslServiceImpl::Serve(const std::vector<std::unique_ptr<rpc::CompletionLoop>>& loops) {
  for (const auto& loop : loops) std::make_shared<Stream>(*this, *loop)->Await();
}

bool SaslServiceImpl::Keep(std::shared_ptr<Stream> stream) {
  absl::MutexLock lock(&mutex_);
  Stream* const key = stream.get();
  streams_.emplace(key, std::move(stream));
  return draining_;
}

std::vector<std::shared_ptr<SaslServiceImpl::Stream>> SaslServiceImpl::Streams() const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<Stream>> streams;
  for (const auto& [stream, kept] : streams_) streams.push_back(kept);
  return streams;
}

size_t SaslServiceImpl::streams() const {
  absl::MutexLock lock(&mutex_);
  return streams_.size();
}

void SaslServiceImpl::Forget(Stream* stream) {
  std::shared_ptr<Stream> kept;
  absl::MutexLock lock(&mutex_);
  const auto entry = streams_.find(stream);
  kept = std::move(entry->second);
  streams_.erase(entry);
}

void SaslServiceImpl::Tick() {
  const base::MonotonicTime now = clock_.Now();
  const bool other_mechanisms = mechanisms_.Refresh();
  for (const std::shared_ptr<Stream>& stream : Streams()) stream->Tick(now, other_mechanisms);
}

void SaslServiceImpl::Drain() {
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
  }
  for (const std::shared_ptr<Stream>& stream : Streams()) stream->Drain();
}

}  // namespace gatepost::auth
