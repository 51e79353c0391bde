// The watch over real gRPC: edges of the test's own. Shows failures.md rows 7, 8, 9 (with 100 streams), 11; threats.md "Edge
// isolation" and "Limits" (a slow reader).
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "services/config/test_service.h"

namespace gatepost::config {
namespace {

// An edge that says what it is told to say.
class TestEdge {
 public:
  TestEdge(TestService& service, const std::string& pool, const std::string& node, const std::string& epoch = "",
           int64_t revision = 0)
      : context_(TestContext()), stub_(v1::WatchService::NewStub(service.Channel("edge/" + pool))),
        stream_(stub_->Watch(context_.get())) {
    v1::WatchRequest request;
    request.mutable_start()->set_node_id(node);
    request.mutable_start()->set_epoch(epoch);
    request.mutable_start()->set_revision(revision);
    request.mutable_start()->set_version("test");
    stream_->Write(request);
  }
  ~TestEdge() {
    if (stream_ != nullptr) context_->TryCancel();
    if (stream_ != nullptr) stream_->Finish();
  }

  // The next message that is not a heartbeat.
  v1::WatchResponse Next() {
    v1::WatchResponse response;
    while (stream_->Read(&response))
      if (!response.has_unit() || !response.unit().nonce().empty()) return response;
    return {};
  }
  // The next chain, as one unit.
  v1::Unit NextUnit() {
    v1::Unit all;
    while (true) {
      const v1::WatchResponse response = Next();
      if (!response.has_unit()) return {};
      const bool more = response.unit().more();
      all.MergeFrom(response.unit());
      if (!more) return all;
    }
  }
  v1::WatchResponse Any() {
    v1::WatchResponse response;
    stream_->Read(&response);
    return response;
  }
  void Ack(const v1::Unit& unit) {
    v1::WatchRequest request;
    request.mutable_ack()->set_nonce(unit.nonce());
    stream_->Write(request);
  }
  void Nack(const v1::Unit& unit) {
    v1::WatchRequest request;
    request.mutable_nack()->set_nonce(unit.nonce());
    request.mutable_nack()->set_reason("cannot compile");
    stream_->Write(request);
  }
  void HalfClose() { stream_->WritesDone(); }
  grpc::Status Finish() {
    const grpc::Status status = stream_->Finish();
    stream_.reset();
    return status;
  }

 private:
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<v1::WatchService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WatchRequest, v1::WatchResponse>> stream_;
};

class WatchServiceTest : public testing::Test {
 protected:
  // Until the registry shows the revision; the test's own time-out bounds it.
  void WaitApplied(const std::string& node, int64_t revision) {
    while (true) {
      const auto edge = service_.edges().Get("edges/" + node, 0);
      if (edge.ok() && edge->applied_revision() == revision) return;
      std::this_thread::yield();
    }
  }

  TestService service_;
};

TEST_F(WatchServiceTest, AnEdgeGetsEverythingThenWhatChanges) {
  service_.world().PutCertificate("c");
  const int64_t revision = service_.world().PutServer("a", {}, {"c"});
  TestEdge edge(service_, "east", "edge-1");
  const v1::Unit all = edge.NextUnit();
  EXPECT_TRUE(all.reset());
  EXPECT_EQ(all.revision(), revision);
  EXPECT_EQ(all.virtual_servers_size(), 1);
  EXPECT_EQ(all.certificates_size(), 1);
  EXPECT_EQ(all.secrets_size(), 2);
  edge.Ack(all);
  service_.world().PutServer("b");
  const v1::Unit change = edge.NextUnit();
  EXPECT_FALSE(change.reset());
  ASSERT_EQ(change.virtual_servers_size(), 1);
  EXPECT_EQ(change.virtual_servers(0).name(), "virtualServers/b");
  edge.Ack(change);
  WaitApplied("edge-1", change.revision());
  const auto shown = service_.edges().Get("edges/edge-1", service_.hub().current());
  EXPECT_EQ(shown->applied_revision(), shown->current_revision());
  EXPECT_EQ(shown->pool(), "east");
  EXPECT_EQ(shown->version(), "test");
}

TEST_F(WatchServiceTest, AnEdgeThatComesBackIsToldAtOnceThatItIsUpToDate) {
  const int64_t revision = service_.world().PutServer("a");
  TestEdge edge(service_, "east", "edge-1", service_.world().store.epoch(), revision);
  const v1::WatchResponse heartbeat = edge.Any();
  EXPECT_TRUE(heartbeat.has_unit());
  EXPECT_EQ(heartbeat.unit().nonce(), "");
  EXPECT_EQ(heartbeat.unit().revision(), revision);
}

TEST_F(WatchServiceTest, AnotherEpochMeansReset) {
  service_.world().PutServer("a");
  TestEdge edge(service_, "east", "edge-1", "another-epoch", 1);
  EXPECT_TRUE(edge.NextUnit().reset());
}

TEST_F(WatchServiceTest, AnEdgeSeesItsPoolAlone) {
  service_.world().PutServer("a", {"east"});
  service_.world().PutServer("b", {"west"});
  TestEdge edge(service_, "west", "edge-1");
  const v1::Unit unit = edge.NextUnit();
  ASSERT_EQ(unit.virtual_servers_size(), 1);
  EXPECT_EQ(unit.virtual_servers(0).name(), "virtualServers/b");
  EXPECT_EQ(unit.secrets_size(), 1);
}

TEST_F(WatchServiceTest, ChangesBehindASlowEdgeCoalesceAndOthersDoNotWait) {
  service_.world().PutServer("a");
  TestEdge slow(service_, "east", "slow");
  TestEdge quick(service_, "east", "quick");
  const v1::Unit held = slow.NextUnit();
  quick.Ack(quick.NextUnit());
  int64_t revision = 0;
  for (int i = 0; i < 500; ++i) revision = service_.world().PutServer("a");
  // The quick one converges while the slow one says nothing.
  for (int64_t applied = 0; applied < revision;) {
    const v1::Unit unit = quick.NextUnit();
    ASSERT_GT(unit.revision(), applied);
    applied = unit.revision();
    quick.Ack(unit);
  }
  slow.Ack(held);
  const v1::Unit unit = slow.NextUnit();
  EXPECT_EQ(unit.revision(), revision) << "500 changes in one unit";
  EXPECT_EQ(unit.virtual_servers_size(), 1);
}

TEST_F(WatchServiceTest, ARefusedUnitIsShownAndTheNextChangeBringsItAlong) {
  service_.world().PutServer("a");
  TestEdge edge(service_, "east", "edge-1");
  const v1::Unit first = edge.NextUnit();
  edge.Ack(first);
  service_.world().PutServer("bad");
  const v1::Unit bad = edge.NextUnit();
  edge.Nack(bad);
  service_.world().PutServer("c");
  const v1::Unit next = edge.NextUnit();
  std::set<std::string> names;
  for (const auto& server : next.virtual_servers()) names.insert(server.name());
  EXPECT_EQ(names, (std::set<std::string>{"virtualServers/bad", "virtualServers/c"}));
  const auto shown = service_.edges().Get("edges/edge-1", 0);
  EXPECT_EQ(shown->applied_revision(), first.revision());
  EXPECT_EQ(shown->refusal().revision(), bad.revision());
  EXPECT_EQ(shown->refusal().reason(), "cannot compile");
}

TEST_F(WatchServiceTest, ALargeConfigurationComesAsAChain) {
  for (int i = 0; i < 9; ++i) service_.world().PutServer("big" + std::to_string(i), {}, {}, 900'000);
  TestEdge edge(service_, "east", "edge-1");
  const v1::Unit all = edge.NextUnit();
  EXPECT_EQ(all.virtual_servers_size(), 9);
  edge.Ack(all);
  WaitApplied("edge-1", all.revision());
}

TEST_F(WatchServiceTest, ANewerStreamTakesOverAndTheOlderOneEndsWhenItIsHalfClosed) {
  const int64_t revision = service_.world().PutServer("a");
  TestEdge older(service_, "east", "edge-1", service_.world().store.epoch(), revision);
  older.Any();
  TestEdge newer(service_, "east", "edge-1", service_.world().store.epoch(), revision);
  newer.Any();
  service_.world().PutServer("b");
  newer.Ack(newer.NextUnit());
  older.HalfClose();
  EXPECT_FALSE(older.Next().has_unit()) << "no unit went to the older stream";
  EXPECT_TRUE(older.Finish().ok());
  EXPECT_TRUE(service_.edges().Get("edges/edge-1", 0)->connected());
}

TEST_F(WatchServiceTest, WhatIsNoEdgeOrBreaksTheRulesIsEnded) {
  {
    TestEdge edge(service_, "east", "Not_A_Node");
    EXPECT_FALSE(edge.Next().has_unit());
    EXPECT_EQ(edge.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  service_.world().PutServer("a");
  TestEdge edge(service_, "east", "edge-1");
  edge.NextUnit();
  {
    TestEdge thief(service_, "west", "edge-1");
    EXPECT_FALSE(thief.Next().has_unit());
    EXPECT_EQ(thief.Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  }
  v1::Unit wrong;
  wrong.set_nonce("wrong");
  edge.Ack(wrong);
  EXPECT_FALSE(edge.Next().has_unit());
  EXPECT_EQ(edge.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(WatchServiceTest, AnEdgeIsToldBeforeTheServiceStops) {
  const int64_t revision = service_.world().PutServer("a");
  TestEdge edge(service_, "east", "edge-1", service_.world().store.epoch(), revision);
  edge.Any();
  service_.hub().Drain();
  EXPECT_TRUE(edge.Next().has_draining());
  TestEdge late(service_, "east", "edge-2");
  EXPECT_TRUE(late.Next().has_draining()) << "and so is one that comes now";
}

TEST(WatchLogTest, AnEdgeIsAheadOfTheStoreNotOfWhatThisReplicaHasHeardOfIt) {
  const int log_fd = memfd_create("log", MFD_CLOEXEC);
  {
    TestService service(log_fd);
    const std::string& epoch = service.world().store.epoch();
    // Another replica's commit, of which this one is yet to be told.
    service.world().store.SetListener({});
    ASSERT_EQ(service.world().PutServer("a"), 1);
    ASSERT_EQ(service.hub().current(), 0);
    TestEdge current(service, "east", "edge-1", epoch, 1);
    TestEdge ahead(service, "east", "edge-2", epoch, 2);
    for (const char* name : {"edges/edge-1", "edges/edge-2"})
      while (!service.edges().Get(name, 0).ok()) std::this_thread::yield();
  }
  std::string log(static_cast<size_t>(lseek(log_fd, 0, SEEK_END)), '\0');
  EXPECT_EQ(pread(log_fd, log.data(), log.size(), 0), static_cast<ssize_t>(log.size()));
  close(log_fd);
  const size_t event = log.find("edge_ahead");
  ASSERT_NE(event, log.npos) << log;
  EXPECT_NE(log.find(R"("node":"edge-2","revision":2,"current":1)", event), log.npos) << log;
  EXPECT_EQ(log.find("edge_ahead", log.find('\n', event)), log.npos) << log;
  EXPECT_EQ(log.find(R"("node":"edge-1")"), log.npos) << log;
}

TEST_F(WatchServiceTest, AHundredEdgesEachGetTheFinalState) {
  service_.world().PutServer("a");
  std::vector<std::thread> threads;
  std::atomic<int> ready = 0;
  std::atomic<int64_t> last = 0;
  for (int i = 0; i < 100; ++i) {
    threads.emplace_back([&, i] {
      TestEdge edge(service_, i % 2 == 0 ? "east" : "west", "edge-" + std::to_string(i));
      int64_t applied = 0;
      while (last == 0 || applied < last) {
        const v1::Unit unit = edge.NextUnit();
        if (unit.revision() <= applied) {
          ADD_FAILURE() << "edge " << i << " got revision " << unit.revision() << " after " << applied;
          break;
        }
        if (applied == 0) ++ready;
        applied = unit.revision();
        edge.Ack(unit);
      }
    });
  }
  while (ready < 100) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) service_.world().PutServer("a");
  // The last one is known before it is made, so that no edge waits for another.
  last = service_.hub().current() + 1;
  EXPECT_EQ(service_.world().PutServer("a"), last);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace gatepost::config
