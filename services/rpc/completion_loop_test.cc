#include "services/rpc/completion_loop.h"

#include <absl/synchronization/notification.h>
#include <grpcpp/alarm.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>

namespace gatepost::rpc {
namespace {

// Begins an operation that completes at once, `times` times in a row.
class Chain final : public std::enable_shared_from_this<Chain> {
 public:
  Chain(CompletionLoop& loop, int times, absl::Notification* gone = nullptr)
      : loop_(loop), times_(times), gone_(gone) {}
  ~Chain() {
    if (gone_ != nullptr) gone_->Notify();
  }

  void Begin() {
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(loop_.queue(), std::chrono::system_clock::now(), rang_.Tag(shared_from_this()));
  }
  int count() const { return count_; }
  std::thread::id thread() const { return thread_; }

 private:
  void OnRang(bool ok) {
    EXPECT_TRUE(ok);
    thread_ = std::this_thread::get_id();
    if (++count_ < times_) Begin();
  }

  CompletionLoop& loop_;
  const int times_;
  absl::Notification* const gone_;
  std::unique_ptr<grpc::Alarm> alarm_;
  Operation<Chain> rang_{loop_, &Chain::OnRang};
  int count_ = 0;
  std::thread::id thread_;
};

TEST(CompletionLoopTest, EndsWhenAllHasCompletedThatHandlersBegin) {
  auto loop = std::make_unique<CompletionLoop>();
  const auto chain = std::make_shared<Chain>(*loop, 1000);
  chain->Begin();
  loop.reset();
  EXPECT_EQ(chain->count(), 1000);
  EXPECT_NE(chain->thread(), std::this_thread::get_id());
}

TEST(CompletionLoopTest, AnOperationKeepsItsObjectUntilItIsOver) {
  CompletionLoop loop;
  absl::Notification gone;
  std::make_shared<Chain>(loop, 3, &gone)->Begin();
  EXPECT_TRUE(gone.WaitForNotificationWithTimeout(absl::Seconds(20))) << "and no longer";
}

TEST(CompletionLoopTest, APacedOneCompletesAllTheSame) {
  auto loop = std::make_unique<CompletionLoop>(std::make_unique<grpc::CompletionQueue>(), CompletionLoop::Driver::kPaced);
  const auto chain = std::make_shared<Chain>(*loop, 10);
  chain->Begin();
  loop.reset();
  EXPECT_EQ(chain->count(), 10);
}

TEST(CompletionLoopTest, WhatIsBegunHereCompletesHereOrOnTheLoopButOnce) {
  CompletionLoop loop;
  absl::Notification gone;
  auto chain = std::make_shared<Chain>(loop, 1, &gone);
  loop.BeginHere([&] { chain->Begin(); });
  chain.reset();
  EXPECT_TRUE(gone.WaitForNotificationWithTimeout(absl::Seconds(20)));
}

}  // namespace
}  // namespace gatepost::rpc
