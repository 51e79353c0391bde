#include "services/edge/overload.h"

#include "services/edge/limits.h"

namespace gatepost::edge {
namespace {

// Exact, and without overflow.
uint64_t Percent(uint64_t of, unsigned percent) { return of / 100 * percent + of % 100 * percent / 100; }

}  // namespace

std::string_view LevelName(OverloadLevel level) {
  switch (level) {
    case OverloadLevel::kNone:
      return "none";
    case OverloadLevel::kRefusing:
      return "refusing";
    case OverloadLevel::kShedding:
      return "shedding";
  }
  return "unknown";
}

OverloadLevel Judge(OverloadLevel before, const MemoryUse& use) {
  if (use.limit == 0 || use.own < use.limit / limits::kOwnMemoryShare) return OverloadLevel::kNone;
  const auto reached = [&](unsigned percent) { return use.used >= Percent(use.limit, percent); };
  const bool was_shedding = before == OverloadLevel::kShedding;
  const bool was_refusing = before != OverloadLevel::kNone;
  if (reached(was_shedding ? limits::kShedUntilPercent : limits::kShedFromPercent)) return OverloadLevel::kShedding;
  if (reached(was_refusing ? limits::kRefuseUntilPercent : limits::kRefuseFromPercent)) return OverloadLevel::kRefusing;
  return OverloadLevel::kNone;
}

}  // namespace gatepost::edge
