#include "services/edge/overload_guard.h"

#include <malloc.h>

#include <algorithm>
#include <utility>

#include "services/edge/limits.h"

namespace gatepost::edge {
namespace {

base::Duration TrimInterval(OverloadLevel level) {
  return level == OverloadLevel::kShedding ? base::Duration(limits::kTrimShedding) : limits::kTrimRefusing;
}

}  // namespace

OverloadGuard::OverloadGuard(Parts parts) : parts_(std::move(parts)), timer_(parts_.control) {}

void OverloadGuard::Start() {
  const MemoryUse use = parts_.memory.Read();
  parts_.log.Info("memory_limit", {{"limit", use.limit}, {"source", parts_.memory.source()}});
  if (use.limit != 0) Look();
}

void OverloadGuard::Stop() { timer_.cancel(); }

void OverloadGuard::Look() {
  MemoryUse use = parts_.memory.Read();
  OverloadLevel level = Judge(level_, use);
  const bool trims = level != OverloadLevel::kNone && parts_.clock.Now() - trimmed_ >= TrimInterval(level);
  if (trims) {
    // What is free already may be enough; if not, what the last batch has given back is seen before the next one.
    ::malloc_trim(0);
    trimmed_ = parts_.clock.Now();
    use = parts_.memory.Read();
    level = Judge(level_, use);
  }
  if (level != level_) Enter(level, use);
  if (trims && level == OverloadLevel::kShedding) EndIdleSessions();
  parts_.metrics.memory_used.Set(static_cast<double>(use.used));
  parts_.metrics.memory_limit.Set(static_cast<double>(use.limit));
  timer_.expires_after(limits::kMemoryLook);
  timer_.async_wait([this](std::error_code error) {
    if (!error) Look();
  });
}

void OverloadGuard::Enter(OverloadLevel level, const MemoryUse& use) {
  level_ = level;
  parts_.client_budget.Close(level != OverloadLevel::kNone);
  parts_.metrics.overload_level.Set(static_cast<double>(level));
  parts_.log.Warning("overload", {{"level", LevelName(level)}, {"used", use.used}, {"limit", use.limit}});
  parts_.on_level(level);
}

void OverloadGuard::EndIdleSessions() {
  size_t ended = 0;
  for (Worker* worker : parts_.workers) {
    ended += worker->Do(
        [worker] { return worker->EndIdle(std::max(limits::kShedLeast, worker->sessions() / limits::kShedShare)); });
  }
  parts_.metrics.sessions_shed.Increment(static_cast<double>(ended));
}

}  // namespace gatepost::edge
