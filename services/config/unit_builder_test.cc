// What edges are told. Shows limits.md "Unit of the watch"; threats.md "Edge isolation" (an edge gets only its pool's
// virtual servers, certificates and keys) and "Secrets at rest" (no key in clear in the store).
#include "services/config/unit_builder.h"

#include <algorithm>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "services/config/limits.h"
#include "services/config/test_world.h"

namespace gatepost::config {
namespace {

// The names in a chain, marked: "+virtualServers/a", "-virtualServers/b", "k:certificates/c", "t:virtualServers/a".
std::set<std::string> Contents(const Chain& chain) {
  std::set<std::string> names;
  for (const v1::WatchResponse& piece : chain.pieces) {
    for (const auto& server : piece.unit().virtual_servers()) EXPECT_TRUE(names.insert("+" + server.name()).second);
    for (const auto& certificate : piece.unit().certificates()) EXPECT_TRUE(names.insert("+" + certificate.name()).second);
    for (const auto& name : piece.unit().removed()) EXPECT_TRUE(names.insert("-" + name).second);
    for (const auto& secret : piece.unit().secrets()) {
      if (secret.has_certificate_key()) {
        EXPECT_FALSE(secret.certificate_key().private_key_pem().empty());
        EXPECT_TRUE(names.insert("k:" + secret.certificate_key().certificate()).second);
      } else {
        EXPECT_GE(secret.ticket_keys().keys_size(), 1);
        EXPECT_TRUE(names.insert("t:" + secret.ticket_keys().virtual_server()).second);
      }
    }
  }
  return names;
}

using Names = std::set<std::string>;

class UnitBuilderTest : public testing::Test {
 protected:
  std::shared_ptr<const Chain> Build(std::string_view pool, std::optional<int64_t> revision) {
    auto chain = builder_.Build(pool, revision);
    EXPECT_TRUE(chain.ok()) << chain.status();
    return chain.ok() ? *chain : nullptr;
  }

  TestWorld world_;
  UnitBuilder builder_{world_.repository};
};

TEST_F(UnitBuilderTest, AResetHoldsThePoolsResourcesAndNoOthers) {
  world_.PutCertificate("c");
  world_.PutCertificate("d");
  world_.PutServer("a", {"east"}, {"c"});
  world_.PutServer("b", {"west"}, {"d"});
  world_.PutServer("all");
  const auto chain = Build("east", std::nullopt);
  EXPECT_EQ(Contents(*chain), (Names{"+virtualServers/a", "t:virtualServers/a", "+virtualServers/all", "t:virtualServers/all",
                                     "+certificates/c", "k:certificates/c"}));
  ASSERT_EQ(chain->pieces.size(), 1u);
  const v1::Unit& unit = chain->pieces[0].unit();
  EXPECT_TRUE(unit.reset());
  EXPECT_FALSE(unit.more());
  EXPECT_EQ(unit.epoch(), world_.store.epoch());
  EXPECT_EQ(unit.revision(), 5);
  EXPECT_EQ(unit.secrets(0).certificate_key().private_key_pem(), "secret key");
}

TEST_F(UnitBuilderTest, ADeltaHoldsWhatChangedCoalesced) {
  world_.PutServer("a");
  const int64_t held = world_.PutServer("b");
  for (int i = 0; i < 5; ++i) world_.PutServer("a");
  world_.PutServer("c");
  world_.DeleteServer("c");
  world_.DeleteServer("b");
  const auto chain = Build("east", held);
  EXPECT_EQ(Contents(*chain), (Names{"+virtualServers/a", "t:virtualServers/a", "-virtualServers/b", "-virtualServers/c"}));
  EXPECT_FALSE(chain->pieces[0].unit().reset());
}

TEST_F(UnitBuilderTest, AServerThatLeavesThePoolIsRemovedAndOneThatEntersBringsItsCertificate) {
  world_.PutCertificate("c");
  world_.PutServer("a", {"east"}, {"c"});
  const int64_t held = world_.PutServer("b", {"west"}, {"c"});
  world_.PutServer("a", {"west"}, {"c"});
  world_.PutServer("b", {"east"}, {"c"});
  EXPECT_EQ(Contents(*Build("east", held)), (Names{"-virtualServers/a", "+virtualServers/b", "t:virtualServers/b",
                                                   "+certificates/c", "k:certificates/c"}));
}

TEST_F(UnitBuilderTest, ARenewedCertificateGoesToThePoolsThatUseIt) {
  world_.PutCertificate("c");
  world_.PutServer("a", {"east"}, {"c"});
  const int64_t held = world_.PutServer("b", {"west"});
  world_.PutCertificate("c", "new key");
  const auto chain = Build("east", held);
  EXPECT_EQ(Contents(*chain), (Names{"+certificates/c", "k:certificates/c"}));
  EXPECT_EQ(chain->pieces[0].unit().secrets(0).certificate_key().private_key_pem(), "new key");
  const auto west = Build("west", held);
  EXPECT_EQ(Contents(*west), Names{});
  EXPECT_EQ(west->pieces.size(), 1u) << "the revision alone";
  EXPECT_EQ(west->revision, held + 1);
}

TEST_F(UnitBuilderTest, ARevisionThatIsGoneOrInTheFutureIsAnsweredWithReset) {
  TestWorld small(10);
  UnitBuilder builder(small.repository);
  for (int i = 0; i < 30; ++i) small.PutServer("a");
  EXPECT_TRUE((*builder.Build("east", 1))->pieces[0].unit().reset());
  EXPECT_TRUE((*builder.Build("east", 31))->pieces[0].unit().reset());
  EXPECT_FALSE((*builder.Build("east", 25))->pieces[0].unit().reset());
}

TEST_F(UnitBuilderTest, PiecesHaveAtMostTwoMebibytesAndAllButTheLastSayMore) {
  for (int i = 0; i < 7; ++i) world_.PutServer("big" + std::to_string(i), {}, {}, 900'000);
  const auto chain = Build("east", std::nullopt);
  ASSERT_EQ(chain->pieces.size(), 4u) << "two in a piece";
  for (size_t i = 0; i < chain->pieces.size(); ++i) {
    const v1::Unit& unit = chain->pieces[i].unit();
    EXPECT_LE(unit.ByteSizeLong(), kMaxUnitOctets);
    EXPECT_EQ(unit.more(), i + 1 < chain->pieces.size());
    EXPECT_TRUE(unit.reset());
    EXPECT_EQ(unit.nonce(), chain->nonce);
    EXPECT_EQ(unit.revision(), chain->revision);
  }
  EXPECT_EQ(Contents(*chain).size(), 14u);
}

TEST_F(UnitBuilderTest, EdgesAtTheSameRevisionShareAUnit) {
  world_.PutServer("a");
  const auto first = Build("east", std::nullopt);
  EXPECT_EQ(Build("east", std::nullopt), first);
  EXPECT_NE(Build("west", std::nullopt), first);
  EXPECT_NE(Build("east", 0), first);
  world_.PutServer("a");
  EXPECT_NE(Build("east", std::nullopt), first);
}

TEST_F(UnitBuilderTest, KeysAreSealedInTheStore) {
  world_.PutCertificate("c", "-----BEGIN PRIVATE KEY-----");
  world_.PutServer("a", {}, {"c"});
  const auto chain = Build("east", std::nullopt);
  std::set<std::string> secrets = {"-----BEGIN PRIVATE KEY-----"};
  for (const auto& secret : chain->pieces[0].unit().secrets())
    for (const auto& key : secret.ticket_keys().keys()) secrets.insert(key.aes_key());
  ASSERT_EQ(secrets.size(), 2u);
  bool more = false;
  const auto records = *(*world_.store.Read())->List("", "", 100, 1 << 20, &more);
  EXPECT_EQ(records.size(), 4u);
  for (const store::Record& record : records)
    for (const std::string& secret : secrets) EXPECT_EQ(record.value.find(secret), std::string::npos) << record.key;
}

TEST_F(UnitBuilderTest, RotationMakesAllTicketKeysAnewAndKeepsOnePrevious) {
  world_.PutServer("a");
  ASSERT_TRUE(*RotateIfDue(world_.repository, world_.clock, world_.random)) << "never done before";
  EXPECT_FALSE(*RotateIfDue(world_.repository, world_.clock, world_.random));
  const int64_t held = (*world_.store.Read())->revision();
  const v1::TicketKeys before = Build("east", std::nullopt)->pieces[0].unit().secrets(0).ticket_keys();
  ASSERT_EQ(before.keys_size(), 2);
  world_.clock.Advance(kTicketKeyLifetime - std::chrono::seconds(1));
  EXPECT_FALSE(*RotateIfDue(world_.repository, world_.clock, world_.random));
  world_.clock.Advance(std::chrono::seconds(1));
  EXPECT_TRUE(*RotateIfDue(world_.repository, world_.clock, world_.random));
  const auto chain = Build("east", held);
  EXPECT_EQ(Contents(*chain), Names{"t:virtualServers/a"}) << "the virtual server itself has not changed";
  const v1::TicketKeys after = chain->pieces[0].unit().secrets(0).ticket_keys();
  ASSERT_EQ(after.keys_size(), 2);
  EXPECT_EQ(after.keys(1).key_name(), before.keys(0).key_name());
  EXPECT_NE(after.keys(0).key_name(), before.keys(0).key_name());
  EXPECT_EQ(after.keys(0).key_name().size(), 16u);
  EXPECT_EQ(after.keys(0).hmac_key().size(), 32u);
  EXPECT_EQ(after.keys(0).aes_key().size(), 32u);
}

}  // namespace
}  // namespace gatepost::config
