#include "services/net/listener.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/ip/v6_only.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <utility>

#include "services/base/strings.h"
#include "services/net/tcp_stream.h"

namespace gatepost::net {
namespace {

using asio::ip::tcp;

constexpr int kBacklog = 4096;
constexpr std::chrono::milliseconds kFirstPause{100};
constexpr std::chrono::milliseconds kLongestPause{1000};

absl::Status Failed(const base::Endpoint& endpoint, const std::error_code& error) {
  return absl::UnavailableError(base::ToAbsl(base::StrCat("listening on ", endpoint.ToString(), ": ", error.message())));
}

std::error_code Bind(tcp::acceptor& acceptor, const base::Endpoint& endpoint, bool reuse_port) {
  const tcp::endpoint target = ToAsio(endpoint);
  std::error_code error;
  acceptor.open(target.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && endpoint.address.is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error && reuse_port) {
    const int one = 1;
    if (setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0) error = {errno, std::system_category()};
  }
  if (!error) acceptor.bind(target, error);
  return error;
}

}  // namespace

absl::Status ProbeExclusive(const base::Endpoint& endpoint) {
  asio::io_context context(1);
  tcp::acceptor acceptor(context);
  std::error_code error = Bind(acceptor, endpoint, false);
  // Two sockets may bind one address with SO_REUSEADDR as long as none listens: only listening tells.
  if (!error) acceptor.listen(1, error);
  return error ? Failed(endpoint, error) : absl::OkStatus();
}

struct Listener::State {
  explicit State(asio::io_context& context) : acceptor(context), pause(context) { Reserve(); }
  ~State() { Release(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void Reserve() {
    if (reserve < 0) reserve = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  void Release() {
    if (reserve >= 0) ::close(std::exchange(reserve, -1));
  }

  // The first in the queue learns at once that it cannot be served, rather than by a time-out.
  void TurnOneAway() {
    Release();
    const int accepted = ::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted >= 0) ::close(accepted);
    Reserve();
  }

  tcp::acceptor acceptor;
  asio::steady_timer pause;
  OnAccept on_accept;
  base::Endpoint bound;
  bool closed = false;
  uint64_t exhausted = 0;
  int reserve = -1;  // a descriptor for the time when there are none
};

Listener::Listener(std::shared_ptr<State> state) : state_(std::move(state)) {}

Listener::~Listener() { Close(); }

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(asio::io_context& context, const base::Endpoint& endpoint) {
  auto state = std::make_shared<State>(context);
  std::error_code error = Bind(state->acceptor, endpoint, true);
  if (!error) state->acceptor.listen(kBacklog, error);
  if (!error) state->acceptor.non_blocking(true, error);
  if (!error) state->acceptor.set_option(tcp::no_delay(true), error);  // accepted connections inherit it
  if (error) return Failed(endpoint, error);
  state->bound = ToEndpoint(state->acceptor.local_endpoint(error));
  return std::unique_ptr<Listener>(new Listener(std::move(state)));
}

void Listener::Start(OnAccept on_accept) {
  state_->on_accept = std::move(on_accept);
  Launch(state_);
}

void Listener::Launch(const std::shared_ptr<State>& state, bool again) {
  // A loop that ended by an exception, for want of memory, begins anew after a pause: a worker that accepts no more would
  // keep its share of the connections waiting. If even that fails the exception goes on and ends the process.
  asio::co_spawn(state->acceptor.get_executor(), Run(state, again), [state](const std::exception_ptr& failed) {
    if (failed && !state->closed) Launch(state, /*again=*/true);
  });
}

asio::awaitable<void> Listener::Run(std::shared_ptr<State> state, bool pause) {
  if (pause) {
    std::error_code ignored;
    state->pause.expires_after(kFirstPause);
    co_await state->pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  std::chrono::milliseconds wait = kFirstPause;
  while (!state->closed) {
    std::error_code error;
    tcp::endpoint peer;
    tcp::socket socket = co_await state->acceptor.async_accept(peer, asio::redirect_error(asio::use_awaitable, error));
    if (state->closed) co_return;
    if (!error) {
      wait = kFirstPause;
      state->on_accept(std::move(socket), ToEndpoint(peer));
      continue;
    }
    const int code = error.category() == std::system_category() || error.category() == asio::error::get_system_category() ? error.value() : 0;
    if (code == ECONNABORTED || code == EPROTO) continue;  // the client gave up before we came
    // Whatever else it is, it is not over at once: trying again without a pause would spin.
    if (code == EMFILE || code == ENFILE) state->TurnOneAway();
    ++state->exhausted;
    state->pause.expires_after(wait);
    wait = std::min(wait * 2, kLongestPause);
    co_await state->pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

void Listener::Close() {
  if (std::exchange(state_->closed, true)) return;
  if (state_->on_accept) {
    // Connections that the kernel has completed are sessions already: they get their 421 rather than a reset.
    for (int i = 0; i < kBacklog; ++i) {
      tcp::endpoint peer;
      auto size = static_cast<socklen_t>(peer.capacity());
      const int accepted = ::accept4(state_->acceptor.native_handle(), peer.data(), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (accepted < 0) break;
      tcp::socket socket(state_->acceptor.get_executor());
      std::error_code error;
      socket.assign(state_->bound.address.is_v4() ? tcp::v4() : tcp::v6(), accepted, error);
      if (error) {
        ::close(accepted);
        continue;
      }
      state_->on_accept(std::move(socket), ToEndpoint(peer));
    }
  }
  std::error_code ignored;
  state_->acceptor.close(ignored);
  state_->Release();
  state_->pause.cancel();
}

base::Endpoint Listener::endpoint() const { return state_->bound; }

uint64_t Listener::exhausted() const { return state_->exhausted; }

}  // namespace gatepost::net
