// Authenticate over real gRPC: what clients send and what edges are told. threats.md A4, A6, A8; limits.md,
// Authentication.
#include "services/auth/sasl_service.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <functional>
#include <set>
#include <thread>

#include "services/auth/test_world.h"

namespace gatepost::auth {
namespace {

using v1::AuthenticateResponse;
using v1::Failure;
using namespace std::string_literals;

constexpr char kLogin[] = "alice@example.com";
constexpr char kPassword[] = "correct horse";

std::string Say(const AuthenticateResponse& response) {
  if (response.has_success()) return "success";
  if (response.has_challenge()) return "challenge " + response.challenge().data();
  if (response.has_failure()) return Failure::Category_Name(response.failure().category());
  return "?";
}

// Until something is so; fails the test after 20 s.
void Await(const std::function<bool()>& so, const char* what) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!so()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << what;
    std::this_thread::yield();
  }
}

class SaslServiceTest : public testing::Test {
 protected:
  void SetUp() override { world_.AddUser("alice", kLogin, kPassword); }
  TestWorld world_;
};

TEST_F(SaslServiceTest, TheServiceSaysFirstWhichMechanismsItServes) {
  EdgeStream edge(world_);
  const auto first = edge.Read();
  ASSERT_TRUE(first && first->has_mechanisms());
  EXPECT_EQ(first->exchange_id(), 0u);
  const auto& names = first->mechanisms().names();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()),
            (std::set<std::string>{"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL"}));
}

TEST_F(SaslServiceTest, ASuccessSaysWhoAndWhatTheUserMay) {
  EdgeStream edge(world_);
  const AuthenticateResponse answer = edge.Plain(7, "Alice@EXAMPLE.com", kPassword);
  ASSERT_TRUE(answer.has_success()) << Say(answer);
  EXPECT_EQ(answer.exchange_id(), 7u);
  EXPECT_EQ(answer.success().user(), "users/alice");
  EXPECT_EQ(answer.success().login(), kLogin);
  EXPECT_EQ(answer.success().authzid(), "");
  EXPECT_TRUE(answer.success().may_submit() && answer.success().may_relay());
  EXPECT_FALSE(answer.success().has_final());
}

TEST_F(SaslServiceTest, LoginAsksForNameAndPassword) {
  EdgeStream edge(world_);
  edge.Start(1, "LOGIN", std::nullopt);
  EXPECT_EQ(Say(edge.Answer()), "challenge Username:");
  edge.Respond(1, kLogin);
  EXPECT_EQ(Say(edge.Answer()), "challenge Password:");
  edge.Respond(1, kPassword);
  EXPECT_EQ(Say(edge.Answer()), "success");
  edge.Start(2, "LOGIN", kLogin);
  EXPECT_EQ(Say(edge.Answer()), "challenge Password:");
  edge.Respond(2, "wrong");
  EXPECT_EQ(Say(edge.Answer()), "CREDENTIALS");
  edge.Start(3, "PLAIN", std::nullopt);
  EXPECT_EQ(Say(edge.Answer()), "challenge ");
  edge.Respond(3, EdgeStream::PlainMessage("", kLogin, kPassword));
  EXPECT_EQ(Say(edge.Answer()), "success");
}

TEST_F(SaslServiceTest, TheDefaultDomainIsAppendedToABareName) {
  EdgeStream edge(world_);
  const std::string bare = EdgeStream::PlainMessage("", "alice", kPassword);
  edge.Start(1, "PLAIN", bare, "example.com");
  EXPECT_EQ(Say(edge.Answer()), "success");
  edge.Start(2, "PLAIN", bare, "example.org");
  EXPECT_EQ(Say(edge.Answer()), "CREDENTIALS");
  edge.Start(3, "PLAIN", bare);
  EXPECT_EQ(Say(edge.Answer()), "CREDENTIALS");
  edge.Start(4, "PLAIN", EdgeStream::PlainMessage("", kLogin, kPassword), "example.org");
  EXPECT_EQ(Say(edge.Answer()), "success");
}

// threats.md A4. No truncation at a NUL anywhere, no name or password longer than its limit, no authzid of somebody
// else.
TEST_F(SaslServiceTest, MessagesAreTakenWholeOrNotAtAll) {
  world_.AddUser("long", std::string(255, 'l'), std::string(1024, 'p'));
  world_.AddUser("emoji", "emoji@example.com", "pass\xf0\x9f\x98\x80word");
  const std::string a = kLogin, p = kPassword;
  const struct {
    std::string message, expected;
  } kCases[] = {
      {"\0"s + a + "\0"s + p, "success"},
      {a + "\0"s + a + "\0"s + p, "success"},                 // Oneself.
      {"bob@example.com\0"s + a + "\0"s + p, "CREDENTIALS"},  // Somebody else.
      {"\0"s + a, "MALFORMED"},
      {a + "\0"s + p, "MALFORMED"},
      {"\0\0"s, "MALFORMED"},
      {"", "MALFORMED"},
      {"\0"s + a + "\0"s + p + "\0x"s, "MALFORMED"},
      {"\0"s + a + "\0"s + p + "\0"s, "MALFORMED"},
      {"\0"s + a + "\0x"s + "\0"s + p, "MALFORMED"},
      {"\0\0\0\0"s, "MALFORMED"},
      {"\0"s + a + "\0"s, "MALFORMED"},
      {"\0"s + a + "\xff\0"s + p, "MALFORMED"},
      {"\0"s + a + "\0\xc0\xaf"s, "MALFORMED"},  // Overlong UTF-8.
      {"\0"s + a + "\r\0"s + p, "MALFORMED"},
      {"\0\x7f"s + a + "\0"s + p, "MALFORMED"},
      {"\0"s + a + "\0"s + p + "\r", "CREDENTIALS"},  // SASLprep prohibits it.
      {"\0"s + a + "\0"s + p.substr(0, p.size() - 1), "CREDENTIALS"},
      {"\0"s + a + "\0"s + p + p, "CREDENTIALS"},
      {"\0"s + std::string(255, 'l') + "\0"s + std::string(1024, 'p'), "success"},
      {"\0"s + std::string(255, 'l') + "\0"s + std::string(1025, 'p'), "CREDENTIALS"},
      {"\0"s + std::string(255, 'l') + "\0"s + std::string(8000, 'p'), "CREDENTIALS"},
      {"\0"s + std::string(256, 'l') + "\0"s + std::string(1024, 'p'), "MALFORMED"},
      {"\0emoji@example.com\0pass\xf0\x9f\x98\x80word"s, "success"},
      {"\0emoji@example.com\0pass"s, "CREDENTIALS"},
      {"\0"s + a + "\0"s + std::string(9216 - a.size() - 2, 'p'), "CREDENTIALS"},
      {"\0"s + a + "\0"s + std::string(9217 - a.size() - 2, 'p'), "MALFORMED"},
  };
  EdgeStream edge(world_);
  uint64_t id = 0;
  for (const auto& [message, expected] : kCases) {
    edge.Start(++id, "PLAIN", message);
    EXPECT_EQ(Say(edge.Answer()), expected) << "case " << id;
  }
}

// A soft hyphen goes, a no-break space is a space, a full-width letter is its letter (NFKC): in both places alike.
TEST_F(SaslServiceTest, NamesAndPasswordsArePreparedWhenSetAndWhenVerified) {
  world_.AddUser("prep", "p\xc2\xadrep", "one\xc2\xa0two\xef\xbc\xa1");
  EdgeStream edge(world_);
  EXPECT_EQ(Say(edge.Plain(1, "prep", "one twoA")), "success");
  EXPECT_EQ(Say(edge.Plain(2,
                           "pr\xc2\xad"
                           "ep",
                           "one\xc2\xa0two\xef\xbc\xa1")),
            "success");
  EXPECT_EQ(edge.Plain(3, "prep", "one twoA").success().login(), "prep");
}

// threats.md A6: who is not told apart by octets or work. 30 rounds, known and unknown interleaved, per mechanism; no
// cache hits, since failures are not cached.
TEST_F(SaslServiceTest, UnknownDisabledLockedAndMistakenUsersGetTheSameOctetsForTheSameWork) {
  world_.AddUser("disabled", "disabled@example.com", kPassword);
  world_.Disable("disabled");
  v1::CreateUserRequest request;
  request.set_user_id("empty");
  request.mutable_user()->set_login("empty@example.com");
  v1::User user;
  grpc::ClientContext context;
  ASSERT_TRUE(world_.Users()->CreateUser(&context, request, &user).ok());

  const struct {
    const char* what;
    std::string authzid, login, password;
  } kCases[] = {
      {"wrong password", "", kLogin, "wrong"},
      {"unknown", "", "nobody@example.com", "wrong"},
      {"unknown with a known password", "", "nobody@example.com", kPassword},
      {"disabled, wrong password", "", "disabled@example.com", "wrong"},
      {"disabled, right password", "", "disabled@example.com", kPassword},
      {"no password set", "", "empty@example.com", "wrong"},
      {"prohibited password", "", kLogin, "wrong\x01"},
      {"prohibited password, unknown", "", "nobody@example.com", "wrong\x01"},
      {"oversize password", "", kLogin, std::string(2000, 'x')},
      {"oversize password, unknown", "", "nobody@example.com", std::string(2000, 'x')},
      {"somebody else's authzid, right password", "bob@example.com", kLogin, kPassword},
  };
  EdgeStream edge(world_);
  uint64_t id = 0;
  for (int round = 0; round < 3; ++round) {
    for (const bool login : {false, true}) {
      std::optional<std::string> octets;
      for (const auto& test : kCases) {
        if (login && !test.authzid.empty()) continue;
        const uint64_t argon2 = world_.verifier.runs(), hmac = world_.cache.runs();
        ++id;
        AuthenticateResponse answer;
        if (login) {
          edge.Start(id, "LOGIN", test.login);
          edge.Answer();
          edge.Respond(id, test.password);
          answer = edge.Answer();
        } else {
          edge.Start(id, "PLAIN", EdgeStream::PlainMessage(test.authzid, test.login, test.password));
          answer = edge.Answer();
        }
        EXPECT_EQ(answer.exchange_id(), id);
        EXPECT_EQ(world_.verifier.runs() - argon2, 1u) << test.what;
        EXPECT_EQ(world_.cache.runs() - hmac, 1u) << test.what;
        answer.clear_exchange_id();
        if (!octets) octets = answer.SerializeAsString();
        EXPECT_EQ(answer.SerializeAsString(), *octets) << test.what << ": " << Say(answer);
      }
    }
  }
  // The outage: nobody can say, for anybody, without work.
  world_.store.down = true;
  const uint64_t argon2 = world_.verifier.runs();
  for (const char* who : {kLogin, "nobody@example.com", "disabled@example.com"}) {
    EXPECT_EQ(Say(edge.Plain(++id, who, kPassword)), "UNAVAILABLE") << who;
  }
  EXPECT_EQ(world_.verifier.runs(), argon2);
}

TEST_F(SaslServiceTest, AVerifiedPasswordIsRememberedForTenMinutesAndAFailureIsNot) {
  EdgeStream edge(world_);
  uint64_t id = 0;
  const auto work = [&](const char* password) {
    const uint64_t before = world_.verifier.runs();
    edge.Plain(++id, kLogin, password);
    return world_.verifier.runs() - before;
  };
  EXPECT_EQ(work("wrong"), 1u);
  EXPECT_EQ(work("wrong"), 1u);
  EXPECT_EQ(work(kPassword), 1u);
  EXPECT_EQ(work(kPassword), 0u);
  EXPECT_EQ(work("wrong"), 1u);
  world_.clock.Advance(kCacheTime - std::chrono::milliseconds(1));
  EXPECT_EQ(work(kPassword), 0u);
  world_.clock.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(work(kPassword), 1u);
}

TEST_F(SaslServiceTest, AChangeIsInForceAtTheNextLoginThoughTheOldOneIsRemembered) {
  EdgeStream edge(world_);
  ASSERT_EQ(Say(edge.Plain(1, kLogin, kPassword)), "success");
  world_.SetPassword("alice", "another");
  EXPECT_EQ(Say(edge.Plain(2, kLogin, kPassword)), "CREDENTIALS");
  EXPECT_EQ(Say(edge.Plain(3, kLogin, "another")), "success");
  world_.Disable("alice");
  EXPECT_EQ(Say(edge.Plain(4, kLogin, "another")), "CREDENTIALS");
}

// threats.md A8; limits.md: slots, 2 s without one.
TEST_F(SaslServiceTest, WhoFindsNoSlotWithinTwoSecondsIsToldSoAndMemoryIsBoundedBySlots) {
  rusage before = {};
  getrusage(RUSAGE_SELF, &before);
  EdgeStream edge(world_);
  world_.verifier.PauseForTests(true);
  constexpr int kClients = 200;
  for (int i = 1; i <= kClients; ++i)
    edge.Start(static_cast<uint64_t>(i), "PLAIN", EdgeStream::PlainMessage("", kLogin, kPassword));
  Await([&] { return world_.verifier.waiting() == kClients; }, "all wait");
  world_.clock.Advance(kSlotWait - std::chrono::milliseconds(1));
  world_.verifier.Tick();
  EXPECT_EQ(world_.verifier.waiting(), static_cast<size_t>(kClients));
  // Some find a slot in time, the others are told.
  world_.verifier.PauseForTests(false);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Say(edge.Answer()), "success");
  world_.clock.Advance(std::chrono::milliseconds(1));
  world_.verifier.Tick();
  int unavailable = 0;
  for (int i = 10; i < kClients; ++i) {
    const std::string answer = Say(edge.Answer());
    EXPECT_TRUE(answer == "success" || answer == "UNAVAILABLE") << answer;
    unavailable += answer == "UNAVAILABLE";
  }
  EXPECT_GT(unavailable, 100);
  EXPECT_EQ(Say(edge.Plain(1000, kLogin, kPassword)), "success") << "tried again";
  rusage after = {};
  getrusage(RUSAGE_SELF, &after);
#ifndef GATEPOST_SANITIZER
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, (TestWorld::kSlots * 19 + 24) * 1024) << "KiB";
#endif
}

TEST_F(SaslServiceTest, ACancelledExchangeIsNotComputedAndNotAnswered) {
  EdgeStream edge(world_);
  world_.verifier.PauseForTests(true);
  const uint64_t runs = world_.verifier.runs();
  edge.Start(1, "PLAIN", EdgeStream::PlainMessage("", kLogin, kPassword));
  Await([&] { return world_.verifier.waiting() == 1; }, "queued");
  edge.Cancel(1);
  edge.Cancel(1);  // Once more is nothing.
  // Its id is free again, and means another exchange.
  edge.Start(1, "LOGIN", std::nullopt);
  EXPECT_EQ(Say(edge.Answer()), "challenge Username:");
  world_.verifier.PauseForTests(false);
  edge.Respond(1, kLogin);
  EXPECT_EQ(Say(edge.Answer()), "challenge Password:");
  edge.Respond(1, kPassword);
  EXPECT_EQ(Say(edge.Answer()), "success");
  EXPECT_EQ(world_.verifier.runs() - runs, 1u);
}

TEST_F(SaslServiceTest, MessagesForUnknownExchangesAreCountedAndOtherwiseIgnored) {
  EdgeStream edge(world_);
  const double stray = world_.metrics.stray.Value();
  edge.Respond(99, "x");
  edge.Cancel(98);
  EXPECT_EQ(Say(edge.Plain(1, kLogin, kPassword)), "success");
  edge.Respond(1, "late");
  EXPECT_EQ(Say(edge.Plain(2, kLogin, kPassword)), "success");
  EXPECT_EQ(world_.metrics.stray.Value() - stray, 2);
}

TEST_F(SaslServiceTest, AResponseBeforeAChallengeFailsThatExchangeAlone) {
  EdgeStream edge(world_);
  world_.verifier.PauseForTests(true);
  edge.Start(1, "PLAIN", EdgeStream::PlainMessage("", kLogin, kPassword));
  edge.Respond(1, EdgeStream::PlainMessage("", kLogin, kPassword));
  EXPECT_EQ(Say(edge.Answer()), "UNAVAILABLE");
  world_.verifier.PauseForTests(false);
  const AuthenticateResponse answer = edge.Plain(2, kLogin, kPassword);
  EXPECT_EQ(answer.exchange_id(), 2u);
  EXPECT_EQ(Say(answer), "success");
}

TEST_F(SaslServiceTest, WhatNoEdgeSaysEndsTheStream) {
  for (int kind = 0; kind < 3; ++kind) {
    EdgeStream edge(world_);
    v1::AuthenticateRequest request;
    if (kind == 0) {
      edge.Start(0, "PLAIN", "x");
    } else if (kind == 1) {
      edge.Start(1, "LOGIN", std::nullopt);
      edge.Start(1, "LOGIN", std::nullopt);
    } else {
      request.set_exchange_id(1);
      edge.Write(request);
    }
    while (edge.Read()) {
    }
    EXPECT_EQ(edge.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT) << kind;
  }
}

TEST_F(SaslServiceTest, AMechanismThatIsNotServedIsAFailureOfItsOwn) {
  EdgeStream edge(world_);
  for (const char* name : {"NTLM", "OAUTHBEARER", "plain", "", "SCRAM-SHA-1"}) {
    edge.Start(1, name, std::nullopt);
    EXPECT_EQ(Say(edge.Answer()), "MECHANISM") << name;
  }
}

// limits.md: exchanges in flight on one stream, 256.
TEST_F(SaslServiceTest, A257thExchangeIsRefusedUntilOneEnds) {
  EdgeStream edge(world_);
  for (uint64_t id = 1; id <= kMostExchanges; ++id) {
    edge.Start(id, "LOGIN", std::nullopt);
    ASSERT_EQ(Say(edge.Answer()), "challenge Username:") << id;
  }
  edge.Start(1000, "LOGIN", std::nullopt);
  EXPECT_EQ(Say(edge.Answer()), "UNAVAILABLE");
  edge.Cancel(1);
  edge.Start(1001, "LOGIN", std::nullopt);
  EXPECT_EQ(Say(edge.Answer()), "challenge Username:");
  EdgeStream other(world_);
  other.Start(1, "LOGIN", std::nullopt);
  EXPECT_EQ(Say(other.Answer()), "challenge Username:") << "the bound is each stream's own";
}

// limits.md: an exchange idle between client steps, 60 s.
TEST_F(SaslServiceTest, AnExchangeThatWaitsSixtySecondsForItsClientIsOver) {
  EdgeStream edge(world_);
  edge.Start(1, "LOGIN", std::nullopt);
  EXPECT_EQ(Say(edge.Answer()), "challenge Username:");
  world_.clock.Advance(kExchangeIdle - std::chrono::milliseconds(1));
  world_.sasl.Tick();
  edge.Respond(1, kLogin);
  EXPECT_EQ(Say(edge.Answer()), "challenge Password:");
  world_.clock.Advance(kExchangeIdle);
  world_.sasl.Tick();
  EXPECT_EQ(Say(edge.Answer()), "EXPIRED");
  edge.Respond(1, kPassword);
  EXPECT_EQ(edge.Plain(2, kLogin, kPassword).exchange_id(), 2u) << "the late line is not answered";
}

// api.md: on every stream within 1 s, and on a new stream everything of the last 24 h before any answer.
TEST_F(SaslServiceTest, RevocationsReachEveryStreamAndANewOneFirst) {
  world_.AddUser("bob", "bob@example.com", kPassword);
  EdgeStream one(world_), two(world_);
  one.Read();
  two.Read();
  const auto begun = std::chrono::steady_clock::now();
  world_.Disable("alice");
  for (EdgeStream* stream : {&one, &two}) {
    const auto message = stream->Read();
    ASSERT_TRUE(message && message->has_revoked());
    EXPECT_EQ(message->revoked().user(), "users/alice");
    EXPECT_EQ(message->revoked().since().seconds(),
              std::chrono::floor<std::chrono::seconds>(world_.clock.WallNow().time_since_epoch()).count());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
  world_.SetPassword("bob", "new");
  v1::DeleteUserRequest request;
  request.set_name("users/alice");
  google::protobuf::Empty nothing;
  grpc::ClientContext context;
  ASSERT_TRUE(world_.Users()->DeleteUser(&context, request, &nothing).ok());
  EXPECT_EQ(one.Read()->revoked().user(), "users/bob");
  v1::RevokeDirectoryUserSessionsRequest elsewhere;
  elsewhere.set_name("directories/corp/users/Carol/x@CORP.example");
  v1::RevokeDirectoryUserSessionsResponse response;
  grpc::ClientContext another;
  ASSERT_TRUE(world_.Users()->RevokeDirectoryUserSessions(&another, elsewhere, &response).ok());
  EXPECT_EQ(response.name(), "directories/corp/users/carol/x@corp.example") << "as sessions have it";
  const std::optional<v1::AuthenticateResponse> told = one.Read();
  ASSERT_TRUE(told && told->has_revoked());
  EXPECT_EQ(told->revoked().user(), response.name());
  EXPECT_EQ(told->revoked().since().seconds(), response.sessions_revoked_time().seconds());

  ASSERT_TRUE(world_.revocations.Refresh().ok());
  EdgeStream late(world_);
  late.Start(1, "PLAIN", EdgeStream::PlainMessage("", "bob@example.com", "new"));
  EXPECT_EQ(late.Read()->revoked().user(), response.name());
  EXPECT_EQ(late.Read()->revoked().user(), "users/alice");
  EXPECT_EQ(late.Read()->revoked().user(), "users/bob");
  EXPECT_TRUE(late.Read()->has_mechanisms());
  EXPECT_EQ(Say(*late.Read()), "success");

  world_.clock.Advance(kRevocationTime + std::chrono::seconds(1));
  EdgeStream tomorrow(world_);
  EXPECT_TRUE(tomorrow.Read()->has_mechanisms()) << "the longest session is over";
  ASSERT_TRUE(world_.revocations.Clean().ok());
  bool more = false;
  EXPECT_TRUE((*world_.memory.Read())->List("revocations/", "", 10, 1000, &more)->empty());
}

TEST_F(SaslServiceTest, ARevocationDuringALoginIsNotOvertakenByItsSuccess) {
  EdgeStream edge(world_);
  edge.Read();
  world_.verifier.PauseForTests(true);
  edge.Start(1, "PLAIN", EdgeStream::PlainMessage("", kLogin, kPassword));
  Await([&] { return world_.verifier.waiting() == 1; }, "queued");
  world_.Disable("alice");
  ASSERT_TRUE(edge.Read()->has_revoked());
  world_.verifier.PauseForTests(false);
  EXPECT_EQ(Say(edge.Answer()), "UNAVAILABLE");
}

TEST_F(SaslServiceTest, DrainingIsSaidOnOldAndNewStreamsAndExchangesGoOn) {
  EdgeStream edge(world_);
  edge.Read();
  edge.Start(1, "LOGIN", kLogin);
  EXPECT_EQ(Say(edge.Answer()), "challenge Password:");
  world_.sasl.Drain();
  EXPECT_TRUE(edge.Read()->has_draining());
  edge.Respond(1, kPassword);
  EXPECT_EQ(Say(edge.Answer()), "success");
  edge.HalfClose();
  EXPECT_FALSE(edge.Read());
  EXPECT_TRUE(edge.Finish().ok());
  EdgeStream late(world_);
  late.Read();
  EXPECT_TRUE(late.Read()->has_draining());
}

TEST_F(SaslServiceTest, AHalfClosedStreamIsStillAnsweredAndThenEndsWithOk) {
  EdgeStream edge(world_);
  edge.Read();
  edge.Start(1, "PLAIN", EdgeStream::PlainMessage("", kLogin, kPassword));
  edge.HalfClose();
  EXPECT_EQ(Say(edge.Answer()), "success");
  EXPECT_FALSE(edge.Read());
  EXPECT_TRUE(edge.Finish().ok());
}

TEST_F(SaslServiceTest, AStreamThatVanishesWhileItsPasswordsAreVerifiedLeavesNothingBehind) {
  {
    EdgeStream edge(world_);
    world_.verifier.PauseForTests(true);
    for (uint64_t id = 1; id <= 20; ++id) edge.Start(id, "PLAIN", EdgeStream::PlainMessage("", kLogin, kPassword));
    Await([&] { return world_.verifier.waiting() == 20; }, "queued");
  }
  Await([&] { return world_.sasl.streams() == 0; }, "the stream is forgotten");
  const uint64_t runs = world_.verifier.runs();
  world_.verifier.PauseForTests(false);
  Await([&] { return world_.verifier.waiting() == 0; }, "the queue is empty");
  EdgeStream next(world_);
  EXPECT_EQ(Say(next.Plain(1, kLogin, kPassword)), "success");
  EXPECT_EQ(world_.verifier.runs() - runs, 1u) << "nobody wanted the twenty";
  EXPECT_EQ(world_.metrics.exchanges.Value(), 0);
}

TEST_F(SaslServiceTest, OnlyEdgesMayAuthenticateClients) {
  for (const char* who : {"admin/a", "operator/a", "viewer/a", "config/a", "auth/a"}) {
    EdgeStream stream(world_, who);
    EXPECT_FALSE(stream.Read());
    EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED) << who;
  }
}

// threats.md M2: the password is in no line, and what a client sent as a name neither, unless it is a user's.
TEST(SaslServiceLogTest, SecretsAndInventedNamesAreNotLogged) {
  TestWorld world;
  world.AddUser("alice", kLogin, "s3cret-of-alice");
  {
    EdgeStream edge(world);
    edge.Plain(1, kLogin, "s3cret-of-alice");
    edge.Plain(2, kLogin, "s3cret-typo");
    edge.Plain(3, "s3cret-as-name", "x");
    edge.Start(4, "s3cret-mechanism", "s3cret");
    edge.Answer();
    world.SetPassword("alice", "s3cret-new");
  }
  Await([&] { return world.sasl.streams() == 0; }, "the stream is forgotten");
  const std::string log = world.TakeLog();
  EXPECT_EQ(log.find("s3cret"), std::string::npos) << log;
  EXPECT_NE(log.find("\"user\":\"users/alice\""), std::string::npos) << log;
  EXPECT_NE(log.find("\"event\":\"audit\""), std::string::npos);
}

}  // namespace
}  // namespace gatepost::auth
