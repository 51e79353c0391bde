// Who has an account is told neither by what Authenticate answers nor by the work behind it. threats.md A6; the time is
// measured by tests/bench/enumeration.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "services/auth/scram_secret.h"
#include "services/auth/test_clients.h"
#include "services/auth/test_world.h"

namespace gatepost::auth {
namespace {

using v1::AuthenticateResponse;
using v1::Failure;

constexpr char kPassword[] = "correct horse";
constexpr int kRounds = 3;

// What an attempt leaves behind.
struct Trace {
  std::vector<std::string> answers;  // without what is random in them
  // The service's own count of what costs: argon2id; of the password, an HMAC for the cache of logins, one that an
  // application password is found by, and one that the throttle tells guesses apart by; and records read.
  uint64_t argon2 = 0, cache_keys = 0, digests = 0, tags = 0, reads = 0;
  bool operator==(const Trace&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Trace& trace) {
  out << trace.argon2 << " argon2id, " << trace.cache_keys << " keys of the cache, " << trace.digests << " digests, "
      << trace.tags << " tags, " << trace.reads << " reads";
  for (const std::string& answer : trace.answers) out << "; " << testing::PrintToString(answer);
  return out;
}

class EnumerationTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* id : {"known", "disabled"}) world_.AddUser(id, Login(id), kPassword);
    world_.AddUser("empty", Login("empty"), "");
    for (const char* id : {"known", "disabled", "empty"}) SetNtlm(id);
    for (const char* id : {"known", "disabled"}) world_.SetPassword(id, kPassword);
    world_.Disable("disabled");
    world_.sasl.Tick();
  }

  static std::string Login(const std::string& id) { return id + "@example.com"; }

  void SetNtlm(const std::string& id) {
    v1::UpdateUserRequest request;
    request.mutable_user()->set_name("users/" + id);
    request.mutable_user()->set_ntlm(true);
    request.mutable_update_mask()->add_paths("ntlm");
    v1::User user;
    grpc::ClientContext context;
    ASSERT_TRUE(world_.Users()->UpdateUser(&context, request, &user).ok());
  }

  // One attempt: `talk(edge, id)` gives the answers.
  template <typename Talk>
  Trace Follow(Talk talk) {
    const Trace before = Counts();
    std::vector<std::string> answers = talk(edge_, ++last_id_);
    Trace trace = Counts();
    trace.answers = std::move(answers);
    trace.argon2 -= before.argon2;
    trace.cache_keys -= before.cache_keys;
    trace.digests -= before.digests;
    trace.tags -= before.tags;
    trace.reads -= before.reads;
    return trace;
  }

  Trace Counts() {
    return {.answers = {},
            .argon2 = world_.verifier.runs(),
            .cache_keys = world_.cache.runs(),
            .digests = world_.authenticator.digests(),
            .tags = world_.authenticator.tags(),
            .reads = world_.store.login_reads};
  }

  // An answer's octets on the wire, without the exchange's number.
  static std::string Octets(AuthenticateResponse answer) {
    answer.clear_exchange_id();
    return answer.SerializeAsString();
  }

  struct Case {
    const char* what;
    std::string login, password;
  };
  const std::vector<Case> cases_ = {
      {"known, wrong password", Login("known"), "wrong"},
      {"unknown", Login("nobody"), "wrong"},
      {"unknown, a password of somebody's", Login("nobody"), kPassword},
      {"disabled, wrong password", Login("disabled"), "wrong"},
      {"disabled, right password", Login("disabled"), kPassword},
      {"without a password", Login("empty"), "wrong"},
      {"a name that nobody can have", std::string("a\xc2\x85") + "b@example.com", "wrong"},
  };

  // All are alike, round after round; and once more while the store is away: without work, and alike. `passwords`: how
  // many the service gets to see in an attempt.
  void AllAreAlike(const std::vector<Case>& cases, const std::function<Trace(const Case&)>& attempt,
                   uint64_t passwords) {
    std::optional<Trace> first;
    for (int round = 0; round < kRounds; ++round) {
      for (const Case& test : cases) {
        const Trace trace = attempt(test);
        if (!first) first = trace;
        EXPECT_EQ(trace, *first) << test.what;
        for (const uint64_t count : {trace.argon2, trace.cache_keys, trace.digests, trace.tags})
          EXPECT_EQ(count, passwords) << test.what << ": " << trace;
        EXPECT_GT(trace.reads, 0u) << test.what;
      }
    }
    world_.store.down = true;
    std::optional<Trace> outage;
    for (const Case& test : cases) {
      const Trace trace = attempt(test);
      if (!outage) outage = trace;
      EXPECT_EQ(trace, *outage) << test.what;
      EXPECT_EQ(trace.argon2, 0u) << test.what;
    }
    EXPECT_NE(outage->answers.back(), first->answers.back()) << "an outage is no wrong password";
  }

  TestWorld world_;
  EdgeStream edge_{world_};
  uint64_t last_id_ = 0;
};

TEST_F(EnumerationTest, Plain) {
  std::vector<Case> cases = cases_;
  cases.push_back({"known, oversize password", Login("known"), std::string(2000, 'x')});
  cases.push_back({"unknown, oversize password", Login("nobody"), std::string(2000, 'x')});
  cases.push_back({"known, prohibited password", Login("known"), "wrong\x01"});
  AllAreAlike(
      cases,
      [&](const Case& test) {
        return Follow([&](EdgeStream& edge, uint64_t id) {
          return std::vector<std::string>{Octets(edge.Plain(id, test.login, test.password))};
        });
      },
      1);
}

TEST_F(EnumerationTest, LoginMechanism) {
  std::vector<Case> cases = cases_;
  cases.push_back({"known, oversize password", Login("known"), std::string(2000, 'x')});
  cases.push_back({"unknown, oversize password", Login("nobody"), std::string(2000, 'x')});
  AllAreAlike(
      cases,
      [&](const Case& test) {
        return Follow([&](EdgeStream& edge, uint64_t id) {
          edge.Start(id, "LOGIN", test.login);
          std::vector<std::string> answers = {Octets(edge.Answer())};
          edge.Respond(id, test.password);
          answers.push_back(Octets(edge.Answer()));
          return answers;
        });
      },
      1);
}

// PBKDF2 is the client's work: what we have is a stored key. So it is the iteration count that must be alike, and the
// salt that must not change.
TEST_F(EnumerationTest, Scram) {
  std::vector<Case> cases = cases_;
  cases.pop_back();  // GNU SASL's client prepares names itself
  std::map<std::string, std::string> salts;
  AllAreAlike(
      cases,
      [&](const Case& test) {
        return Follow([&](EdgeStream& edge, uint64_t id) {
          ScramClient client("SCRAM-SHA-256", test.login, test.password);
          edge.Start(id, "SCRAM-SHA-256", client.Step(""));
          AuthenticateResponse answer = edge.Answer();
          if (!answer.has_challenge()) return std::vector<std::string>{Octets(answer)};
          const std::string challenge = answer.challenge().data();
          const size_t salt = challenge.find(",s="), iterations = challenge.find(",i=");
          EXPECT_EQ(salts.emplace(test.login, challenge.substr(salt, iterations - salt)).first->second,
                    challenge.substr(salt, iterations - salt))
              << test.what << ": the salt has changed";
          edge.Respond(id, client.Step(challenge));
          return std::vector<std::string>{std::to_string(challenge.size()), challenge.substr(iterations),
                                          std::to_string(iterations - salt), Octets(edge.Answer())};
        });
      },
      0);
}

TEST_F(EnumerationTest, Ntlm) {
  AllAreAlike(
      cases_,
      [&](const Case& test) {
        return Follow([&](EdgeStream& edge, uint64_t id) {
          edge.Start(id, "NTLM", NtlmHello());
          AuthenticateResponse answer = edge.Answer();
          if (!answer.has_challenge()) return std::vector<std::string>{Octets(answer)};
          const std::string challenge = answer.challenge().data();
          edge.Respond(id, NtlmAnswer(challenge, test.login, test.password));
          return std::vector<std::string>{std::to_string(challenge.size()), Octets(edge.Answer())};
        });
      },
      0);
}

// Nobody needs to guess here: the certificate has been verified. Its answers are alike nevertheless.
TEST_F(EnumerationTest, External) {
  std::optional<std::string> octets;
  for (const std::string& email : {Login("nobody"), Login("disabled")}) {
    v1::AuthenticateRequest request;
    request.set_exchange_id(++last_id_);
    request.mutable_start()->set_mechanism("EXTERNAL");
    request.mutable_start()->set_initial_response("");
    request.mutable_start()->mutable_peer()->mutable_certificate()->set_sha256(std::string(64, 'a'));
    request.mutable_start()->mutable_peer()->mutable_certificate()->add_emails(email);
    edge_.Write(request);
    const std::string answer = Octets(edge_.Answer());
    if (!octets) octets = answer;
    EXPECT_EQ(answer, *octets) << email;
  }
}

}  // namespace
}  // namespace gatepost::auth
