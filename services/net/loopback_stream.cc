#include "services/net/loopback_stream.h"

#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

namespace gatepost::net {
namespace {

std::error_code FromErrno(int value) { return {value, std::system_category()}; }

}  // namespace

struct LoopbackStream::Pipe {
  explicit Pipe(const asio::any_io_executor& executor)
      : readable(executor, MonotonicTime::max()), writable(executor, MonotonicTime::max()) {}

  // What may be read now.
  size_t Available() const {
    const uint64_t end = std::min({faults.reset_at, faults.truncate_at, faults.stall_at});
    return static_cast<size_t>(std::min<uint64_t>(octets.size(), end > taken ? end - taken : 0));
  }

  // How reading ends here; no error: it does not, or not yet.
  std::error_code End() const {
    if (taken >= faults.reset_at) return FromErrno(ECONNRESET);
    if (taken >= faults.truncate_at) return StreamError::kTruncated;
    if (taken < faults.stall_at && finished && octets.empty()) return asio::error::eof;
    return {};
  }

  std::string octets;      // written, not yet read
  uint64_t taken = 0;      // read, in all
  bool finished = false;   // the writer has ended
  bool abandoned = false;  // the reader is gone
  LoopbackFaults faults;
  // They never expire; cancelled when there is something to look at.
  asio::steady_timer readable;
  asio::steady_timer writable;
};

LoopbackStream::Pair LoopbackStream::Make(const asio::any_io_executor& executor, const base::Clock& clock, const base::Endpoint& first,
                                          const base::Endpoint& second) {
  auto forth = std::make_shared<Pipe>(executor);
  auto back = std::make_shared<Pipe>(executor);
  return {std::unique_ptr<LoopbackStream>(new LoopbackStream(clock, back, forth, first, second)),
          std::unique_ptr<LoopbackStream>(new LoopbackStream(clock, forth, back, second, first))};
}

LoopbackStream::LoopbackStream(const base::Clock& clock, std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out, const base::Endpoint& local,
                               const base::Endpoint& peer)
    : clock_(clock), in_(std::move(in)), out_(std::move(out)), local_(local), peer_(peer) {}

LoopbackStream::~LoopbackStream() { Close(); }

void LoopbackStream::SetReadFaults(const LoopbackFaults& faults) {
  in_->faults = faults;
  in_->readable.cancel();
  in_->writable.cancel();
}

void LoopbackStream::CheckDeadlines() {
  in_->readable.cancel();
  out_->writable.cancel();
}

asio::awaitable<std::error_code> LoopbackStream::Wait(bool reading) {
  const MonotonicTime deadline = reading ? read_deadline_ : write_deadline_;
  if (deadline <= clock_.Now()) co_return std::make_error_code(std::errc::timed_out);
  if (reading) reading_ = true;
  std::error_code woken;
  asio::steady_timer& event = reading ? in_->readable : out_->writable;
  co_await event.async_wait(asio::redirect_error(asio::use_awaitable, woken));
  if (reading) reading_ = false;
  const bool interrupted = reading && std::exchange(interrupted_, false);
  if (closed_ || interrupted) co_return asio::error::operation_aborted;
  co_return std::error_code();
}

bool LoopbackStream::ReadableNow() { return closed_ || in_->Available() > 0 || in_->End(); }

asio::awaitable<std::error_code> LoopbackStream::WaitReadable() {
  while (!ReadableNow()) {
    const std::error_code error = co_await Wait(true);
    if (error) co_return error;
  }
  co_return std::error_code();
}

asio::awaitable<IoResult> LoopbackStream::ReadSome(std::span<char> space) {
  const std::error_code error = co_await WaitReadable();
  if (error) co_return IoResult{error, 0};
  if (closed_) co_return IoResult{asio::error::bad_descriptor, 0};
  const size_t available = std::min({in_->Available(), space.size(), in_->faults.most_per_read});
  if (available == 0) co_return IoResult{in_->End(), 0};
  std::copy_n(in_->octets.begin(), available, space.begin());
  in_->octets.erase(0, available);
  in_->taken += available;
  in_->writable.cancel();
  co_return IoResult{{}, available};
}

asio::awaitable<std::error_code> LoopbackStream::Write(std::span<const std::string_view> pieces) {
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      if (closed_) co_return asio::error::bad_descriptor;
      if (out_->abandoned || out_->finished) co_return FromErrno(EPIPE);
      const size_t used = out_->octets.size();
      const size_t room = out_->faults.capacity > used ? out_->faults.capacity - used : 0;
      if (room == 0) {
        const std::error_code error = co_await Wait(false);
        if (error) co_return error;
        continue;
      }
      out_->octets.append(piece.substr(0, room));
      piece.remove_prefix(std::min(piece.size(), room));
      out_->readable.cancel();
    }
  }
  co_return std::error_code();
}

void LoopbackStream::Interrupt() {
  if (!reading_) return;
  interrupted_ = true;
  in_->readable.cancel();
}

void LoopbackStream::Close() {
  if (std::exchange(closed_, true)) return;
  out_->finished = true;
  in_->abandoned = true;
  for (asio::steady_timer* event : {&in_->readable, &in_->writable, &out_->readable, &out_->writable}) event->cancel();
}

asio::awaitable<std::error_code> LoopbackStream::ShutdownGracefully(std::string_view last) {
  const std::array<std::string_view, 1> pieces{last};
  const std::error_code error = co_await Write(pieces);
  out_->finished = true;
  out_->readable.cancel();
  co_return error;
}

}  // namespace gatepost::net
