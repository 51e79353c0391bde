// The log: one JSON line per event on standard output, for machines first.
//   log.Info("session_end", {{"session", id}, {"messages", 2}});
//   {"time":"2026-11-24T11:03:47.123Z","level":"info","event":"session_end","session":"...","messages":2}
// Every value is escaped (control octets, invalid UTF-8, U+2028, U+2029) and cut at 1,024 octets, so that nothing a peer sent can
// forge or break a line. A slow or full output drops lines and counts them; it never blocks who logs. Secrets are the caller's
// duty: they are not passed here. Thread-safe. Passed down from main(), no singleton.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "services/base/clock.h"

namespace gatepost::base {

// One "name": value. The name is ours: lower case with underscores.
class LogField {
 public:
  LogField(std::string_view name, std::string_view text) : name_(name), text_(text) {}
  LogField(std::string_view name, const char* text) : name_(name), text_(text) {}
  LogField(std::string_view name, const std::string& text) : name_(name), text_(text) {}
  template <std::same_as<bool> T>
  LogField(std::string_view name, T value) : name_(name), kind_(Kind::kBool), number_(value ? 1 : 0) {}
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  LogField(std::string_view name, T number) : name_(name), kind_(Kind::kInteger), number_(static_cast<int64_t>(number)) {}
  template <std::floating_point T>
  LogField(std::string_view name, T number) : name_(name), kind_(Kind::kReal), real_(number) {}

  void AppendTo(std::string* line) const;

 private:
  enum class Kind { kText, kInteger, kReal, kBool };
  std::string_view name_;
  Kind kind_ = Kind::kText;
  std::string_view text_;
  int64_t number_ = 0;
  double real_ = 0;
};

// `text` as the inside of a JSON string, cut at `most` octets of input (at a character's border, "..." behind it).
void AppendJsonEscaped(std::string_view text, std::string* out, size_t most = 1024);

class Log {
 public:
  struct Options {
    // Written to by one thread of the log's own.
    int fd = 1;
    // Lines that wait for a slow output, in octets; beyond it they are dropped.
    size_t queue_octets = 4 << 20;
    bool debug = false;
  };

  explicit Log(const Clock& clock) : Log(clock, Options()) {}
  Log(const Clock& clock, Options options);
  // Writes what waits, for a second at most.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void Debug(std::string_view event, std::initializer_list<LogField> fields) { Write("debug", event, fields.begin(), fields.size()); }
  void Info(std::string_view event, std::initializer_list<LogField> fields) { Write("info", event, fields.begin(), fields.size()); }
  void Warning(std::string_view event, std::initializer_list<LogField> fields) { Write("warning", event, fields.begin(), fields.size()); }
  void Error(std::string_view event, std::initializer_list<LogField> fields) { Write("error", event, fields.begin(), fields.size()); }
  void Info(std::string_view event, const std::vector<LogField>& fields) { Write("info", event, fields.data(), fields.size()); }
  void Warning(std::string_view event, const std::vector<LogField>& fields) { Write("warning", event, fields.data(), fields.size()); }

  // Lines dropped so far.
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  void Write(std::string_view level, std::string_view event, const LogField* fields, size_t count);
  void Run();
  // False: the output is gone or the destructor's second has passed.
  bool WriteAll(std::string_view octets);

  const Clock& clock_;
  const Options options_;
  std::atomic<uint64_t> dropped_{0};
  std::atomic<bool> stopping_{false};
  absl::Mutex mutex_;
  std::string waiting_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  MonotonicTime give_up_{};  // set before stopping_
  std::thread writer_;
};

}  // namespace gatepost::base
