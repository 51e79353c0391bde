// A RecordStore in one SQLite file: write-ahead log, synchronous=FULL, so that an acknowledged commit survives kill -9 and
// a power cut. One process at a time opens a file (a lock file beside it enforces that). The file is made with mode 0600.
//
// The schema carries a version: an older one is migrated forward when the file is opened, a newer one is refused by
// name. A failing write (disk full, I/O) is an error of that call; reads go on, and later writes succeed once the cause
// is gone. After an fsync that failed nobody knows what the disk holds: `on_fatal` is called, which should end the
// process, so that the next start recovers from the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/store/record_store.h"

namespace gatepost::store {

struct SqliteOptions {
  std::string path;
  // Written into a new file and expected in an old one, so that a program does not open another's. At most 32 bits.
  uint32_t application_id = 0x47505331;  // "GPS1"
  bool new_epoch = false;                // The file was restored from a backup: make its epoch anew.
  size_t max_changes = 100'000;          // Kept in the log of changes.
  int64_t max_pages = 0;                 // Of 4 KiB; 0: as many as the disk has.
  std::function<void(std::string_view reason)> on_fatal;
};

inline constexpr int kSqliteSchemaVersion = 1;

// FAILED_PRECONDITION: a newer schema, another program's file, or a file that another process holds. `clock` and
// `random` outlive the store.
absl::StatusOr<std::unique_ptr<RecordStore>> OpenSqliteStore(const SqliteOptions& options, const base::Clock& clock,
                                                             base::Random& random);

}  // namespace gatepost::store
