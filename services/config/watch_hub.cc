#include "services/config/watch_hub.h"

#include <utility>

#include "services/base/strings.h"

namespace gatepost::config {
namespace {

// Heartbeats and deadlines are looked at so often; changes wake the thread at once.
constexpr std::chrono::milliseconds kTick{500};

}  // namespace

WatchHub::WatchHub(Repository& repository, base::Log& log, Metrics& metrics)
    : repository_(repository), log_(log), metrics_(metrics), builder_(repository) {
  repository_.store().SetListener([this](int64_t revision) {
    current_.store(revision, std::memory_order_release);
    WakeForAll();
  });
  // After the listener is there: what is committed meanwhile is seen by one or the other.
  if (absl::StatusOr<std::unique_ptr<store::View>> view = repository_.store().Read(); view.ok()) {
    int64_t known = current_.load(std::memory_order_acquire);
    while (known < (*view)->revision() && !current_.compare_exchange_weak(known, (*view)->revision())) {
    }
  }
  thread_ = std::thread([this] { Run(); });
}

WatchHub::~WatchHub() { Stop(); }

void WatchHub::Add(std::shared_ptr<WatchStream> stream) {
  bool draining = false;
  bool stopped = false;
  {
    absl::MutexLock lock(&mutex_);
    draining = draining_;
    stopped = stopped_;
    streams_[stream.get()] = stream;
    metrics_.watch_streams.Set(static_cast<double>(streams_.size()));
  }
  if (stopped) {
    stream->Abort();
  } else if (draining) {
    stream->Drain();
    WakeForAll();
  }
}

void WatchHub::Started(WatchStream* stream, const std::string& node_id) {
  std::shared_ptr<WatchStream> older;
  {
    absl::MutexLock lock(&mutex_);
    WatchStream*& current = by_node_[node_id];
    if (const auto it = streams_.find(current); current != nullptr && current != stream && it != streams_.end())
      older = it->second;
    current = stream;
  }
  if (older != nullptr) older->Supersede();
  Wake(stream);
}

void WatchHub::Remove(WatchStream* stream) {
  std::shared_ptr<WatchStream> last;  // Destroyed outside the mutex.
  absl::MutexLock lock(&mutex_);
  wakened_streams_.erase(stream);
  std::erase_if(by_node_, [&](const auto& entry) { return entry.second == stream; });
  if (const auto it = streams_.find(stream); it != streams_.end()) {
    last = std::move(it->second);
    streams_.erase(it);
  }
  metrics_.watch_streams.Set(static_cast<double>(streams_.size()));
}

void WatchHub::Wake(WatchStream* stream) {
  {
    absl::MutexLock lock(&mutex_);
    wakened_streams_.insert(stream);
  }
  bell_.Ring();
}

void WatchHub::WakeForAll() {
  {
    absl::MutexLock lock(&mutex_);
    all_ = true;
  }
  bell_.Ring();
}

void WatchHub::Drain() {
  std::vector<std::shared_ptr<WatchStream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    for (const auto& [key, stream] : streams_) streams.push_back(stream);
  }
  for (const auto& stream : streams) stream->Drain();
  WakeForAll();
}

void WatchHub::Stop() {
  // No listener runs any more once this returns.
  repository_.store().SetListener({});
  std::vector<std::shared_ptr<WatchStream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    for (const auto& [key, stream] : streams_) streams.push_back(stream);
  }
  bell_.Ring();
  for (const auto& stream : streams) stream->Abort();
  if (thread_.joinable()) thread_.join();
}

void WatchHub::Serve(const std::shared_ptr<WatchStream>& stream, std::set<std::string>* failing) {
  const WatchStream::Wish wish = stream->WishAt(current());
  if (wish.unit && !failing->contains(wish.pool)) {
    absl::StatusOr<std::shared_ptr<const Chain>> chain = builder_.Build(wish.pool, wish.base);
    if (chain.ok()) {
      metrics_.units_sent.Increment();
      stream->Send(*std::move(chain));
    } else {
      failing->insert(wish.pool);
      metrics_.units_not_built.Increment();
      log_.Error("unit_not_built", {{"pool", wish.pool}, {"error", base::FromAbsl(chain.status().message())}});
    }
  }
  stream->Tick(current());
}

void WatchHub::Run() {
  auto tick = std::chrono::steady_clock::now();
  while (true) {
    bell_.Wait(tick - std::chrono::steady_clock::now());
    const auto now = std::chrono::steady_clock::now();
    std::vector<std::shared_ptr<WatchStream>> streams;
    {
      absl::MutexLock lock(&mutex_);
      if (stopped_) return;
      const bool all = all_ || now >= tick;
      for (const auto& [key, stream] : streams_)
        if (all || wakened_streams_.contains(key)) streams.push_back(stream);
      if (all) tick = now + kTick;
      all_ = false;
      wakened_streams_.clear();
    }
    // A pool whose unit cannot be built is tried again at the next round, not for each stream.
    std::set<std::string> failing;
    for (const auto& stream : streams) Serve(stream, &failing);
  }
}

}  // namespace gatepost::config
