// All watches of this replica: one thread that builds units and hands them to the streams that want one.
//
// A stream is a WatchSession behind a mutex, driven by gRPC's reactions (watch_service.cc) and by the hub's thread. The
// hub never holds its own mutex while it calls a stream. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/base/bell.h"
#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/config/edge_registry.h"
#include "services/config/metrics.h"
#include "services/config/repository.h"
#include "services/config/unit_builder.h"
#include "services/config/watch_session.h"

namespace gatepost::config {

// A stream as the hub sees it.
class WatchStream {
 public:
  virtual ~WatchStream() = default;

  // Whether it wants a unit, the store being at `current`, and for whom it must be built.
  struct Wish {
    bool unit = false;
    std::string pool;
    std::optional<int64_t> base;
  };
  virtual Wish WishAt(int64_t current) = 0;
  virtual void Send(std::shared_ptr<const Chain> chain) = 0;
  // Looks at the time: heartbeats, deadlines. Writes what is to be written.
  virtual void Tick(int64_t current) = 0;
  virtual void Supersede() = 0;
  virtual void Drain() = 0;
  // Ends it now.
  virtual void Abort() = 0;
};

class WatchHub {
 public:
  // The references outlive the hub. Watches the store from here on; the store's listener is the hub's.
  WatchHub(Repository& repository, base::Log& log, Metrics& metrics);
  ~WatchHub();

  void Add(std::shared_ptr<WatchStream> stream);
  // The stream has said who it is: an older one of the same node is superseded.
  void Started(WatchStream* stream, const std::string& node_id);
  void Remove(WatchStream* stream);
  // Something may be to be done for this stream.
  void Wake(WatchStream* stream);

  // The store's revision, as of its last commit.
  int64_t current() const { return current_.load(std::memory_order_acquire); }

  // Every stream is told that this replica is about to stop; new ones too.
  void Drain();
  // Ends all streams and the thread; nothing is called afterwards.
  void Stop();

 private:
  void Run();
  void WakeForAll();
  void Serve(const std::shared_ptr<WatchStream>& stream, std::set<std::string>* failing);

  Repository& repository_;
  base::Log& log_;
  Metrics& metrics_;
  std::atomic<int64_t> current_ = 0;
  UnitBuilder builder_;  // Of the thread.

  base::Bell bell_;  // Rung when something of these has changed for the thread.
  absl::Mutex mutex_;
  bool all_ ABSL_GUARDED_BY(mutex_) = false;                         // Every stream is to be looked at,
  std::set<WatchStream*> wakened_streams_ ABSL_GUARDED_BY(mutex_);  // or these.
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<WatchStream*, std::shared_ptr<WatchStream>> streams_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, WatchStream*> by_node_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;  // The last member: everything else is there before it runs.
};

}  // namespace gatepost::config
