#include "services/base/log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>

#include "services/base/strings.h"

namespace gatepost::base {
namespace {

// How long lines are gathered for one write.
constexpr std::chrono::milliseconds kBatch{10};

// How many octets at the front stand for themselves in a JSON string.
size_t PlainLength(std::string_view text) {
  size_t i = 0;
  while (i < text.size() && text[i] >= 0x20 && text[i] < 0x7f && text[i] != '"' && text[i] != '\\') ++i;
  return i;
}

// How many octets the well-formed character at the front takes; 0: it is not well-formed.
size_t CharacterLength(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return 1;
  const size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return length <= text.size() && IsValidUtf8(text.substr(0, length)) ? length : 0;
}

}  // namespace

void AppendJsonEscaped(std::string_view text, std::string* out, size_t most) {
  static constexpr char kDigits[] = "0123456789abcdef";
  size_t used = 0;
  while (!text.empty()) {
    // Nearly all that is logged is itself.
    const size_t plain = PlainLength(text.substr(0, most - used));
    out->append(text.substr(0, plain));
    text.remove_prefix(plain);
    used += plain;
    if (text.empty()) return;
    const size_t length = CharacterLength(text);
    const size_t step = std::max<size_t>(length, 1);
    if (used + step > most) {
      out->append("...");
      return;
    }
    const auto octet = static_cast<uint8_t>(text[0]);
    if (length == 0) {
      // Not UTF-8: shown as \xNN, by its octet.
      out->append("\\\\x");
      out->push_back(kDigits[octet >> 4]);
      out->push_back(kDigits[octet & 15]);
    } else if (octet == '"' || octet == '\\') {
      out->push_back('\\');
      out->push_back(text[0]);
    } else if (octet < 0x20 || octet == 0x7f) {
      out->append("\\u00");
      out->push_back(kDigits[octet >> 4]);
      out->push_back(kDigits[octet & 15]);
    } else if (length == 2 && octet == 0xc2 && static_cast<uint8_t>(text[1]) < 0xa0) {
      out->append("\\u00");  // C1 controls
      out->push_back(kDigits[static_cast<uint8_t>(text[1]) >> 4]);
      out->push_back(kDigits[static_cast<uint8_t>(text[1]) & 15]);
    } else if (text.substr(0, length) == "\xe2\x80\xa8") {
      out->append("\\u2028");
    } else if (text.substr(0, length) == "\xe2\x80\xa9") {
      out->append("\\u2029");
    } else {
      out->append(text.substr(0, length));
    }
    text.remove_prefix(step);
    used += step;
  }
}

void LogField::AppendTo(std::string* line) const {
  StrAppend(line, ",\"", name_, "\":");
  switch (kind_) {
    case Kind::kText:
      line->push_back('"');
      AppendJsonEscaped(text_, line);
      line->push_back('"');
      break;
    case Kind::kInteger:
      line->append(std::to_string(number_));
      break;
    case Kind::kReal: {
      char text[40];
      std::snprintf(text, sizeof text, "%.6g", std::isfinite(real_) ? real_ : 0.0);
      line->append(text);
      break;
    }
    case Kind::kBool:
      line->append(number_ != 0 ? "true" : "false");
      break;
  }
}

Log::Log(const Clock& clock, Options options) : clock_(clock), options_(options), writer_([this] { Run(); }) {}

Log::~Log() {
  give_up_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  stopping_.store(true, std::memory_order_release);
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  writer_.join();
}

void Log::Write(std::string_view level, std::string_view event, const LogField* fields, size_t count) {
  if (level == "debug" && !options_.debug) return;
  std::string line =
      StrCat("{\"time\":\"", FormatRfc3339(clock_.WallNow()), "\",\"level\":\"", level, "\",\"event\":\"", event, "\"");
  for (size_t i = 0; i < count; ++i) fields[i].AppendTo(&line);
  line.append("}\n");
  absl::MutexLock lock(&mutex_);
  if (waiting_.size() + line.size() > options_.queue_octets) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  waiting_.append(line);
}

void Log::Run() {
  std::string taken;
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(
          +[](Log* log) ABSL_EXCLUSIVE_LOCKS_REQUIRED(log->mutex_) { return log->stop_ || !log->waiting_.empty(); },
          this));
      if (waiting_.empty()) return;
    }
    // Lines that come within a moment leave in one write: a wake-up and a system call for each would cost more than the
    // line itself (performance.md). Not a timed wait on the mutex: see bell.h.
    if (!stopping_.load(std::memory_order_acquire)) std::this_thread::sleep_for(kBatch);
    {
      absl::MutexLock lock(&mutex_);
      taken.swap(waiting_);
    }
    if (!WriteAll(taken)) {
      dropped_.fetch_add(static_cast<uint64_t>(std::count(taken.begin(), taken.end(), '\n')),
                         std::memory_order_relaxed);
      if (stopping_.load(std::memory_order_acquire)) return;
    }
    taken.clear();
  }
}

bool Log::WriteAll(std::string_view octets) {
  while (!octets.empty()) {
    // Waits in slices, so that a blocked output does not keep the program from ending.
    pollfd descriptor{options_.fd, POLLOUT, 0};
    const int ready = poll(&descriptor, 1, 100);
    // Also when the output takes a little now and then.
    if (stopping_.load(std::memory_order_acquire) && std::chrono::steady_clock::now() > give_up_) return false;
    if (ready <= 0) continue;
    // A pipe is written at most PIPE_BUF at a time: what poll() calls writable takes that much without blocking.
    const ssize_t n = write(options_.fd, octets.data(), std::min<size_t>(octets.size(), 4096));
    if (n >= 0) {
      octets.remove_prefix(static_cast<size_t>(n));
    } else if (errno != EINTR && errno != EAGAIN) {
      return false;
    }
  }
  return true;
}

}  // namespace gatepost::base
