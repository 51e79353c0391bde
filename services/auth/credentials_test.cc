// Preparation, argon2id, the cache, the verifiers' queue.
#include <absl/synchronization/notification.h>
#include <gsasl.h>
#include <gtest/gtest.h>

#include "services/auth/cores.h"
#include "services/auth/credential_cache.h"
#include "services/auth/limits.h"
#include "services/auth/password_hash.h"
#include "services/auth/prepare.h"
#include "services/auth/verifier.h"
#include "services/base/fake_clock.h"

namespace gatepost::auth {
namespace {

// What prepare.cc takes for granted, and does not ask for.
TEST(PrepareTest, SaslprepLeavesPrintableAsciiAsItIs) {
  for (int first = 0x20; first <= 0x7e; ++first) {
    for (int second = 0x20; second <= 0x7e; ++second) {
      const std::string text = {static_cast<char>(first), static_cast<char>(second)};
      char* out = nullptr;
      ASSERT_EQ(gsasl_saslprep(text.c_str(), static_cast<Gsasl_saslprep_flags>(0), &out, nullptr), GSASL_OK) << text;
      EXPECT_EQ(out, text);
      gsasl_free(out);
    }
  }
}

TEST(PrepareTest, WhatSaslprepProhibitsAndWhatIsTooLongIsRefused) {
  EXPECT_EQ(PrepareLogin("alice"), "alice");
  EXPECT_EQ(PrepareLogin("I\xc2\xadX"), "IX");
  EXPECT_EQ(PrepareLogin("\xe2\x85\xa8"), "IX");
  EXPECT_EQ(PrepareLogin("\xc2\xaa"), "a");
  EXPECT_EQ(PrepareLogin(std::string(255, 'a')), std::string(255, 'a'));
  for (const std::string& bad :
       {std::string(""), std::string(256, 'a'), std::string("a\0b", 3), std::string("a\x07"), std::string("\xff"),
        std::string("\xd8\xa7") + "1", std::string("\xc2\xad"), std::string("\xed\xa0\x80"), std::string("a\x7f")}) {
    EXPECT_EQ(PrepareLogin(bad), std::nullopt) << bad;
  }
  EXPECT_TRUE(PreparePassword(std::string(1024, 'p')));
  EXPECT_FALSE(PreparePassword(std::string(1025, 'p')));
  EXPECT_FALSE(PreparePassword(std::string(5000, 'p')));
  EXPECT_TRUE(PreparePassword("\xf0\x9f\xa6\xa9")) << "unassigned in Unicode 3.2, and somebody's password";
  EXPECT_EQ(LoginKey("Alice@Example.COM"), "alice@example.com");
}

TEST(PasswordHashTest, AHashVerifiesItsPasswordAlone) {
  base::SystemRandom random;
  const absl::StatusOr<std::string> hash = HashPassword("secret", random);
  ASSERT_TRUE(hash.ok());
  EXPECT_TRUE(hash->starts_with("$argon2id$v=19$m=19456,t=2,p=1$")) << *hash;
  EXPECT_TRUE(*VerifyPassword(*hash, "secret"));
  EXPECT_FALSE(*VerifyPassword(*hash, "secre"));
  EXPECT_FALSE(*VerifyPassword(*hash, std::string("secret\0", 7)));
  EXPECT_NE(*hash, *HashPassword("secret", random));
}

// limits.md: the parameters of a stored hash are bounded before it is verified.
TEST(PasswordHashTest, ParametersBeyondTheBoundsAreNotVerified) {
  const std::string tail = "$c29tZXNhbHRzb21lc2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";
  EXPECT_TRUE(IsVerifiable("$argon2id$v=19$m=65536,t=8,p=4" + tail));
  for (const char* bad :
       {"$argon2id$v=19$m=65537,t=2,p=1", "$argon2id$v=19$m=19456,t=9,p=1", "$argon2id$v=19$m=19456,t=2,p=5",
        "$argon2id$v=19$m=4294967295,t=4294967295,p=1", "$argon2id$v=16$m=19456,t=2,p=1",
        "$argon2i$v=19$m=19456,t=2,p=1", "$argon2id$v=19$m=19456,t=0,p=1", "$argon2id$m=19456,t=2,p=1",
        "$argon2id$v=19$m=-1,t=2,p=1", "$argon2id$v=19$t=2,m=19456,p=1"}) {
    EXPECT_FALSE(IsVerifiable(bad + tail)) << bad;
    EXPECT_FALSE(VerifyPassword(bad + tail, "x").ok()) << bad;
  }
  EXPECT_FALSE(VerifyPassword("", "x").ok());
  EXPECT_FALSE(VerifyPassword("$argon2id$v=19$m=19456,t=2,p=1$!!$!!", "x").ok());
  EXPECT_FALSE(IsVerifiable("$argon2id$v=19$m=19456,t=2,p=1$" + std::string(300, 'A')));
}

TEST(CredentialCacheTest, UserRevisionAndPasswordAllMakeTheKey) {
  base::FakeClock clock;
  base::SystemRandom random;
  CredentialCache cache(clock, random);
  const auto key = cache.KeyOf("users/a", 1, "bc");
  cache.Add(key);
  EXPECT_TRUE(cache.Contains(cache.KeyOf("users/a", 1, "bc")));
  EXPECT_FALSE(cache.Contains(cache.KeyOf("users/a", 2, "bc")));
  EXPECT_FALSE(cache.Contains(cache.KeyOf("users/ab", 1, "c")));
  EXPECT_FALSE(cache.Contains(cache.KeyOf("users/a", 1, "b")));
  const CredentialCache other(clock, random);
  EXPECT_NE(other.KeyOf("users/a", 1, "bc"), key) << "the key is made at start";
}

// limits.md: 10 min, 100,000 entries.
TEST(CredentialCacheTest, TheOldestGoesBeyondTheMostEntries) {
  base::FakeClock clock;
  base::SystemRandom random;
  CredentialCache cache(clock, random);
  for (size_t i = 0; i < kMostCached; ++i) cache.Add(cache.KeyOf("u", static_cast<int64_t>(i), ""));
  EXPECT_EQ(cache.size(), kMostCached);
  EXPECT_TRUE(cache.Contains(cache.KeyOf("u", 0, "")));
  cache.Add(cache.KeyOf("u", -1, ""));
  EXPECT_EQ(cache.size(), kMostCached);
  EXPECT_FALSE(cache.Contains(cache.KeyOf("u", 0, "")));
  EXPECT_TRUE(cache.Contains(cache.KeyOf("u", 1, "")));
  clock.Advance(kCacheTime - std::chrono::seconds(1));
  EXPECT_TRUE(cache.Contains(cache.KeyOf("u", 1, "")));
  clock.Advance(std::chrono::seconds(1));
  EXPECT_FALSE(cache.Contains(cache.KeyOf("u", 1, "")));
  cache.Add(cache.KeyOf("v", 1, ""));
  EXPECT_EQ(cache.size(), 1u) << "what has expired is gone";
  for (int i = 0; i < 5; ++i) cache.Add(cache.KeyOf("v", 1, ""));
  EXPECT_EQ(cache.size(), 1u);
}

class VerifierTest : public testing::Test {
 protected:
  base::FakeClock clock_;
  base::SystemRandom random_;
  Metrics metrics_;
};

TEST_F(VerifierTest, ADecoyIsFalseForTheSameWork) {
  Verifier verifier(1, clock_, random_, metrics_);
  const std::string hash = verifier.Derive(base::Secret("secret"), kLeastScramIterations)->argon2id;
  EXPECT_EQ(verifier.runs(), 1u);
  const auto ask = [&](const std::string& stored, const char* password) {
    absl::StatusOr<bool> result = false;
    absl::Notification done;
    verifier.Verify(stored, base::Secret(password), nullptr, [&](absl::StatusOr<bool> answer) {
      result = std::move(answer);
      done.Notify();
    });
    done.WaitForNotification();
    return *result;
  };
  EXPECT_TRUE(ask(hash, "secret"));
  EXPECT_FALSE(ask(hash, "other"));
  EXPECT_FALSE(ask("", "secret"));
  EXPECT_EQ(verifier.runs(), 4u);
}

TEST_F(VerifierTest, AHashWaitsTwoSecondsForASlotToo) {
  Verifier verifier(1, clock_, random_, metrics_);
  verifier.PauseForTests(true);
  absl::StatusOr<PasswordSecrets> hash = PasswordSecrets();
  std::thread caller([&] { hash = verifier.Derive(base::Secret("secret"), kLeastScramIterations); });
  while (verifier.waiting() == 0) std::this_thread::yield();
  clock_.Advance(kSlotWait);
  verifier.Tick();
  caller.join();
  EXPECT_TRUE(absl::IsUnavailable(hash.status()));
}

TEST_F(VerifierTest, WhatWaitsAtTheEndIsAnswered) {
  int answered = 0;
  {
    Verifier verifier(1, clock_, random_, metrics_);
    verifier.PauseForTests(true);
    for (int i = 0; i < 3; ++i) {
      verifier.Verify("", base::Secret("x"), nullptr,
                      [&](absl::StatusOr<bool> answer) { answered += absl::IsUnavailable(answer.status()) ? 1 : 0; });
    }
    verifier.Stop();
    EXPECT_EQ(answered, 3);
    EXPECT_TRUE(absl::IsUnavailable(verifier.Derive(base::Secret("x"), kLeastScramIterations).status())) << "nothing waits for ever";
  }
  EXPECT_GE(AvailableCores(), 1);
}

}  // namespace
}  // namespace gatepost::auth
