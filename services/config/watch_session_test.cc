// The rules of the watch, one by one. Shows failures.md rows 7 (a unit that cannot be compiled), 8 (coalescing), 11 (a
// stuck watcher) and 29 (epochs); threats.md "Replay / order".
#include "services/config/watch_session.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "services/base/fake_clock.h"
#include "services/config/limits.h"

namespace gatepost::config {
namespace {

class WatchSessionTest : public testing::Test {
 protected:
  absl::Status Start(const std::string& epoch, int64_t revision, const std::string& node = "edge-1") {
    v1::WatchRequest request;
    request.mutable_start()->set_node_id(node);
    request.mutable_start()->set_epoch(epoch);
    request.mutable_start()->set_revision(revision);
    return session_->OnMessage(&request, clock_.Now());
  }
  absl::Status Ack(const std::string& nonce) {
    v1::WatchRequest request;
    request.mutable_ack()->set_nonce(nonce);
    request.mutable_ack()->add_listeners()->set_port(25);
    return session_->OnMessage(&request, clock_.Now());
  }
  absl::Status Nack(const std::string& nonce) {
    v1::WatchRequest request;
    request.mutable_nack()->set_nonce(nonce);
    request.mutable_nack()->set_reason("cannot");
    return session_->OnMessage(&request, clock_.Now());
  }
  static std::shared_ptr<const Chain> MakeChain(int64_t revision, size_t pieces = 1) {
    auto chain = std::make_shared<Chain>();
    chain->revision = revision;
    chain->nonce = "n" + std::to_string(revision);
    chain->pieces.resize(pieces);
    for (auto& piece : chain->pieces) piece.mutable_unit()->set_nonce(chain->nonce);
    return chain;
  }
  // Writes all there is; how many messages that was, and the last one.
  int WriteAll(int64_t current) {
    int count = 0;
    while (const v1::WatchResponse* next = session_->Next(current, clock_.Now())) {
      last_ = *next;
      session_->Written(clock_.Now());
      ++count;
    }
    return count;
  }

  base::FakeClock clock_;
  EdgeRegistry registry_{clock_};
  std::unique_ptr<WatchSession> session_ = std::make_unique<WatchSession>(registry_, "east", "epoch", clock_.Now());
  v1::WatchResponse last_;
};

TEST_F(WatchSessionTest, AnEdgeWithoutConfigurationOrOfAnotherEpochGetsEverything) {
  EXPECT_FALSE(session_->WantsUnit(5)) << "it has not said who it is";
  ASSERT_TRUE(Start("", 0).ok());
  EXPECT_TRUE(session_->WantsUnit(5));
  EXPECT_FALSE(session_->base().has_value());
  session_ = std::make_unique<WatchSession>(registry_, "east", "epoch", clock_.Now());
  ASSERT_TRUE(Start("another", 5).ok());
  EXPECT_TRUE(session_->WantsUnit(5));
  EXPECT_FALSE(session_->base().has_value());
}

TEST_F(WatchSessionTest, AnEdgeThatIsUpToDateGetsAHeartbeatAtOnceAndThenInIntervals) {
  ASSERT_TRUE(Start("epoch", 5).ok());
  EXPECT_FALSE(session_->WantsUnit(5));
  EXPECT_EQ(WriteAll(5), 1);
  EXPECT_EQ(last_.unit().revision(), 5);
  EXPECT_EQ(last_.unit().epoch(), "epoch");
  EXPECT_EQ(last_.unit().nonce(), "");
  clock_.Advance(kHeartbeatInterval - std::chrono::milliseconds(1));
  EXPECT_EQ(WriteAll(5), 0);
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(WriteAll(5), 1);
}

TEST_F(WatchSessionTest, OneUnitIsInFlightAndWhatChangesMeanwhileCoalesces) {
  ASSERT_TRUE(Start("epoch", 5).ok());
  ASSERT_TRUE(session_->WantsUnit(6));
  EXPECT_EQ(session_->base(), 5);
  session_->Send(MakeChain(6), clock_.Now());
  EXPECT_EQ(WriteAll(6), 1);
  for (int64_t revision = 7; revision < 1'000; ++revision) EXPECT_FALSE(session_->WantsUnit(revision));
  clock_.Advance(kHeartbeatInterval);
  EXPECT_EQ(WriteAll(999), 0) << "no heartbeat while a unit is in flight";
  ASSERT_TRUE(Ack("n6").ok());
  EXPECT_EQ(session_->TakeEvent(), WatchSession::Event::kAcked);
  EXPECT_TRUE(session_->WantsUnit(999));
  EXPECT_EQ(session_->base(), 6);
  const v1::Edge edge = *registry_.Get("edges/edge-1", 999);
  EXPECT_EQ(edge.applied_revision(), 6);
  EXPECT_EQ(edge.current_revision(), 999);
  EXPECT_EQ(edge.listeners_size(), 1);
}

TEST_F(WatchSessionTest, AChainIsWrittenPieceByPieceAndAnsweredOnce) {
  ASSERT_TRUE(Start("", 0).ok());
  session_->Send(MakeChain(6, 3), clock_.Now());
  ASSERT_NE(session_->Next(6, clock_.Now()), nullptr);
  session_->Written(clock_.Now());
  EXPECT_EQ(Ack("n6").code(), absl::StatusCode::kInvalidArgument) << "before its last piece";
  session_ = std::make_unique<WatchSession>(registry_, "east", "epoch", clock_.Now());
  ASSERT_TRUE(Start("", 0).ok());
  session_->Send(MakeChain(6, 3), clock_.Now());
  EXPECT_EQ(WriteAll(6), 3);
  EXPECT_TRUE(Ack("n6").ok());
}

TEST_F(WatchSessionTest, AnAnswerMayOvertakeTheEndOfItsWriting) {
  ASSERT_TRUE(Start("", 0).ok());
  session_->Send(MakeChain(6), clock_.Now());
  const v1::WatchResponse* written = session_->Next(6, clock_.Now());
  ASSERT_NE(written, nullptr);
  EXPECT_TRUE(Ack("n6").ok());
  EXPECT_EQ(written->unit().nonce(), "n6") << "still there for the writer";
  session_->Written(clock_.Now());
  session_->Send(MakeChain(7), clock_.Now());
  EXPECT_EQ(WriteAll(7), 1);
  EXPECT_TRUE(Ack("n7").ok());
}

TEST_F(WatchSessionTest, ARefusedUnitIsNotRepeatedButTheNextChangeIsToldFromTheOldBase) {
  ASSERT_TRUE(Start("epoch", 5).ok());
  session_->Send(MakeChain(6), clock_.Now());
  WriteAll(6);
  ASSERT_TRUE(Nack("n6").ok());
  EXPECT_EQ(session_->TakeEvent(), WatchSession::Event::kNacked);
  EXPECT_EQ(session_->nack_reason(), "cannot");
  EXPECT_FALSE(session_->WantsUnit(6));
  EXPECT_EQ(registry_.Get("edges/edge-1", 6)->refusal().revision(), 6);
  EXPECT_EQ(registry_.Get("edges/edge-1", 6)->applied_revision(), 5);
  EXPECT_TRUE(session_->WantsUnit(7));
  EXPECT_EQ(session_->base(), 5);
  session_->Send(MakeChain(7), clock_.Now());
  WriteAll(7);
  ASSERT_TRUE(Ack("n7").ok());
  EXPECT_FALSE(registry_.Get("edges/edge-1", 7)->has_refusal());
}

TEST_F(WatchSessionTest, WhatBreaksTheProtocolEndsTheStream) {
  EXPECT_EQ(Ack("n").code(), absl::StatusCode::kInvalidArgument) << "before Start";
  EXPECT_EQ(Start("", 0, "Bad_Node").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Start("", -1).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(Start("epoch", 5).ok());
  EXPECT_EQ(Start("epoch", 5).code(), absl::StatusCode::kInvalidArgument) << "twice";
  EXPECT_EQ(Ack("n5").code(), absl::StatusCode::kInvalidArgument) << "nothing is in flight";
  session_->Send(MakeChain(6), clock_.Now());
  WriteAll(6);
  EXPECT_EQ(Ack("n5").code(), absl::StatusCode::kInvalidArgument) << "another nonce";
}

TEST_F(WatchSessionTest, AStuckEdgeIsDroppedAfterADeadline) {
  ASSERT_TRUE(Start("epoch", 5).ok());
  session_->Send(MakeChain(6, 2), clock_.Now());
  ASSERT_NE(session_->Next(6, clock_.Now()), nullptr);
  clock_.Advance(kAnswerTimeout - std::chrono::milliseconds(1));
  EXPECT_TRUE(session_->CheckDeadline(clock_.Now()).ok());
  session_->Written(clock_.Now());
  WriteAll(6);
  clock_.Advance(kAnswerTimeout - std::chrono::milliseconds(1));
  EXPECT_TRUE(session_->CheckDeadline(clock_.Now()).ok()) << "progress counts";
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(session_->CheckDeadline(clock_.Now()).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(WatchSessionTest, AnIdleEdgeHasNoDeadlineButASilentStreamHas) {
  clock_.Advance(kAnswerTimeout);
  EXPECT_FALSE(session_->CheckDeadline(clock_.Now()).ok());
  ASSERT_TRUE(Start("epoch", 5).ok());
  clock_.Advance(std::chrono::hours(1));
  EXPECT_TRUE(session_->CheckDeadline(clock_.Now()).ok());
}

TEST_F(WatchSessionTest, ASupersededStreamGetsNoMoreUnitsAndADrainingOneIsTold) {
  ASSERT_TRUE(Start("epoch", 5).ok());
  WriteAll(5);
  session_->Supersede();
  EXPECT_FALSE(session_->WantsUnit(6));
  clock_.Advance(kHeartbeatInterval);
  EXPECT_EQ(WriteAll(6), 0);
  session_->Drain();
  EXPECT_EQ(WriteAll(6), 1);
  EXPECT_TRUE(last_.has_draining());
  EXPECT_EQ(WriteAll(6), 0) << "once";
}

TEST_F(WatchSessionTest, ANodeIdOfAnotherPoolIsRefusedWhileItIsConnected) {
  ASSERT_TRUE(Start("epoch", 5).ok());
  v1::WatchRequest request;
  request.mutable_start()->set_node_id("edge-1");
  {
    WatchSession other(registry_, "west", "epoch", clock_.Now());
    EXPECT_EQ(other.OnMessage(&request, clock_.Now()).code(), absl::StatusCode::kPermissionDenied);
  }
  EXPECT_EQ(registry_.Get("edges/edge-1", 5)->pool(), "east");
  EXPECT_TRUE(registry_.Get("edges/edge-1", 5)->connected());
  session_.reset();
  EXPECT_FALSE(registry_.Get("edges/edge-1", 5)->connected());
  WatchSession other(registry_, "west", "epoch", clock_.Now());
  EXPECT_TRUE(other.OnMessage(&request, clock_.Now()).ok());
}

TEST_F(WatchSessionTest, AnEdgeThatLeftIsForgottenAfterADay) {
  ASSERT_TRUE(Start("epoch", 5).ok());
  session_.reset();
  clock_.Advance(kForgetEdgeAfter);
  EXPECT_TRUE(registry_.Get("edges/edge-1", 5).ok());
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(registry_.Get("edges/edge-1", 5).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(WatchSessionTest, WhatAnEdgeSaysIsBounded) {
  v1::WatchRequest request;
  request.mutable_start()->set_node_id("edge-1");
  request.mutable_start()->set_version(std::string(99, 'v') + "\xc3\xa4");
  ASSERT_TRUE(session_->OnMessage(&request, clock_.Now()).ok());
  EXPECT_EQ(registry_.Get("edges/edge-1", 0)->version(), std::string(99, 'v'));
  v1::WatchRequest report;
  for (size_t i = 0; i < kMaxListenerReports + 5; ++i) report.mutable_report()->add_listeners()->set_reason("r");
  report.mutable_report()->mutable_listeners(0)->set_reason(std::string(5'000, 'r'));
  ASSERT_TRUE(session_->OnMessage(&report, clock_.Now()).ok());
  const v1::Edge edge = *registry_.Get("edges/edge-1", 0);
  EXPECT_EQ(static_cast<size_t>(edge.listeners_size()), kMaxListenerReports);
  EXPECT_EQ(edge.listeners(0).reason().size(), kMaxListenerTextOctets);
}

}  // namespace
}  // namespace gatepost::config
