// The edge's own figures: those of the design's table of limits that are neither a virtual server's nor the protocol's.
// What administrators set per virtual server is in services/policy/virtual_server.h, what the protocol fixes in
// services/smtp/limits.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace gatepost::edge::limits {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// Shares of RLIMIT_NOFILE, in percent. The rest is for the control plane, logs and files.
inline constexpr size_t kClientConnectionsPercent = 70;
inline constexpr size_t kUpstreamConnectionsPercent = 25;

// Levels of overload, in percent of the memory that the edge may have: entered at the first figure, left below the
// second (overload.h). They apply while the edge itself has at least one part in kOwnMemoryShare of it.
inline constexpr unsigned kRefuseFromPercent = 90;
inline constexpr unsigned kRefuseUntilPercent = 85;
inline constexpr unsigned kShedFromPercent = 95;
inline constexpr unsigned kShedUntilPercent = 93;
inline constexpr unsigned kOwnMemoryShare = 8;

// Memory is looked at so often: 5,000 new connections a second of 12 KiB each are 3 MiB in that time.
inline constexpr auto kMemoryLook = 50ms;
// While there is a level, what was freed goes back to the kernel so often: it costs milliseconds of every allocation.
inline constexpr auto kTrimRefusing = 1s;
inline constexpr auto kTrimShedding = 250ms;
// Idle sessions of a worker that end after each of these: one in kShedShare, but no fewer than kShedLeast.
inline constexpr size_t kShedShare = 8;
inline constexpr size_t kShedLeast = 16;

// A client that has been refused, or that we close, gets this long to read our last reply.
inline constexpr auto kLinger = 10s;

// The PROXY header of a connection, where one is required.
inline constexpr auto kProxyHeader = 5s;

// A listener that could not be bound is tried again.
inline constexpr auto kListenerRetry = 5s;

// Each next hop is asked what it can do, at start and then so often.
inline constexpr auto kProbeInterval = 60s;
inline constexpr auto kProbe = 10s;
inline constexpr size_t kProbesAtOnce = 8;

// Streams to the auth service per worker (--auth-streams), exchanges in flight on each, the wait for one answer.
inline constexpr int kAuthStreams = 2;
inline constexpr size_t kExchangesPerStream = 256;
inline constexpr auto kAuthAnswer = 5s;

// Consecutive unanswered exchanges that open a stream's circuit, and how long it stays open before one is tried again:
// a time drawn between these two.
inline constexpr int kCircuitFailures = 5;
inline constexpr auto kCircuitOpenLeast = 1s;
inline constexpr auto kCircuitOpenMost = 2s;

// Long-lived streams are replaced by the edge itself after a time drawn between these two.
inline constexpr auto kStreamLifeLeast = 4min;
inline constexpr auto kStreamLifeMost = 5min;

// Reconnecting: full jitter, the delay is drawn from [0, min(most, least * 2^n)].
inline constexpr auto kBackoffLeast = 200ms;
inline constexpr auto kBackoffMost = 10s;

// A snapshot that the config service has not confirmed for so long is stale: a metric and an alert, never a refusal.
inline constexpr auto kStaleAfter = 5min;

// A unit that comes in parts (`more`) may not grow without bound.
inline constexpr size_t kPartsOfUnit = 65536;

// Drain: what is in flight gets so long; what is past its dot, or in the middle of an answer, gets the longest wait
// that the design lets a client have.
inline constexpr auto kDrain = 60s;
inline constexpr auto kDrainPastDot = 10min;

// A session that waits for an upstream connection to become free looks again so often.
inline constexpr auto kBudgetRetry = 50ms;

// What sessions leave open at next hops for the next session (upstream_pool.h): so many connections to one next hop, and
// in all, per worker; idle for so long (Postfix's own client: 2 s; servers wait for minutes); so old, counted from its
// greeting, and after so many transactions a connection is left to nobody.
inline constexpr size_t kIdlePerNextHop = 16;
inline constexpr size_t kIdleUpstreams = 256;
inline constexpr auto kUpstreamIdle = 2s;
inline constexpr auto kUpstreamAge = 60s;
inline constexpr uint64_t kUpstreamTransactions = 100;
// How long MAIL and the first RCPT are waited for on one that was taken over, whose other end may be gone without a word;
// then they are said on a fresh one.
inline constexpr auto kTakenOverAnswer = 10s;
// Connections are left only while less than this of the budget of upstream connections is taken.
inline constexpr size_t kIdleBudgetPercent = 50;

// How long the next hop's answer to our QUIT is waited for; nothing depends on it.
inline constexpr auto kQuit = 5s;

}  // namespace gatepost::edge::limits
