#include "services/edge/session_driver.h"

#include <array>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <optional>
#include <utility>
#include <variant>

#include "services/base/check.h"
#include "services/edge/limits.h"
#include "services/smtp/judge.h"
#include "services/smtp/limits.h"

namespace gatepost::edge {
namespace {

// A reply buffer of this size is kept while the session idles.
constexpr size_t kKeptOutput = 1024;

}  // namespace

SessionDriver::SessionDriver(Options options, smtp::SessionOptions session)
    : options_(std::move(options)), session_(std::move(session)) {}

asio::awaitable<void> SessionDriver::Run() {
  smtp::Event event = options_.start;
  bool linger = false;
  for (;;) {
    last_advanced_ = options_.clock->Now();
    smtp::Action action = session_.Advance(last_advanced_, std::move(event));
    if (const auto* close = std::get_if<smtp::Close>(&action)) {
      linger = close->linger;
      break;
    }
    // What a session does most, and where it idles, costs no coroutine more than it needs: each holds memory.
    if (const auto* read = std::get_if<smtp::ReadClient>(&action)) {
      event = co_await Read(*read);
    } else if (!Judge(action, &event)) {
      event = co_await Perform(action);
    }
  }
  exchange_.reset();
  options_.upstream->Leave();
  co_await CloseClient(linger);
  co_await options_.upstream->Quit();
}

bool SessionDriver::Judge(const smtp::Action& action, smtp::Event* event) {
  std::optional<smtp::Judged> judged = smtp::Judge(action, options_.virtual_server->policy());
  if (!judged) return false;
  // A greeting must not be the answer to what was said before it.
  if (std::holds_alternative<smtp::JudgeConnection>(action)) judged->client_acted = options_.client->ReadableNow();
  *event = *std::move(judged);
  return true;
}

asio::awaitable<smtp::Event> SessionDriver::Perform(smtp::Action& action) {
  if (const auto* body = std::get_if<smtp::SendBody>(&action)) {
    co_return smtp::UpstreamDone{co_await options_.upstream->SendBody(body->pieces)};
  }
  if (const auto* finish = std::get_if<smtp::FinishData>(&action)) {
    co_return smtp::UpstreamDone{co_await options_.upstream->Finish(finish->pieces, finish->end_read)};
  }
  if (const auto* open = std::get_if<smtp::OpenTransaction>(&action)) {
    co_return smtp::UpstreamDone{co_await options_.upstream->Open(*open)};
  }
  if (const auto* add = std::get_if<smtp::AddRecipient>(&action)) {
    co_return smtp::UpstreamDone{co_await options_.upstream->AddRecipient(*add)};
  }
  if (const auto* ask = std::get_if<smtp::LookUpClientName>(&action)) {
    const VirtualServerRuntime& server = *options_.virtual_server;
    co_return smtp::ClientNameFound{co_await options_.lookup->FindName(
        ask->client->address, server.settings().reverse_lookup.timeout, server.metrics())};
  }
  if (const auto* ask = std::get_if<smtp::LookUpBlockLists>(&action)) {
    const VirtualServerRuntime& server = *options_.virtual_server;
    const policy::Filters& filters = server.settings().filters;
    co_return smtp::BlockListsAsked{co_await options_.lookup->FindListing(ask->client->address, filters.block_lists,
                                                                          filters.timeout, server.metrics())};
  }
  if (std::get_if<smtp::BeginData>(&action)) {
    co_return smtp::UpstreamDone{co_await options_.upstream->BeginData()};
  }
  if (std::get_if<smtp::ResetUpstream>(&action)) {
    options_.upstream->Reset();
    co_return smtp::Done{};
  }
  if (std::get_if<smtp::DropUpstream>(&action)) {
    options_.upstream->Drop();
    co_return smtp::Done{};
  }
  if (std::get_if<smtp::WriteClient>(&action)) {
    const bool written = co_await Flush();
    if (!written) options_.client->Close();
    co_return smtp::Done{};
  }
  if (const auto* start = std::get_if<smtp::AuthStart>(&action)) co_return co_await Authenticate(*start);
  if (const auto* respond = std::get_if<smtp::AuthRespond>(&action)) co_return co_await Continue(*respond);
  if (std::get_if<smtp::AuthCancel>(&action)) {
    exchange_.reset();
    co_return smtp::Done{};
  }
  if (const auto* delay = std::get_if<smtp::Delay>(&action)) {
    co_await Wait(delay->duration);
    co_return smtp::Done{};
  }
  GATEPOST_CHECK(std::holds_alternative<smtp::StartTls>(action));
  co_return co_await Handshake();
}

asio::awaitable<smtp::Event> SessionDriver::Read(smtp::ReadClient read) {
  const bool written = co_await Flush();
  if (!written) co_return smtp::PeerClosed{};
  interruptible_ = read.between_transactions;
  if (interrupt_ && (interruptible_ || at_once_)) co_return smtp::Interrupt{*interrupt_};

  net::Stream& client = *options_.client;
  client.SetReadDeadline(read.deadline);
  reading_ = true;
  // No buffer is held while the client thinks, or dawdles in the middle of a message.
  std::error_code error = co_await client.WaitReadable();
  if (!error) {
    const std::span<char> space = session_.input().Prepare(read.want);
    const net::IoResult result = co_await client.ReadSome(space);
    session_.input().Commit(result.n);
    error = result.ec;
  }
  reading_ = false;
  if (!error) co_return smtp::BytesRead{};
  if (error == asio::error::operation_aborted && interrupt_) co_return smtp::Interrupt{*interrupt_};
  if (error == std::errc::timed_out) co_return smtp::TimedOut{};
  co_return smtp::PeerClosed{};
}

asio::awaitable<bool> SessionDriver::Flush() {
  std::string& output = session_.output();
  if (output.empty()) co_return true;
  if (!options_.client) co_return false;
  options_.client->SetWriteDeadline(options_.clock->Now() + smtp::limits::kClientWrite);
  const std::array<std::string_view, 1> pieces{output};
  const std::error_code error = co_await options_.client->Write(pieces);
  output.clear();
  if (output.capacity() > kKeptOutput) output.shrink_to_fit();
  co_return !error;
}

asio::awaitable<smtp::Event> SessionDriver::Handshake() {
  const bool written = co_await Flush();
  if (!written) co_return smtp::TlsFailed{};
  const base::MonotonicTime deadline = options_.clock->Now() + smtp::limits::kTlsHandshake;
  TlsAcceptor::Accepted accepted =
      co_await options_.tls->Accept(std::move(options_.client), options_.virtual_server, deadline);
  options_.client = std::move(accepted.stream);
  if (!options_.client) {
    if (options_.log != nullptr) options_.log->OnHandshakeFailed(accepted.error);
    co_return smtp::TlsFailed{};
  }
  co_return smtp::TlsEstablished{std::move(accepted.tls)};
}

asio::awaitable<void> SessionDriver::Wait(base::Duration duration) {
  co_await Flush();
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(duration);
  std::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

asio::awaitable<smtp::Event> SessionDriver::Authenticate(smtp::AuthStart start) {
  if (options_.auth == nullptr) co_return smtp::AuthAnswer{smtp::AuthUnavailable{}};
  const policy::ClientFacts& client = session_.client();
  const AuthContext context{.virtual_server = options_.virtual_server->name(),
                            .default_domain = options_.virtual_server->settings().authentication.default_domain,
                            .session_id = options_.session_id,
                            .address = client.address.ToString(),
                            .port = client.port,
                            .tls = client.tls,
                            .settings = &options_.virtual_server->settings().authentication};
  exchange_ = options_.auth->Begin(context);
  if (!exchange_) co_return smtp::AuthAnswer{smtp::AuthUnavailable{}};
  const base::WallTime began = options_.clock->WallNow();
  const base::MonotonicTime start_time = options_.clock->Now();
  smtp::AuthAnswer answer = co_await exchange_->Start(start.mechanism, start.initial_response);
  if (!std::holds_alternative<smtp::AuthChallenge>(answer.answer)) exchange_.reset();
  authenticated_at_ = began;
  if (options_.log != nullptr) options_.log->OnAuthAnswer(options_.clock->Now() - start_time);
  co_return answer;
}

asio::awaitable<smtp::Event> SessionDriver::Continue(smtp::AuthRespond respond) {
  GATEPOST_CHECK(exchange_ != nullptr);
  smtp::AuthAnswer answer = co_await exchange_->Respond(respond.response);
  if (!std::holds_alternative<smtp::AuthChallenge>(answer.answer)) exchange_.reset();
  co_return answer;
}

asio::awaitable<void> SessionDriver::CloseClient(bool linger) {
  if (!options_.client) co_return;
  if (!linger || options_.linger == base::Duration::zero()) {
    co_await Flush();
    options_.client->Close();
    co_return;
  }
  const std::string& last = session_.output();
  options_.client->SetWriteDeadline(options_.clock->Now() +
                                    (last.empty() ? options_.linger : smtp::limits::kClientWrite));
  const std::error_code unwritten = co_await options_.client->ShutdownGracefully(last);
  if (unwritten) {
    options_.client->Close();
    co_return;
  }
  const base::MonotonicTime deadline = options_.clock->Now() + options_.linger;
  // What the client still sends is read and thrown away: closing over unread octets would reset the connection, and the
  // reset could overtake our last reply.
  options_.client->SetReadDeadline(deadline);
  std::array<char, 512> trash;
  for (;;) {
    const net::IoResult result = co_await options_.client->ReadSome(trash);
    if (result.ec) break;
  }
  options_.client->Close();
}

void SessionDriver::Interrupt(smtp::Interrupt::Reason reason, bool at_once) {
  interrupt_ = reason;
  at_once_ = at_once_ || at_once;
  if (reading_ && (interruptible_ || at_once_)) options_.client->Interrupt();
}

void SessionDriver::Shed() {
  options_.linger = base::Duration::zero();
  Interrupt(smtp::Interrupt::Reason::kClosing, false);
}

}  // namespace gatepost::edge
