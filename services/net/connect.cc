#include "services/net/connect.h"

#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <memory>
#include <utility>

namespace gatepost::net {
namespace {

// Lives as long as the timer's handler: it closes the socket that is still connecting, nothing else.
struct Attempt {
  explicit Attempt(const asio::any_io_executor& executor) : socket(executor), timer(executor) {}
  asio::ip::tcp::socket socket;
  asio::steady_timer timer;
  bool done = false;
  bool timed_out = false;
};

}  // namespace

asio::awaitable<ConnectResult> Connect(base::Endpoint endpoint, base::MonotonicTime deadline) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  auto attempt = std::make_shared<Attempt>(executor);
  attempt->timer.expires_at(deadline);
  attempt->timer.async_wait([attempt](const std::error_code& error) {
    if (error || attempt->done) return;
    attempt->timed_out = true;
    std::error_code ignored;
    attempt->socket.close(ignored);
  });
  std::error_code error;
  const asio::ip::tcp::endpoint target = ToAsio(endpoint);
  co_await attempt->socket.async_connect(target, asio::redirect_error(asio::use_awaitable, error));
  attempt->done = true;
  attempt->timer.cancel();
  ConnectResult result;
  if (attempt->timed_out) {
    result.ec = std::make_error_code(std::errc::timed_out);
  } else if (error) {
    // As an errno: asio's own category knows no std::errc.
    result.ec = std::error_code(error.value(), std::system_category());
  } else {
    std::error_code ignored;
    attempt->socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    result.stream = std::make_unique<TcpStream>(std::move(attempt->socket), endpoint);
  }
  co_return result;
}

}  // namespace gatepost::net
