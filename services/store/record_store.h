// The seam between the control plane and its database: records with revisions.
//
// A store is a sorted map from keys to values. Every committed transaction, however many records it writes, gets the
// next revision: revisions are gapless and rise. A transaction's conditions (compare-and-set) are judged and its writes
// made in one operation, durable when Commit returns OK, and either all or none of them happen. A log of changes lets a
// watcher ask "what changed since revision N"; it is bounded, and says so when N is gone.
//
// Values are opaque here; who stores secrets seals them first (sealed.h). Thread rule: all methods may be called from
// any thread; a View belongs to one thread at a time. Implementations: memory_store.h, sqlite_store.h, postgres_store.h;
// one conformance test (conformance_test.cc) runs on all of them. open_store.h opens the one that a flag names.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gatepost::store {

struct Record {
  std::string key;
  std::string value;
  int64_t revision = 0;  // Of the transaction that wrote this value.
};

// What must hold of a record for a write to happen.
struct Condition {
  enum class Kind {
    kNone,      // Written in any case.
    kAbsent,    // Else ALREADY_EXISTS.
    kPresent,   // Else NOT_FOUND.
    kRevision,  // Present with this revision; else NOT_FOUND or ABORTED.
  };
  Kind kind = Kind::kNone;
  int64_t revision = 0;

  static Condition None() { return {}; }
  static Condition Absent() { return {Kind::kAbsent, 0}; }
  static Condition Present() { return {Kind::kPresent, 0}; }
  static Condition At(int64_t revision) { return {Kind::kRevision, revision}; }
};

struct Write {
  std::string key;
  std::optional<std::string> value;  // Absent: the record is deleted; deleting what is not there is no change.
  Condition condition;
};

// OK, or the code above, for a record that is there (with `revision`) or not.
absl::Status CheckCondition(const Condition& condition, bool present, int64_t revision);

// The least string above every string with this prefix; empty if there is none.
std::string PrefixEnd(std::string_view prefix);

inline constexpr std::chrono::hours kRequestIdLifetime{24};

// Makes a transaction idempotent: the same id with the same fingerprint, within 24 hours, is answered with what the
// first one stored, and changes nothing.
struct RequestId {
  std::string id;           // With its scope (caller and method), chosen by the caller. Empty: not idempotent.
  std::string fingerprint;  // Of the request. Another one with the same id is INVALID_ARGUMENT.
  std::string answer;       // Given back to a repetition.
};

struct Transaction {
  std::vector<Write> writes;
  RequestId request_id;
  // If set, the store must still be at this revision, else FAILED_PRECONDITION: for decisions that look at more records
  // than they write. The caller reads anew and tries again.
  std::optional<int64_t> store_revision;
};

struct Committed {
  int64_t revision = 0;  // Of this transaction; of the first one, if it is a repetition.
  bool repeated = false;
  std::string answer;  // Of a repetition.
};

struct Change {
  int64_t revision = 0;
  std::string key;
};

// A consistent picture of the store at one revision. Keep it for a short time: it may hold a database's read
// transaction, or a lock that commits wait for.
class View {
 public:
  virtual ~View() = default;

  virtual int64_t revision() const = 0;

  // NOT_FOUND: no such record.
  virtual absl::StatusOr<Record> Get(std::string_view key) = 0;

  // Records whose keys begin with `prefix` and lie behind `after` (empty: from the beginning), in the order of keys; at
  // most `max_records`, and, but for the first one, at most `max_bytes` of keys and values. `*more`: there are others.
  virtual absl::StatusOr<std::vector<Record>> List(std::string_view prefix, std::string_view after, size_t max_records,
                                                   size_t max_bytes, bool* more) = 0;

  // How many records' keys begin with `prefix`.
  virtual absl::StatusOr<int64_t> Count(std::string_view prefix) = 0;

  // The keys written or deleted since (not at) `revision`, in order, a key as often as it changed.
  // OUT_OF_RANGE: the log does not reach back that far, or `revision` is above this view's.
  virtual absl::StatusOr<std::vector<Change>> ChangesSince(int64_t revision) = 0;
};

class RecordStore {
 public:
  using Listener = std::function<void(int64_t revision)>;

  virtual ~RecordStore() = default;

  // A random id made with the store; a restore makes it anew. Constant while the store is open.
  virtual const std::string& epoch() const = 0;

  // UNAVAILABLE: the store cannot be read now.
  virtual absl::StatusOr<std::unique_ptr<View>> Read() = 0;

  // The conditions' codes above; UNAVAILABLE or RESOURCE_EXHAUSTED: nothing was written. DEADLINE_EXCEEDED: the database
  // was lost during the commit and nobody can say whether it was written; a request id makes a repetition safe.
  virtual absl::StatusOr<Committed> Commit(const Transaction& transaction) = 0;

  // `listener` is called after each commit, also one of another process on the same database, on the committing thread
  // or one of the store's: it must be quick and must not call the store. Revisions rise from call to call; those of
  // commits at the same time may be told by one call. One listener; an empty one ends it, and none runs any more when
  // this returns.
  virtual void SetListener(Listener listener) = 0;
};

}  // namespace gatepost::store
