#include "services/auth/throttle_ledger.h"

#include <nettle/hmac.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "services/auth/old_records.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

constexpr std::string_view kFailures = "failures/";
constexpr std::string_view kKnown = "known/";
constexpr std::chrono::milliseconds kExchangeEvery{250};
constexpr base::Duration kCleanEvery = std::chrono::hours(1);
constexpr std::chrono::hours kKnownTime{30 * 24};
// A known pair's record is written again when it is older than this.
constexpr std::chrono::hours kKnownFresh{24};
constexpr size_t kMostFresh = 100'000;
// Of one batch: failures beyond it wait for the next, a quarter of a second later; beyond the second figure they count
// here alone.
constexpr size_t kBatchOctets = 256 << 10;
constexpr size_t kMostPending = 4 << 20;
constexpr size_t kMostWordOctets = 1'024;
constexpr size_t kPageRecords = 1'000;
constexpr size_t kPageOctets = 4 << 20;
constexpr size_t kReplicaCharacters = 8;
constexpr size_t kTimeCharacters = 16;
// Of one transaction: batches that are deleted, or pairs that are written; what is more waits for the next.
constexpr size_t kMostWrites = 500;
constexpr std::chrono::seconds kKnownPauseLeast{1};
constexpr std::chrono::seconds kKnownPauseMost{30};
constexpr std::string_view kNothing = "-";

constexpr std::string_view kKindNames[] = {"pair", "network", "login"};

std::string KnownKey(std::string_view network, std::string_view login) {
  return base::StrCat(kKnown, network, " ", login);
}

// Zero-padded, so that keys are in order of time.
std::string FailuresKey(base::WallTime at, std::string_view replica, uint64_t number) {
  std::string time = ToMilliseconds(at);
  time.insert(0, kTimeCharacters - std::min(kTimeCharacters, time.size()), '0');
  return base::StrCat(kFailures, time, "-", replica, "-", number);
}

// The next word of a line, up to a space; the rest stays.
std::string_view TakeWord(std::string_view* line) {
  const size_t space = line->find(' ');
  const std::string_view word = line->substr(0, space);
  line->remove_prefix(space == std::string_view::npos ? line->size() : space + 1);
  return word;
}

template <typename Number>
std::optional<Number> ToNumber(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Can stand in a line of the ledger.
bool IsWord(std::string_view text) {
  return text.size() <= kMostWordOctets && text.find_first_of(std::string_view("\n\0", 2)) == std::string_view::npos;
}

std::string_view OrNothing(std::string_view text) { return text.empty() ? kNothing : text; }
std::string_view FromNothing(std::string_view text) { return text == kNothing ? std::string_view() : text; }

}  // namespace

ThrottleMetrics::ThrottleMetrics(metrics::Registry& registry)
    : failures(registry.AddCounter("gatepost_auth_failures_total", "Failed logins that were counted, of all replicas.")),
      evicted(registry.AddCounter("gatepost_auth_throttle_evicted_total",
                                  "Counters of failed logins that made room for others while they still counted.")),
      known_dropped(registry.AddCounter("gatepost_auth_known_pairs_dropped_total",
                                        "Logins from a network that were not noted, because too many waited for the "
                                        "store.")),
      counters(registry.AddGauge("gatepost_auth_throttle_counters", "Counters of failed logins.")) {
  for (size_t kind = 0; kind < std::size(kKindNames); ++kind) {
    throttled[kind] = registry.AddCounter("gatepost_auth_throttled_total", "Logins answered `not now`, by the counter.",
                                          {{"counter", kKindNames[kind]}});
  }
}

ThrottleLedger::ThrottleLedger(store::RecordStore& store, const base::Clock& clock, base::Random& random,
                               base::Log& log, const ThrottleMetrics& metrics, Options options)
    : store_(store),
      clock_(clock),
      random_(random),
      log_(log),
      metrics_(metrics),
      figures_(options.figures),
      tag_key_(std::move(options.tag_key)),
      replica_(base::RandomId(random, kReplicaCharacters)),
      throttle_(options.figures),
      known_backoff_(kKnownPauseLeast, kKnownPauseMost) {}

ThrottleLedger::~ThrottleLedger() {
  if (!thread_.joinable()) return;
  stop_.Ring();
  thread_.join();
}

absl::Status ThrottleLedger::Start() {
  GATEPOST_RETURN_IF_ERROR(ReadOthers());
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void ThrottleLedger::Run() {
  base::MonotonicTime cleaned = clock_.Now();
  bool failing = false;
  while (!stop_.Wait(kExchangeEvery)) {
    absl::Status status = Exchange();
    if (status.ok() && clock_.Now() - cleaned >= kCleanEvery) {
      cleaned = clock_.Now();
      status = Clean();
    }
    // Said once: it is tried again at once.
    if (!status.ok() && !std::exchange(failing, true)) {
      log_.Error("failures_not_shared", {{"error", base::FromAbsl(status.message())}});
    }
    if (status.ok()) failing = false;
  }
  // What the last moments brought, for the replicas that stay.
  WritePending().IgnoreError();
}

FailureTag ThrottleLedger::TagOf(std::string_view login, std::string_view password) const {
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, tag_key_.size(), reinterpret_cast<const uint8_t*>(tag_key_.data()));
  const uint64_t length = login.size();
  hmac_sha256_update(&context, sizeof length, reinterpret_cast<const uint8_t*>(&length));
  hmac_sha256_update(&context, login.size(), reinterpret_cast<const uint8_t*>(login.data()));
  hmac_sha256_update(&context, password.size(), reinterpret_cast<const uint8_t*>(password.data()));
  uint8_t digest[sizeof(FailureTag)];
  hmac_sha256_digest(&context, sizeof digest, digest);
  explicit_bzero(&context, sizeof context);
  FailureTag tag = 0;
  std::memcpy(&tag, digest, sizeof tag);
  return tag;
}

bool ThrottleLedger::IsKnown(std::string_view login, std::string_view network) const {
  const absl::StatusOr<std::unique_ptr<store::View>> view = store_.Read();
  if (!view.ok()) return false;
  const absl::StatusOr<store::Record> record = (*view)->Get(KnownKey(network, login));
  if (!record.ok()) return false;
  const std::optional<base::WallTime> last = FromMilliseconds(record->value);
  return last && clock_.WallNow() - *last <= kKnownTime;
}

bool ThrottleLedger::Admit(std::string_view login, const base::IpAddress& client) {
  const std::string network = Throttle::NetworkOf(client);
  std::optional<ThrottleKind> full;
  {
    absl::MutexLock lock(&mutex_);
    full = throttle_.Judge(login, client, [] { return false; }, clock_.WallNow());
  }
  if (!full) return true;
  // Asked of the store without the lock: logins that nobody attacks do not wait for it.
  if (*full != ThrottleKind::kPair && IsKnown(login, network)) return true;
  metrics_.throttled[static_cast<size_t>(*full)].Increment();
  return false;
}

void ThrottleLedger::Failed(std::string_view login, const base::IpAddress& client,
                            std::optional<FailureTag> of_password) {
  const FailureTag tag = of_password ? *of_password : random_.Uint64();
  const base::WallTime now = clock_.WallNow();
  absl::MutexLock lock(&mutex_);
  throttle_.CountFailure(login, client, tag, now);
  metrics_.failures.Increment();
  metrics_.counters.Set(static_cast<double>(throttle_.counters()));
  if (const uint64_t evicted = throttle_.evicted(); evicted != evicted_told_) {
    metrics_.evicted.Increment(static_cast<double>(evicted - std::exchange(evicted_told_, evicted)));
  }
  // (A prepared login has neither; nothing else may begin a line.)
  if (pending_.size() > kMostPending || !IsWord(login)) return;
  base::StrAppend(&pending_, "F ", ToMilliseconds(now), " ", tag, " ", client.ToString(), " ", login, "\n");
}

void ThrottleLedger::Succeeded(std::string_view login, const base::IpAddress& client) {
  std::string key = KnownKey(Throttle::NetworkOf(client), login);
  const base::WallTime now = clock_.WallNow();
  absl::MutexLock lock(&mutex_);
  const auto fresh = fresh_known_.find(key);
  if (fresh != fresh_known_.end() && now - fresh->second < kKnownFresh) return;
  if (pending_known_.size() >= kMostPendingKnown && !pending_known_.contains(key)) {
    // Not noted as fresh: its next login tries again.
    metrics_.known_dropped.Increment();
    return;
  }
  if (fresh_known_.size() >= kMostFresh) fresh_known_.clear();
  fresh_known_[key] = now;
  pending_known_[std::move(key)] = now;
}

std::vector<Throttle::Entry> ThrottleLedger::InForce() {
  absl::MutexLock lock(&mutex_);
  return throttle_.InForce(clock_.WallNow());
}

bool ThrottleLedger::Clear(ThrottleKind kind, std::string_view login, std::string_view network) {
  const base::WallTime now = clock_.WallNow();
  absl::MutexLock lock(&mutex_);
  const std::vector<Throttle::Entry> entries = throttle_.InForce(now);
  const bool in_force = std::any_of(entries.begin(), entries.end(), [&](const Throttle::Entry& entry) {
    return entry.kind == kind && entry.login == login && entry.network == network;
  });
  throttle_.Clear(kind, login, network, now);
  if (pending_.size() > kMostPending || !IsWord(login) || !IsWord(network)) return in_force;
  base::StrAppend(&pending_, "C ", ToMilliseconds(now), " ", static_cast<int>(kind), " ", OrNothing(network), " ",
                  OrNothing(login), "\n");
  return in_force;
}

absl::Status ThrottleLedger::Exchange() {
  const absl::Status written = WritePending();
  const absl::Status read = ReadOthers();
  return written.ok() ? read : written;
}

absl::Status ThrottleLedger::WritePending() {
  absl::MutexLock exchange(&exchange_mutex_);
  const base::WallTime now = clock_.WallNow();
  std::string batch;
  {
    absl::MutexLock lock(&mutex_);
    const size_t end = pending_.size() <= kBatchOctets ? pending_.size() : pending_.rfind('\n', kBatchOctets) + 1;
    batch = pending_.substr(0, end);
    pending_.erase(0, end);
  }
  store::Transaction transaction;
  if (!batch.empty()) {
    transaction.writes.push_back({FailuresKey(now, replica_, batches_++), batch, store::Condition::None()});
  }
  size_t over = 0;
  while (over < std::min(written_.size(), kMostWrites) && written_[over].at <= now - figures_.window) {
    transaction.writes.push_back({written_[over++].key, std::nullopt, store::Condition::None()});
  }
  if (!transaction.writes.empty()) {
    if (absl::Status status = store_.Commit(transaction).status(); !status.ok()) {
      absl::MutexLock lock(&mutex_);
      if (pending_.size() + batch.size() <= kMostPending) pending_.insert(0, batch);
      return status;
    }
    written_.erase(written_.begin(), written_.begin() + static_cast<std::ptrdiff_t>(over));
    if (!batch.empty()) written_.push_back({transaction.writes.front().key, now});
  }
  return WriteKnown();
}

absl::Status ThrottleLedger::WriteKnown() {
  if (clock_.Now() < known_retry_at_) return absl::OkStatus();
  std::vector<std::pair<std::string, base::WallTime>> known;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = pending_known_.begin(); it != pending_known_.end() && known.size() < kMostWrites; ++it)
      known.push_back(*it);
  }
  if (known.empty()) return absl::OkStatus();
  store::Transaction transaction;
  for (const auto& [key, at] : known) {
    transaction.writes.push_back({key, ToMilliseconds(at), store::Condition::None()});
  }
  if (absl::Status status = store_.Commit(transaction).status(); !status.ok()) {
    known_retry_at_ = clock_.Now() + known_backoff_.Next(random_);
    return status;
  }
  known_backoff_.Reset();
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, at] : known) {
    // Unless the pair has logged in again.
    if (const auto it = pending_known_.find(key); it != pending_known_.end() && it->second == at)
      pending_known_.erase(it);
  }
  return absl::OkStatus();
}

absl::Status ThrottleLedger::ReadOthers() {
  absl::MutexLock exchange(&exchange_mutex_);
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, store_.Read());
  if (view->revision() == seen_) return absl::OkStatus();
  const std::string own = base::StrCat("-", replica_, "-");
  const absl::StatusOr<std::vector<store::Change>> changes =
      seen_ < 0 ? absl::OutOfRangeError("nothing is known") : view->ChangesSince(seen_);
  if (changes.ok()) {
    for (const store::Change& change : *changes) {
      if (!change.key.starts_with(kFailures) || change.key.find(own) != std::string::npos) continue;
      const absl::StatusOr<store::Record> record = view->Get(change.key);
      if (absl::IsNotFound(record.status())) continue;
      GATEPOST_RETURN_IF_ERROR(record.status());
      absl::MutexLock lock(&mutex_);
      Take(record->value);
    }
  } else if (absl::IsOutOfRange(changes.status())) {
    // The first time, or too much has changed: all that the window holds. What is counted already is counted once.
    std::string after = FailuresKey(clock_.WallNow() - figures_.window, "", 0);
    bool more = true;
    while (more) {
      GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> records,
                                view->List(kFailures, after, kPageRecords, kPageOctets, &more));
      if (records.empty()) break;
      after = records.back().key;
      absl::MutexLock lock(&mutex_);
      for (const store::Record& record : records) Take(record.value);
    }
  } else {
    return changes.status();
  }
  seen_ = view->revision();
  return absl::OkStatus();
}

void ThrottleLedger::Take(std::string_view batch) {
  const base::WallTime now = clock_.WallNow();
  for (std::string_view line : base::Split(batch, '\n')) {
    const std::string_view what = TakeWord(&line);
    const std::optional<base::WallTime> at = FromMilliseconds(TakeWord(&line));
    if (!at || *at <= now - figures_.window) continue;
    if (what == "F") {
      const std::optional<FailureTag> tag = ToNumber<FailureTag>(TakeWord(&line));
      const absl::StatusOr<base::IpAddress> client = base::IpAddress::Parse(TakeWord(&line));
      // Another replica's clock may be ahead; a failure is not of the future.
      if (tag && client.ok()) throttle_.CountFailure(line, *client, *tag, std::min(*at, now));
    } else if (what == "C") {
      const std::optional<int> kind = ToNumber<int>(TakeWord(&line));
      const std::string_view network = FromNothing(TakeWord(&line));
      if (kind && *kind >= 0 && *kind <= static_cast<int>(ThrottleKind::kLogin)) {
        throttle_.Clear(static_cast<ThrottleKind>(*kind), FromNothing(line), network, std::min(*at, now));
      }
    }
  }
}

absl::Status ThrottleLedger::Clean() {
  const base::WallTime now = clock_.WallNow();
  GATEPOST_RETURN_IF_ERROR(DeleteOldRecords(store_, kKnown, [&](const store::Record& record) {
    const std::optional<base::WallTime> at = FromMilliseconds(record.value);
    return !at || *at < now - kKnownTime;
  }));
  // A batch says its time in its key; those of replicas that are gone are deleted here.
  return DeleteOldRecords(store_, kFailures, [&](const store::Record& record) {
    const std::optional<base::WallTime> at =
        FromMilliseconds(std::string_view(record.key).substr(kFailures.size(), kTimeCharacters));
    return !at || *at < now - figures_.window;
  });
}

}  // namespace gatepost::auth
