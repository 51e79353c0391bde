// A value that one coroutine waits for and somebody else on the same io_context brings, once, with a deadline.
//
// Thread rule: one io_context thread. The waiter owns it; whoever brings the value must know that it still exists (the
// auth client forgets an exchange before its OneShot dies).
#pragma once

#include <asio/awaitable.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <optional>
#include <system_error>
#include <utility>

namespace gatepost::edge {

template <typename T>
class OneShot {
 public:
  explicit OneShot(asio::any_io_executor executor) : timer_(std::move(executor)) {}

  void Bring(T value) {
    value_.emplace(std::move(value));
    timer_.cancel();
  }

  // The value, or nothing when the deadline passes first.
  asio::awaitable<std::optional<T>> Wait(std::chrono::steady_clock::time_point deadline) {
    if (!value_) {
      timer_.expires_at(deadline);
      std::error_code ignored;
      co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    std::optional<T> result = std::move(value_);
    value_.reset();
    co_return result;
  }

 private:
  asio::steady_timer timer_;
  std::optional<T> value_;
};

}  // namespace gatepost::edge
