#include "services/edge/upstream.h"

#include <algorithm>
#include <array>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <utility>
#include <variant>

#include "services/base/check.h"
#include "services/base/strings.h"
#include "services/edge/limits.h"

namespace gatepost::edge {
namespace {

using smtp::ClientSession;
using smtp::UpstreamOutcome;

// Enough for any reply that the machine accepts.
constexpr size_t kReadOctets = 4096;

ClientSession::Event ToEvent(std::error_code error, ClientSession::Event good) {
  if (!error) return good;
  return error == std::errc::timed_out ? ClientSession::Event::kTimedOut : ClientSession::Event::kClosed;
}

// An answer to MAIL and RCPT that may be owed to what the connection has seen before (its age, a limit of messages, a
// shutdown that has begun, what the next hop offered then): not the envelope's own. No recipient has been accepted, so
// asking again is safe.
bool NotItsOwn(const UpstreamOutcome& outcome) {
  using Kind = UpstreamOutcome::Kind;
  return outcome.connection_lost() ||
         (outcome.whole_transaction && (outcome.kind == Kind::kRefused || outcome.kind == Kind::kLacksExtension));
}

uint64_t Octets(std::span<const std::string_view> pieces) {
  uint64_t octets = 0;
  for (const std::string_view piece : pieces) octets += piece.size();
  return octets;
}

}  // namespace

Upstream::Upstream(Options options) : options_(std::move(options)) {}

Upstream::~Upstream() { Drop(); }

void Upstream::Drop() {
  CloseStream();
  lease_.Release();
}

void Upstream::CloseStream() {
  if (stream_) {
    stream_->Close();
    stream_.reset();
    if (options_.observer != nullptr) options_.observer->OnOpen(-1);
  }
  client_.reset();
  reset_due_ = false;
}

asio::awaitable<UpstreamOutcome> Upstream::Open(smtp::OpenTransaction transaction) {
  opening_ = options_.clock->Now() + options_.route->timeouts.opening;
  std::optional<UpstreamOutcome> outcome;
  if (connected()) outcome = co_await OpenAgain(transaction);
  if (!outcome) {
    Drop();
    identity_ = transaction.client;
    // Nobody takes over a connection who has to be introduced: it would have to be told of two clients.
    may_take_over_ = options_.pool != nullptr && identity_ == nullptr && !options_.route->proxy_header;
    outcome = co_await OpenOnAnother(transaction);
    if (from_pool_ && !outcome->accepted() && NotItsOwn(*outcome)) {
      if (outcome->connection_lost()) options_.pool->Forget(*options_.route, endpoint_);
      if (connected()) options_.pool->Dismiss(Detach());
      Drop();
      if (options_.observer != nullptr) options_.observer->OnTakenOver(false);
      may_take_over_ = false;
      outcome = co_await OpenOnAnother(transaction);
    } else if (from_pool_ && options_.observer != nullptr) {
      options_.observer->OnTakenOver(true);
    }
    from_pool_ = may_take_over_ = false;
    identity_ = nullptr;
  }
  opening_ = base::MonotonicTime::max();
  co_return *std::move(outcome);
}

asio::awaitable<UpstreamOutcome> Upstream::OpenOnAnother(smtp::OpenTransaction transaction) {
  from_pool_ = false;
  UpstreamOutcome outcome = co_await Connect(opening_);
  if (outcome.accepted()) co_return co_await Drive(Begin(transaction));
  outcome.whole_transaction = true;
  co_return outcome;
}

ClientSession::Action Upstream::Begin(const smtp::OpenTransaction& transaction) {
  return client_->MailAndRcpt(*transaction.mail, *transaction.recipient, transaction.data_follows);
}

asio::awaitable<std::optional<UpstreamOutcome>> Upstream::OpenAgain(smtp::OpenTransaction transaction) {
  // It may have died since the transaction before, or die now: then a new one is as good.
  const std::optional<ClientSession::Event> early = co_await SpokeEarly();
  if (early) co_return std::nullopt;
  if (client_->exhausted()) {
    co_await Quit();
    co_return std::nullopt;
  }
  if (reset_due_) {
    co_await Drive(client_->Reset());
    reset_due_ = false;
  }
  if (connected() && transaction.client != nullptr) co_await Drive(client_->Identify(*transaction.client));
  if (!connected()) co_return std::nullopt;
  UpstreamOutcome outcome = co_await Drive(Begin(transaction));
  if (!connected() && outcome.kind == UpstreamOutcome::Kind::kLost) co_return std::nullopt;
  co_return outcome;
}

asio::awaitable<UpstreamOutcome> Upstream::AddRecipient(smtp::AddRecipient recipient) {
  if (!connected()) co_return UpstreamOutcome::Failed(UpstreamOutcome::Kind::kLost);
  co_return co_await Drive(client_->Rcpt(*recipient.recipient, recipient.data_follows));
}

asio::awaitable<UpstreamOutcome> Upstream::BeginData() {
  if (!connected()) co_return UpstreamOutcome::Failed(UpstreamOutcome::Kind::kLost);
  co_return co_await Drive(client_->BeginData());
}

asio::awaitable<UpstreamOutcome> Upstream::SendBody(std::span<const std::string_view> pieces) {
  if (!connected()) co_return UpstreamOutcome::Failed(UpstreamOutcome::Kind::kLost);
  std::optional<ClientSession::Event> event = co_await SpokeEarly();
  if (!event && client_->by_chunks()) {
    message_ = pieces;
    UpstreamOutcome outcome = co_await Drive(client_->SendChunk(Octets(pieces)));
    message_ = {};
    co_return outcome;
  }
  if (!event) {
    stream_->SetWriteDeadline(options_.clock->Now() + options_.route->timeouts.block);
    const std::error_code error = co_await stream_->Write(pieces);
    if (!error) co_return UpstreamOutcome::Accepted();
    event = ToEvent(error, ClientSession::Event::kWritten);
  }
  UpstreamOutcome outcome = client_->Abort(*event);
  Drop();
  co_return outcome;
}

asio::awaitable<UpstreamOutcome> Upstream::Finish(std::span<const std::string_view> pieces,
                                                  base::MonotonicTime end_read) {
  if (!connected()) co_return UpstreamOutcome::Failed(UpstreamOutcome::Kind::kLost);
  const std::optional<ClientSession::Event> event = co_await SpokeEarly();
  if (event) {
    UpstreamOutcome outcome = client_->Abort(*event);
    Drop();
    co_return outcome;
  }
  end_read_ = end_read;
  message_ = pieces;
  const base::MonotonicTime start = options_.clock->Now();
  UpstreamOutcome outcome = co_await Drive(client_->FinishData(Octets(pieces)));
  message_ = {};
  if (options_.observer != nullptr) options_.observer->OnEndOfData(outcome, options_.clock->Now() - start);
  co_return outcome;
}

UpstreamConnection Upstream::Detach() {
  if (options_.observer != nullptr) options_.observer->OnOpen(-1);
  return {std::move(stream_), std::move(client_), hop_, endpoint_, opened_, std::move(lease_)};
}

void Upstream::Attach(UpstreamConnection connection) {
  if (options_.observer != nullptr) options_.observer->OnOpen(1);
  stream_ = std::move(connection.stream);
  client_ = std::move(connection.conversation);
  hop_ = connection.hop;
  endpoint_ = connection.endpoint;
  opened_ = connection.opened;
  lease_ = std::move(connection.lease);
}

void Upstream::Leave() {
  if (!connected() || options_.pool == nullptr) return;
  UpstreamConnection connection = Detach();
  if (!options_.pool->Leave(options_.route, &connection)) Attach(std::move(connection));
}

asio::awaitable<void> Upstream::Quit() {
  if (!connected()) co_return;
  const std::optional<ClientSession::Event> early = co_await SpokeEarly();
  if (!early) co_await Drive(client_->Quit());
  Drop();
}

asio::awaitable<UpstreamOutcome> Upstream::Connect(base::MonotonicTime deadline) {
  UpstreamOutcome outcome = UpstreamOutcome::Failed(UpstreamOutcome::Kind::kUnreachable, "no next hop is configured");
  const bool admitted = co_await AwaitBudget(deadline);
  if (!admitted) co_return UpstreamOutcome::Failed(UpstreamOutcome::Kind::kNoConnection);
  for (const Route::Hop& hop : options_.route->hops) {
    if (options_.clock->Now() >= deadline) break;
    outcome = co_await ConnectTo(hop, deadline);
    if (outcome.accepted()) co_return outcome;
  }
  lease_.Release();
  co_return outcome;
}

asio::awaitable<UpstreamOutcome> Upstream::ConnectTo(const Route::Hop& hop, base::MonotonicTime deadline) {
  const base::MonotonicTime now = options_.clock->Now();
  Dialer::Addresses found = co_await options_.dialer->Resolve(
      hop.address.host, options_.route->dns_servers, std::min(deadline, now + options_.route->timeouts.connect));
  UpstreamOutcome outcome =
      UpstreamOutcome::Failed(UpstreamOutcome::Kind::kUnreachable, base::StrCat(hop.address.host, ": ", found.error));
  for (const base::IpAddress& address : found.addresses) {
    const base::MonotonicTime start = options_.clock->Now();
    if (start >= deadline) break;
    const base::Endpoint endpoint{address, hop.address.port};
    const bool taken_over = may_take_over_ && co_await TakeOver(hop, endpoint);
    if (taken_over) co_return UpstreamOutcome::Accepted();
    outcome = co_await ConnectToAddress(hop, endpoint, deadline);
    if (options_.observer != nullptr) options_.observer->OnConnect(outcome, options_.clock->Now() - start);
    if (outcome.accepted()) co_return outcome;
    if (!outcome.detail.empty()) {
      outcome.detail = base::StrCat(endpoint.ToString(), ": ", outcome.detail);
    }
  }
  co_return outcome;
}

asio::awaitable<bool> Upstream::TakeOver(const Route::Hop& hop, const base::Endpoint& endpoint) {
  std::optional<UpstreamConnection> left = options_.pool->Take(*options_.route, hop, endpoint);
  if (!left) co_return false;
  Attach(*std::move(left));
  // The last moment to look: what comes from now on is an answer to us.
  const std::optional<ClientSession::Event> early = co_await SpokeEarly();
  if (!early) co_return from_pool_ = true;
  CloseStream();
  options_.pool->Forget(*options_.route, endpoint);
  if (options_.observer != nullptr) options_.observer->OnTakenOver(false);
  co_return false;
}

asio::awaitable<UpstreamOutcome> Upstream::ConnectToAddress(const Route::Hop& hop, base::Endpoint endpoint,
                                                            base::MonotonicTime deadline) {
  const base::MonotonicTime connect = std::min(deadline, options_.clock->Now() + options_.route->timeouts.connect);
  Dialer::Connection connection = co_await options_.dialer->Connect(endpoint, connect);
  if (!connection.stream) {
    co_return UpstreamOutcome::Failed(UpstreamOutcome::Kind::kUnreachable, std::move(connection.error));
  }
  stream_ = std::move(connection.stream);
  if (options_.observer != nullptr) options_.observer->OnOpen(1);
  if (options_.route->proxy_header) {
    const std::error_code error = co_await Introduce(connect);
    if (error) {
      CloseStream();
      co_return UpstreamOutcome::Failed(UpstreamOutcome::Kind::kUnreachable, error.message());
    }
  }
  ClientSession::Options session{.client_name = options_.route->client_name, .require_tls = hop.tls != nullptr};
  if (identity_ != nullptr) session.identity = *identity_;
  client_ = std::make_unique<ClientSession>(std::move(session));
  hop_ = &hop;
  endpoint_ = endpoint;
  opened_ = options_.clock->Now();
  opening_ = deadline;
  Budget::Lease lease = std::move(lease_);  // It stays ours while the addresses are tried.
  UpstreamOutcome outcome = co_await Drive(client_->Connect());
  lease_ = std::move(lease);
  if (outcome.accepted()) {
    hop.state->Learn(client_->offered());
  } else {
    CloseStream();
  }
  co_return outcome;
}

asio::awaitable<std::error_code> Upstream::Introduce(base::MonotonicTime deadline) {
  const std::string header = options_.client ? net::WriteProxyHeader(*options_.client) : net::WriteLocalProxyHeader();
  const std::array<std::string_view, 1> pieces{header};
  stream_->SetWriteDeadline(deadline);
  co_return co_await stream_->Write(pieces);
}

asio::awaitable<bool> Upstream::AwaitBudget(base::MonotonicTime deadline) {
  if (lease_) co_return true;
  lease_ = options_.budget->TryAcquire();
  // What idles yields to who works.
  if (!lease_ && options_.pool != nullptr && options_.pool->CloseOldest()) lease_ = options_.budget->TryAcquire();
  if (lease_) co_return true;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (!lease_ && options_.clock->Now() < deadline) {
    timer.expires_after(limits::kBudgetRetry);
    std::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    lease_ = options_.budget->TryAcquire();
  }
  co_return static_cast<bool>(lease_);
}

asio::awaitable<UpstreamOutcome> Upstream::Drive(ClientSession::Action action) {
  for (;;) {
    ClientSession::Event event = ClientSession::Event::kClosed;
    if (auto* finished = std::get_if<ClientSession::Finished>(&action)) {
      UpstreamOutcome outcome = std::move(finished->outcome);
      if (outcome.misconfigured() && options_.observer != nullptr) options_.observer->OnMisconfigured(outcome);
      if (!client_->usable()) Drop();
      co_return outcome;
    }
    if (const auto* write = std::get_if<ClientSession::Write>(&action)) {
      event = co_await Write(*write);
    } else if (const auto* read = std::get_if<ClientSession::Read>(&action)) {
      stream_->SetReadDeadline(Deadline(read->wait));
      const std::span<char> space = client_->input().Prepare(kReadOctets);
      const net::IoResult result = co_await stream_->ReadSome(space);
      client_->input().Commit(result.n);
      event = ToEvent(result.ec, ClientSession::Event::kBytesRead);
    } else {
      GATEPOST_CHECK(std::holds_alternative<ClientSession::StartTls>(action));
      const base::MonotonicTime deadline = Deadline(ClientSession::Wait::kStartTls);
      Dialer::Connection secured =
          co_await options_.dialer->Secure(std::move(stream_), hop_->tls, hop_->address.host, deadline);
      stream_ = std::move(secured.stream);
      event = stream_ ? ClientSession::Event::kTlsEstablished : ClientSession::Event::kTlsFailed;
      if (!stream_ && options_.observer != nullptr) options_.observer->OnOpen(-1);
    }
    action = client_->Advance(event);
  }
}

asio::awaitable<ClientSession::Event> Upstream::Write(ClientSession::Write write) {
  using Message = ClientSession::Write::Message;
  stream_->SetWriteDeadline(Deadline(write.wait));
  std::array<std::string_view, 3> pieces;
  size_t count = 0;
  const auto add_message = [&] {
    GATEPOST_CHECK(message_.size() < pieces.size());
    for (const std::string_view piece : message_) {
      if (!piece.empty()) pieces[count++] = piece;
    }
  };
  if (write.message == Message::kBefore) add_message();
  pieces[count++] = write.octets;
  if (write.message == Message::kBehind) add_message();
  const std::error_code error = co_await stream_->Write(std::span(pieces).first(count));
  co_return ToEvent(error, ClientSession::Event::kWritten);
}

base::MonotonicTime Upstream::Deadline(ClientSession::Wait wait) const {
  const policy::DeliveryTimeouts& timeouts = options_.route->timeouts;
  const base::MonotonicTime now = options_.clock->Now();
  switch (wait) {
    case ClientSession::Wait::kGreeting:
    case ClientSession::Wait::kHello:
    case ClientSession::Wait::kStartTls:
      return std::min(opening_, now + timeouts.greeting);
    case ClientSession::Wait::kEnvelope:
      // One that was taken over may be one whose other end is gone without a word.
      return std::min(opening_, now + (from_pool_ ? std::min<base::Duration>(timeouts.command, limits::kTakenOverAnswer) : timeouts.command));
    case ClientSession::Wait::kData:
      return now + timeouts.data;
    case ClientSession::Wait::kChunk:
      return now + timeouts.block;
    case ClientSession::Wait::kVerdict:
      return end_read_ + timeouts.final;
    case ClientSession::Wait::kReset:
      return std::min(opening_, now + timeouts.greeting);
    case ClientSession::Wait::kQuit:
      return now + limits::kQuit;
  }
  return now;
}

asio::awaitable<std::optional<ClientSession::Event>> Upstream::SpokeEarly() {
  if (!client_->input().empty()) co_return ClientSession::Event::kBytesRead;
  if (!stream_->ReadableNow()) co_return std::nullopt;
  stream_->SetReadDeadline(options_.clock->Now());  // What is there, and no waiting.
  const std::span<char> space = client_->input().Prepare(kReadOctets);
  const net::IoResult result = co_await stream_->ReadSome(space);
  client_->input().Commit(result.n);
  if (result.ec == std::errc::timed_out) co_return std::nullopt;  // TLS had its own affairs to talk about.
  co_return ToEvent(result.ec, ClientSession::Event::kBytesRead);
}

}  // namespace gatepost::edge
