// What passwords leave in the store, and decoys. threats.md A6, A9.
#include <gtest/gtest.h>

#include "services/auth/application_password.h"
#include "services/auth/limits.h"
#include "services/auth/scram_secret.h"
#include "services/auth/user_records.h"
#include "services/auth/user_secrets.h"
#include "services/base/base64.h"
#include "services/base/fake_clock.h"
#include "services/base/strings.h"
#include "services/sasl/nt_hash.h"
#include "services/store/memory_store.h"

namespace gatepost::auth {
namespace {

// RFC 7677 3.
TEST(ScramSecretTest, AgreesWithThePublishedExample) {
  const std::string salt = *base::Base64Decode("W22ZaJ0SNY7soEsUEjb6gQ==");
  const sasl::ScramSecret secret = DeriveScramSecret("pencil", salt, 4'096);
  EXPECT_EQ(base::Base64Encode(secret.stored_key), "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
  EXPECT_EQ(base::Base64Encode(secret.server_key), "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

TEST(ScramSecretTest, IsReadAsItWasWritten) {
  base::SystemRandom random;
  const std::string text = MakeScramSecret("pencil", 4'096, random);
  const auto secret = ParseScramSecret(text);
  ASSERT_TRUE(secret) << text;
  EXPECT_EQ(secret->salt.size(), kScramSaltOctets);
  EXPECT_EQ(secret->stored_key, DeriveScramSecret("pencil", secret->salt, 4'096).stored_key);
  EXPECT_NE(MakeScramSecret("pencil", 4'096, random), text);
}

// threats.md A9: 2^31 iterations in a stored record.
TEST(ScramSecretTest, IterationsAreBoundedBeforeTheyAreUsed) {
  const auto with = [](const std::string& iterations) {
    const std::string key = base::Base64Encode(std::string(32, 'k'));
    return ParseScramSecret("SCRAM-SHA-256$" + iterations + ":" + base::Base64Encode(std::string(16, 's')) + "$" + key +
                            ":" + key)
        .has_value();
  };
  EXPECT_TRUE(with("4096"));
  EXPECT_FALSE(with("4095"));
  EXPECT_TRUE(with("1000000"));
  EXPECT_FALSE(with("1000001"));
  for (const char* bad : {"", "-1", "2147483648", "4294971392", "99999999999999999999", "4096x", "+4096"})
    EXPECT_FALSE(with(bad)) << bad;
}

TEST(ScramSecretTest, RefusesDamagedText) {
  base::SystemRandom random;
  const std::string text = MakeScramSecret("pencil", 4'096, random);
  for (size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(ParseScramSecret(text.substr(0, size))) << size;
  EXPECT_FALSE(ParseScramSecret(text + "A"));
  EXPECT_FALSE(ParseScramSecret(text + std::string(600, 'A')));
}

class UserSecretsTest : public testing::Test {
 protected:
  void SetUp() override { AddUser("alice", true); }
  void AddUser(const std::string& id, bool ntlm) {
    v1::User user;
    user.set_name("users/" + id);
    user.set_login(id);
    user.set_state(v1::User::ENABLED);
    store::Transaction transaction;
    transaction.writes.push_back({"users/" + id, Stored(user), {}});
    transaction.writes.push_back({"logins/" + id, id, {}});
    secrets_.Set(id, {"argon", MakeScramSecret("pencil", 5'000, random_), sasl::NtHashOf("pencil")}, ntlm,
                 &transaction);
    ASSERT_TRUE(store_.Commit(transaction).ok());
  }
  void Commit(const std::function<void(store::Transaction*)>& fill) {
    store::Transaction transaction;
    fill(&transaction);
    ASSERT_TRUE(store_.Commit(transaction).ok());
  }

  UserSecrets::Found Find(sasl::SecretKind kind, const std::string& client = "192.0.2.1") {
    return *secrets_.Find(kind, "alice", *base::IpAddress::Parse(client), clock_.WallNow());
  }

  base::FakeClock clock_;
  base::SystemRandom random_;
  store::MemoryStore store_{clock_, random_};
  const store::SealingKey key_ = *store::SealingKey::FromBytes(std::string(32, 'm'));
  UserSecrets secrets_{store_, key_, std::string(32, 'd'), 5'000, random_};
};

TEST_F(UserSecretsTest, MechanismsGetWhatTheyNeed) {
  const auto scram = Find(sasl::SecretKind::kScramSha256);
  EXPECT_EQ(scram.decoy, "");
  EXPECT_EQ(scram.user, "users/alice");
  const auto& secret = std::get<sasl::ScramSecret>(scram.secret);
  EXPECT_EQ(secret.stored_key, DeriveScramSecret("pencil", secret.salt, 5'000).stored_key);
  const auto nt = Find(sasl::SecretKind::kNtHash);
  EXPECT_EQ(nt.decoy, "");
  EXPECT_EQ(std::get<sasl::NtHash>(nt.secret), sasl::NtHashOf("pencil"));
}

TEST_F(UserSecretsTest, TheNtHashIsKeptOnRequestAloneAndSealed) {
  EXPECT_TRUE(*secrets_.HasNtHashes());
  const std::string sealed = (*store_.Read())->Get("ntHashes/alice")->value;
  const sasl::NtHash hash = sasl::NtHashOf("pencil");
  EXPECT_EQ(sealed.find(std::string(reinterpret_cast<const char*>(hash.data()), hash.size())), std::string::npos);
  Commit([&](store::Transaction* transaction) { secrets_.Remove(kNtHashForm, "alice", transaction); });
  EXPECT_FALSE(*secrets_.HasNtHashes());
  EXPECT_EQ(Find(sasl::SecretKind::kNtHash).decoy, "no_password");
  AddUser("bob", false);
  EXPECT_FALSE(*secrets_.HasNtHashes());
}

// One user's sealed hash is worth nothing in another's record.
TEST_F(UserSecretsTest, ASealedHashBelongsToItsUser) {
  AddUser("bob", true);
  const std::string sealed = (*store_.Read())->Get("ntHashes/bob")->value;
  Commit([&](store::Transaction* transaction) { transaction->writes.push_back({"ntHashes/alice", sealed, {}}); });
  const auto found = Find(sasl::SecretKind::kNtHash);
  EXPECT_EQ(found.decoy, "damaged");
  EXPECT_NE(std::get<sasl::NtHash>(found.secret), sasl::NtHashOf("pencil"));
}

// threats.md A6: stable, of the same form, alike on every replica; nobody's.
TEST_F(UserSecretsTest, ADecoyIsTheSameAtEachTryAndOnEachReplica) {
  const auto ask = [](const UserSecrets& secrets, const std::string& login) {
    const auto found = secrets.Find(sasl::SecretKind::kScramSha256, login, {}, {});
    EXPECT_EQ(found->decoy, "unknown");
    return std::get<sasl::ScramSecret>(found->secret);
  };
  const UserSecrets replica(store_, key_, std::string(32, 'd'), 5'000, random_);
  const sasl::ScramSecret first = ask(secrets_, "nobody");
  EXPECT_EQ(first.salt.size(), kScramSaltOctets);
  EXPECT_EQ(first.iterations, 5'000u);
  EXPECT_EQ(ask(secrets_, "nobody").salt, first.salt);
  EXPECT_EQ(ask(replica, "nobody").salt, first.salt);
  EXPECT_NE(ask(secrets_, "somebody").salt, first.salt);
  EXPECT_NE(first.stored_key, first.server_key);
}

// What a credential is bound to holds before anything is proved: from elsewhere its secret is nobody's.
TEST_F(UserSecretsTest, ASecretIsADecoyForClientsItIsNotBoundTo) {
  v1::Credential bound;
  bound.add_networks("192.0.2.0/24");
  *bound.mutable_expire_time() = ToTimestamp(clock_.WallNow() + std::chrono::seconds(1));
  Commit([&](store::Transaction* transaction) {
    transaction->writes.push_back({"credentials/alice/scram", Stored(bound), {}});
  });
  EXPECT_EQ(Find(sasl::SecretKind::kScramSha256).decoy, "");
  const auto elsewhere = Find(sasl::SecretKind::kScramSha256, "192.0.3.1");
  EXPECT_EQ(elsewhere.decoy, "network");
  const auto& decoy = std::get<sasl::ScramSecret>(elsewhere.secret);
  EXPECT_EQ(decoy.iterations, 5'000u);
  EXPECT_NE(decoy.stored_key, DeriveScramSecret("pencil", decoy.salt, 5'000).stored_key);
  EXPECT_EQ(Find(sasl::SecretKind::kNtHash, "192.0.3.1").decoy, "") << "each form by itself";
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(Find(sasl::SecretKind::kScramSha256).decoy, "expired");
}

TEST(ApplicationPasswordTest, IsOf140BitsInAFormThatPeopleCanType) {
  base::SystemRandom random;
  const std::string password = MakeApplicationPassword(random);
  ASSERT_EQ(password.size(), 34u);
  for (size_t i = 0; i < password.size(); ++i) {
    EXPECT_EQ(password[i] == '-', i % 5 == 4) << password;
    if (i % 5 != 4)
      EXPECT_NE(std::string_view("abcdefghijklmnopqrstuvwxyz234567").find(password[i]), std::string::npos);
  }
  EXPECT_NE(MakeApplicationPassword(random), password);
}

TEST(ApplicationPasswordTest, ItsDigestNeedsTheKeyAndForgivesWhatTypingDoes) {
  const std::string key(32, 'k');
  const std::string digest = ApplicationPasswordDigest(key, "abcd-efgh");
  EXPECT_EQ(digest.size(), 64u);
  for (const char* same : {"abcdefgh", "ABCD-EFGH", "abcd efgh", " abcd-efgh "})
    EXPECT_EQ(ApplicationPasswordDigest(key, same), digest) << same;
  for (const char* other : {"", "abcdefg", "abcd_efgh", "abcdefgha"})
    EXPECT_NE(ApplicationPasswordDigest(key, other), digest) << other;
  EXPECT_NE(ApplicationPasswordDigest(std::string(32, 'l'), "abcd-efgh"), digest);
}

TEST_F(UserSecretsTest, ADamagedSecretIsADecoy) {
  Commit([&](store::Transaction* transaction) {
    transaction->writes.push_back({"scram/alice", "SCRAM-SHA-256$2147483648:", {}});
  });
  EXPECT_EQ(Find(sasl::SecretKind::kScramSha256).decoy, "damaged");
}

}  // namespace
}  // namespace gatepost::auth
