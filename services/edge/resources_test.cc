#include "services/edge/resources.h"

#include <vector>

#include "gtest/gtest.h"

namespace gatepost::edge {
namespace {

using config::v1::Unit;

Unit MakeUnit(const std::string& epoch, int64_t revision, bool reset = false) {
  Unit unit;
  unit.set_epoch(epoch);
  unit.set_revision(revision);
  unit.set_reset(reset);
  return unit;
}

void AddVirtualServer(Unit& unit, const std::string& name, const std::string& certificate = "") {
  auto* virtual_server = unit.add_virtual_servers();
  virtual_server->set_name(name);
  if (certificate.empty()) return;
  virtual_server->add_certificates(certificate);
  unit.add_certificates()->set_name(certificate);
  unit.add_secrets()->mutable_certificate_key()->set_certificate(certificate);
}

Resources Held(const std::string& epoch, int64_t revision) {
  Unit unit = MakeUnit(epoch, revision, true);
  AddVirtualServer(unit, "virtualServers/a", "certificates/a");
  return *Merge({}, std::vector<Unit>{unit});
}

TEST(ResourcesTest, FirstUnitMustBeAReset) {
  EXPECT_EQ(Judge({}, MakeUnit("e1", 1)), Standing::kRefuse);
  EXPECT_EQ(Judge({}, MakeUnit("e1", 1, true)), Standing::kApply);
}

// Row 29 of the failures; "Replay / order" of the hardening table.
TEST(ResourcesTest, LowerRevisionOfTheSameEpochIsIgnored) {
  const Resources held = Held("e1", 7);
  EXPECT_EQ(Judge(held, MakeUnit("e1", 6)), Standing::kIgnore);
  EXPECT_EQ(Judge(held, MakeUnit("e1", 6, true)), Standing::kIgnore);
  EXPECT_EQ(Judge(held, MakeUnit("e1", 7)), Standing::kApply);
  EXPECT_EQ(Judge(held, MakeUnit("e1", 8)), Standing::kApply);
}

TEST(ResourcesTest, AnotherEpochNeedsAReset) {
  const Resources held = Held("e1", 7);
  EXPECT_EQ(Judge(held, MakeUnit("e2", 9)), Standing::kRefuse);
  EXPECT_EQ(Judge(held, MakeUnit("e2", 1, true)), Standing::kApply);
  EXPECT_EQ(Judge(held, MakeUnit("", 9, true)), Standing::kRefuse);
}

TEST(ResourcesTest, ResetReplacesWhatWasHeld) {
  Unit unit = MakeUnit("e1", 8, true);
  AddVirtualServer(unit, "virtualServers/b");
  const auto next = Merge(Held("e1", 7), std::vector<Unit>{unit});
  ASSERT_TRUE(next.ok());
  EXPECT_FALSE(next->virtual_servers.contains("virtualServers/a"));
  EXPECT_TRUE(next->virtual_servers.contains("virtualServers/b"));
  EXPECT_TRUE(next->keys.empty());
}

TEST(ResourcesTest, RemovalForgetsCertificateAndKeyThatNobodyNames) {
  Unit unit = MakeUnit("e1", 8);
  unit.add_removed("virtualServers/a");
  unit.add_removed("virtualServers/unknown");
  const auto next = Merge(Held("e1", 7), std::vector<Unit>{unit});
  ASSERT_TRUE(next.ok());
  EXPECT_TRUE(next->virtual_servers.empty());
  EXPECT_TRUE(next->certificates.empty());
  EXPECT_TRUE(next->keys.empty());
}

TEST(ResourcesTest, ChainIsAppliedTogether) {
  std::vector<Unit> chain{MakeUnit("e1", 8), MakeUnit("e1", 8)};
  chain[0].set_more(true);
  AddVirtualServer(chain[0], "virtualServers/b");
  AddVirtualServer(chain[1], "virtualServers/c");
  const auto next = Merge(Held("e1", 7), chain);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->virtual_servers.size(), 3u);
  EXPECT_EQ(next->revision, 8);
}

TEST(ResourcesTest, PiecesOfDifferentRevisionsAreRefused) {
  std::vector<Unit> chain{MakeUnit("e1", 8), MakeUnit("e1", 9)};
  chain[0].set_more(true);
  EXPECT_FALSE(Merge(Held("e1", 7), chain).ok());
  chain[1].set_revision(8);
  EXPECT_TRUE(Merge(Held("e1", 7), chain).ok());
  chain[1].set_more(true);
  EXPECT_FALSE(Merge(Held("e1", 7), chain).ok());
}

TEST(ResourcesTest, SnapshotFormIsComplete) {
  const Resources held = Held("e1", 7);
  const auto again = Merge({}, std::vector<Unit>{ToUnit(held)});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(ToUnit(*again).SerializeAsString(), ToUnit(held).SerializeAsString());
  EXPECT_EQ(again->keys.size(), 1u);
}

}  // namespace
}  // namespace gatepost::edge
