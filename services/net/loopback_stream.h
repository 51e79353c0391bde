// Two Streams joined in memory, for tests: what a network does to a session happens at a chosen octet, and nothing happens by
// itself. No sockets and no timers: a deadline is looked at when an operation begins to wait, and by CheckDeadlines() after the
// test has moved its clock. Runs on any io_context, also one that is polled by hand.
//
// Thread rule: as net::Stream; both ends on one thread. An end may outlive the other.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "services/base/clock.h"
#include "services/net/stream.h"

namespace gatepost::net {

// What happens to the octets that one end reads. Offsets count all that it has read; octets before them arrive.
struct LoopbackFaults {
  static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

  size_t most_per_read = std::numeric_limits<size_t>::max();  // short reads; at least 1
  uint64_t reset_at = kNever;     // then std::errc::connection_reset
  uint64_t truncate_at = kNever;  // then StreamError::kTruncated
  uint64_t stall_at = kNever;     // then nothing, not even the end
  size_t capacity = 64 << 10;     // written and not yet read; a writer waits beyond it
};

class LoopbackStream final : public Stream {
 public:
  using Pair = std::pair<std::unique_ptr<LoopbackStream>, std::unique_ptr<LoopbackStream>>;
  // `clock` outlives both. Each end is the other's peer.
  static Pair Make(const asio::any_io_executor& executor, const base::Clock& clock, const base::Endpoint& first, const base::Endpoint& second);
  ~LoopbackStream() override;

  // For what this end reads from now on.
  void SetReadFaults(const LoopbackFaults& faults);
  // What waits here past its deadline ends with std::errc::timed_out once the io_context runs.
  void CheckDeadlines();

  asio::awaitable<IoResult> ReadSome(std::span<char> space) override;
  asio::awaitable<std::error_code> WaitReadable() override;
  bool ReadableNow() override;
  asio::awaitable<std::error_code> Write(std::span<const std::string_view> pieces) override;
  void SetReadDeadline(MonotonicTime deadline) override { read_deadline_ = deadline; }
  void SetWriteDeadline(MonotonicTime deadline) override { write_deadline_ = deadline; }
  void Interrupt() override;
  void Close() override;
  asio::awaitable<std::error_code> ShutdownGracefully(std::string_view last) override;
  base::Endpoint peer() const override { return peer_; }
  base::Endpoint local() const override { return local_; }

 private:
  struct Pipe;  // one direction, shared by its two ends

  LoopbackStream(const base::Clock& clock, std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out, const base::Endpoint& local,
                 const base::Endpoint& peer);
  asio::awaitable<std::error_code> Wait(bool reading);

  const base::Clock& clock_;
  const std::shared_ptr<Pipe> in_;
  const std::shared_ptr<Pipe> out_;
  const base::Endpoint local_;
  const base::Endpoint peer_;
  MonotonicTime read_deadline_ = MonotonicTime::max();
  MonotonicTime write_deadline_ = MonotonicTime::max();
  bool reading_ = false;
  bool interrupted_ = false;
  bool closed_ = false;
};

}  // namespace gatepost::net
