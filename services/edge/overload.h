// How near the edge is to the end of its memory, and what it does about it before the kernel does (an OOM kill cuts
// every session; row 26 of the failures). A pure judgement: memory_reader.h measures, overload_guard.h acts.
//
//   level      from   until below   what it means
//   refusing   90 %   85 %          new connections are greeted `421 <fqdn> Too many connections` (under implicit TLS,
//                                   or where a PROXY header comes first, just closed); sessions that exist go on
//   shedding   95 %   93 %          also, idle sessions end with `421 4.3.2 <fqdn> Closing`, longest idle first
//
// Refused rather than left in the accept queue: a client that hears 421 tries the next MX at once, one in the queue
// waits for its time-out, and the queue is the kernel's memory, too. A transaction is never cut.
//
// The lower bounds keep a level from flapping: what one batch of shedding, or one round of malloc_trim(), gives back.
#pragma once

#include <cstdint>
#include <string_view>

namespace gatepost::edge {

enum class OverloadLevel : uint8_t { kNone, kRefusing, kShedding };
// For log lines.
std::string_view LevelName(OverloadLevel level);

// Octets.
struct MemoryUse {
  uint64_t used = 0;   // of what `limit` bounds
  uint64_t limit = 0;  // 0: none is known
  uint64_t own = 0;    // what of it is resident in this process
};

// The level after `before`, now that this is used. Without a limit: none. Neither is there one while less than an
// eighth of the limit is our own: others, in a control group that we share, use the memory up, and to refuse our
// clients would give little of it back.
OverloadLevel Judge(OverloadLevel before, const MemoryUse& use);

}  // namespace gatepost::edge
