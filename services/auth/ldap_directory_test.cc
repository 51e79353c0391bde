// What stands between a login and a directory: who is asked, who waits how long, what is held against whom. Servers
// that answer are slapd's, in tests/interop/ldap_test.py; here is one that takes connections and says nothing, and one
// that knows a single user.
#include "services/auth/ldap_directory.h"

#include <absl/synchronization/notification.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "services/auth/authenticator.h"
#include "services/auth/limits.h"
#include "services/base/fake_clock.h"
#include "services/base/secret.h"
#include "services/base/strings.h"
#include "services/store/memory_store.h"

namespace gatepost::auth {
namespace {

using namespace std::chrono_literals;

class SilentServer {
 public:
  SilentServer() {
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd_, 16), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() { close(fd_); }
  int port() const { return port_; }
  int fd() const { return fd_; }
  // Waits for a connection, which stays open. Its descriptor.
  int Accept() const { return accept(fd_, nullptr, nullptr); }

 private:
  const int fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port_ = 0;
};

// BER with lengths of one or two octets, as short answers need them.
std::string Ber(int tag, const std::string& content) {
  std::string text(1, static_cast<char>(tag));
  if (content.size() >= 128) text += '\x81';
  return text + static_cast<char>(content.size()) + content;
}

// Speaks as much LDAP (RFC 4511) as it takes: alice, whose password is "secret", and who is in `groups` groups.
class TinyServer {
 public:
  explicit TinyServer(int groups) : groups_(groups), thread_([this] { Run(); }) {}
  ~TinyServer() {
    stop_ = true;
    shutdown(listener_.fd(), SHUT_RDWR);  // wakes poll()
    thread_.join();
  }
  int port() const { return listener_.port(); }
  int connections() const { return connections_; }

 private:
  void Run() {
    std::vector<pollfd> open = {{listener_.fd(), POLLIN, 0}};
    while (poll(open.data(), open.size(), -1) > 0 && !stop_) {
      for (size_t i = open.size(); --i > 0;) {
        if (open[i].revents == 0 || Serve(open[i].fd)) continue;
        close(open[i].fd);
        open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
      }
      if (open[0].revents != 0) {
        open.push_back({listener_.Accept(), POLLIN, 0});
        ++connections_;
      }
    }
    for (size_t i = 1; i < open.size(); ++i) close(open[i].fd);
  }

  // One request; libldap sends each at once, and none before the last is answered. False: the client is gone.
  bool Serve(int fd) const {
    char octets[4096];
    const ssize_t size = read(fd, octets, sizeof octets);
    if (size < 8) return false;
    const std::string_view request(octets, static_cast<size_t>(size));
    // Behind the sequence's length: the number of the message, of one octet, and the operation.
    const size_t start = 2 + (request[1] < 0 ? request[1] & 0x7f : 0);
    const std::string id(request.substr(start, 3));
    const int operation = static_cast<unsigned char>(request[start + 3]);
    const auto has = [&](std::string_view text) { return request.find(text) != request.npos; };
    const auto result = [](int code) { return std::string({'\x0a', 1, static_cast<char>(code), 4, 0, 4, 0}); };
    std::string reply;
    if (operation == 0x60) {
      reply = Ber(0x30, id + Ber(0x61, result(has("cn=alice,dc=x") && has("secret") ? 0 : 49)));
    } else if (operation == 0x63) {
      if (has("ou=groups")) {
        for (int i = 0; i < groups_; ++i)
          reply += Ber(0x30, id + Ber(0x64, Ber(4, "cn=" + std::to_string(i) + ",ou=groups,dc=x") + Ber(0x30, "")));
      } else if (has("alice@corp.example")) {
        const std::string mail = Ber(0x30, Ber(4, "mail") + Ber(0x31, Ber(4, "alice@corp.example")));
        reply = Ber(0x30, id + Ber(0x64, Ber(4, "cn=alice,dc=x") + Ber(0x30, mail)));
      }
      reply += Ber(0x30, id + Ber(0x65, result(0)));
    }
    return reply.empty() || send(fd, reply.data(), reply.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(reply.size());
  }

  const SilentServer listener_;
  const int groups_;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class LdapDirectoryTest : public testing::Test {
 protected:
  // libldap writes to connections that are gone; the programs ignore it likewise (base/process).
  static void SetUpTestSuite() { signal(SIGPIPE, SIG_IGN); }

  DirectorySettings Settings(const std::string& uri, const std::string& more = "") {
    absl::StatusOr<DirectorySettings> settings = ParseDirectorySettings(base::StrCat(
        R"({"name": "corp", "uris": [")", uri,
        R"("], "start_tls": false, "domains": ["corp.example"], "connections": 1,)",
        R"j("users": {"base": "dc=x", "filter": "(mail={login})", "login_attribute": "mail"})j", more, "}"));
    EXPECT_TRUE(settings.ok()) << settings.status();
    return *std::move(settings);
  }
  // Where the answer will be.
  struct Asked {
    absl::Notification done;
    DirectoryAnswer answer;
    std::string_view Reason() {
      done.WaitForNotification();
      return answer.reason;
    }
  };
  void Ask(LdapDirectory& directory, Asked* asked, const std::string& password = "secret") {
    directory.Verify("alice@corp.example", base::Secret(password), nullptr, [asked](DirectoryAnswer answer) {
      asked->answer = std::move(answer);
      asked->done.Notify();
    });
  }

  base::FakeClock clock_;
  base::SystemRandom random_;
  base::SystemClock wall_;
  base::Log log_{wall_, base::Log::Options{.fd = 2}};
  DirectoryMetrics metrics_;
};

TEST_F(LdapDirectoryTest, LoginsOfItsDomainsAreServed) {
  LdapDirectory directory(Settings("ldap://127.0.0.1:1"), clock_, random_, log_, metrics_);
  EXPECT_TRUE(directory.Serves("alice@corp.example"));
  EXPECT_TRUE(directory.Serves("a@b@corp.example"));
  for (const char* other : {"", "alice", "corp.example", "@corp.example", "alice@corp.example.com", "alice@x.corp.example",
                            "alice@", "alice@corp.example "}) {
    EXPECT_FALSE(directory.Serves(other)) << other;
  }
}

// libldap waits for ever in a TLS handshake.
TEST_F(LdapDirectoryTest, AServerThatSaysNothingIsLeft) {
  const SilentServer server;
  LdapDirectory directory(Settings(base::StrCat("ldaps://127.0.0.1:", server.port())), clock_, random_, log_, metrics_);
  Asked asked;
  Ask(directory, &asked);
  const int connection = server.Accept();
  clock_.Advance(kDirectoryTime);
  directory.Tick();
  EXPECT_EQ(asked.Reason(), "directory");
  EXPECT_EQ(asked.answer.outcome, Outcome::kUnavailable);
  directory.Stop();
  close(connection);
}

TEST_F(LdapDirectoryTest, ALoginWaitsTwoSecondsForAConnection) {
  const SilentServer server;
  LdapDirectory directory(Settings(base::StrCat("ldaps://127.0.0.1:", server.port())), clock_, random_, log_, metrics_);
  Asked first, second;
  Ask(directory, &first);
  const int connection = server.Accept();
  Ask(directory, &second);
  clock_.Advance(kDirectoryWait - 1ms);
  EXPECT_EQ(directory.waiting(), 1u);
  clock_.Advance(1ms);
  directory.Tick();
  EXPECT_EQ(second.Reason(), "no_slot");
  EXPECT_EQ(second.answer.outcome, Outcome::kUnavailable);
  EXPECT_EQ(first.Reason(), "directory") << "connecting takes a second at most";
  close(connection);
}

TEST_F(LdapDirectoryTest, BeyondAThousandThatWaitNobodyDoes) {
  const SilentServer server;
  LdapDirectory directory(Settings(base::StrCat("ldaps://127.0.0.1:", server.port())), clock_, random_, log_, metrics_);
  Asked first, beyond;
  Ask(directory, &first);
  const int connection = server.Accept();
  std::vector<Asked> waiting(kMostDirectoryWaiting);
  for (Asked& one : waiting) Ask(directory, &one);
  EXPECT_FALSE(waiting.back().done.HasBeenNotified());
  Ask(directory, &beyond);
  EXPECT_TRUE(beyond.done.HasBeenNotified());
  EXPECT_EQ(beyond.Reason(), "no_slot");
  directory.Stop();
  EXPECT_EQ(waiting.back().Reason(), "directory") << "what waits at the end is answered";
  close(connection);
}

TEST_F(LdapDirectoryTest, WhileNoServerAnswersNobodyTries) {
  int port = 0;
  {
    const SilentServer gone;
    port = gone.port();
  }
  LdapDirectory directory(Settings(base::StrCat("ldap://127.0.0.1:", port)), clock_, random_, log_, metrics_);
  Asked first;
  Ask(directory, &first);
  EXPECT_EQ(first.Reason(), "directory");
  EXPECT_FALSE(directory.up());
}

// A firewall that has forgotten an idle connection drops what is sent over it, in silence.
TEST_F(LdapDirectoryTest, AConnectionThatWasIdleForAMinuteIsNotUsed) {
  const TinyServer server(/*groups=*/0);
  LdapDirectory directory(Settings(base::StrCat("ldap://127.0.0.1:", server.port())), clock_, random_, log_, metrics_);
  const auto log_in = [&] {
    Asked asked;
    Ask(directory, &asked);
    EXPECT_EQ(asked.Reason(), "");
    EXPECT_EQ(asked.answer.outcome, Outcome::kSuccess);
  };
  log_in();
  EXPECT_EQ(server.connections(), 2) << "one that searches, one that binds";
  for (int i = 0; i < 2; ++i) {
    clock_.Advance(kDirectoryIdle - 1ms);
    log_in();
    EXPECT_EQ(server.connections(), 2) << "each use counts";
  }
  clock_.Advance(kDirectoryIdle);
  log_in();
  EXPECT_EQ(server.connections(), 4);
  EXPECT_TRUE(directory.up());
}

// Else the reply would tell a guesser that the password is right, and be counted against nobody.
TEST_F(LdapDirectoryTest, InTooManyGroupsARightPasswordIsRefusedAsAWrongOneIs) {
  const std::string groups =
      R"j(, "groups": {"base": "ou=groups,dc=x", "filter": "(member={dn})", "map": {"cn=7,ou=groups,dc=x": "groups/relay"}})j";
  const auto ask = [&](int count, const std::string& password) {
    const TinyServer server(count);
    LdapDirectory directory(Settings(base::StrCat("ldap://127.0.0.1:", server.port()), groups), clock_, random_, log_,
                            metrics_);
    Asked asked;
    Ask(directory, &asked, password);
    asked.Reason();
    return asked.answer;
  };
  const DirectoryAnswer at_the_limit = ask(kMostDirectoryGroups, "secret");
  EXPECT_EQ(at_the_limit.outcome, Outcome::kSuccess);
  EXPECT_EQ(at_the_limit.groups, std::vector<std::string>{"groups/relay"});
  const DirectoryAnswer beyond = ask(kMostDirectoryGroups + 1, "secret");
  EXPECT_EQ(beyond.outcome, Outcome::kCredentials);
  EXPECT_EQ(beyond.reason, "too_many_groups");
  EXPECT_TRUE(beyond.groups.empty());
  EXPECT_EQ(beyond.user, ask(kMostDirectoryGroups + 1, "wrong").user);
  EXPECT_EQ(ask(kMostDirectoryGroups + 1, "wrong").outcome, beyond.outcome);
}

// Says what a test wants.
class FakeDirectory final : public Directory {
 public:
  std::string_view name() const override { return "corp"; }
  bool Serves(std::string_view login_key) const override { return login_key.ends_with("@corp.example"); }
  void Verify(std::string login_key, base::Secret password, std::shared_ptr<const std::atomic<bool>> /*cancelled*/,
              Done done) override {
    asked.push_back(base::StrCat(login_key, " ", password.view()));
    done(answer);
  }
  DirectoryAnswer answer;
  std::vector<std::string> asked;
};

class AskedDirectoryTest : public LdapDirectoryTest {
 protected:
  AskedDirectoryTest() {
    directory_.answer = {.outcome = Outcome::kSuccess,
                         .reason = "",
                         .user = "directories/corp/users/alice@corp.example",
                         .login = "Alice@corp.example",
                         .may_submit = true,
                         .groups = {"groups/relay"},
                         .addresses = {"sales@corp.example"}};
  }
  ~AskedDirectoryTest() override { verifier_.Stop(); }

  Judgement Judge(const std::string& login, const std::string& password, const std::string& authorization = "") {
    Judgement result;
    absl::Notification done;
    authenticator_.Judge({.authorization = authorization, .login = login, .password = base::Secret(password)}, "", client_, nullptr,
                         [&](Judgement judgement) {
                           result = std::move(judgement);
                           done.Notify();
                         });
    done.WaitForNotification();
    return result;
  }

  const base::IpAddress client_ = *base::IpAddress::Parse("192.0.2.1");
  const Metrics auth_metrics_;
  store::MemoryStore store_{clock_, random_};
  Verifier verifier_{1, clock_, random_, auth_metrics_};
  CredentialCache cache_{clock_, random_};
  ThrottleMetrics throttle_metrics_;
  ThrottleLedger throttles_{store_, clock_, random_, log_, throttle_metrics_, {{}, std::string(32, 'k')}};
  LastUses last_uses_{store_, clock_, log_, auth_metrics_};
  FakeDirectory directory_;
  Authenticator authenticator_{store_,     verifier_, cache_, throttles_,    last_uses_, std::string(32, 'a'),
                               clock_, log_,      auth_metrics_, &directory_};
};

TEST_F(AskedDirectoryTest, WhatItSaysIsWhatTheClientIs) {
  const Judgement judgement = Judge("ALICE@corp.example", "\xe2\x85\xa8");
  EXPECT_EQ(directory_.asked, std::vector<std::string>{"alice@corp.example IX"}) << "prepared";
  EXPECT_EQ(judgement.outcome, Outcome::kSuccess);
  EXPECT_EQ(judgement.user, "directories/corp/users/alice@corp.example");
  EXPECT_EQ(judgement.login, "Alice@corp.example");
  EXPECT_TRUE(judgement.may_submit);
  EXPECT_FALSE(judgement.may_relay);
  EXPECT_EQ(judgement.groups, std::vector<std::string>{"groups/relay"});
  EXPECT_EQ(judgement.addresses, std::vector<std::string>{"sales@corp.example"});
  EXPECT_EQ(verifier_.runs(), 0u) << "no argon2id beside it";
}

// threats.md A6. The directory itself does the same for either: tests/interop/ldap_test.
TEST_F(AskedDirectoryTest, WithinADomainWhoIsNobodyCostsAsMuchAsWhoIsMistaken) {
  // {argon2id, keys of the cache, digests, tags, questions} of a wrong password.
  const auto work = [&](const std::string& login, std::string_view reason) {
    directory_.answer = {.outcome = Outcome::kCredentials, .reason = reason};
    if (reason == "wrong_password") directory_.answer.user = "directories/corp/users/" + login;
    const auto count = [&] {
      return std::vector<uint64_t>{verifier_.runs(), cache_.runs(), authenticator_.digests(), authenticator_.tags(),
                                   directory_.asked.size()};
    };
    const std::vector<uint64_t> before = count();
    EXPECT_EQ(Judge(login, "wrong").outcome, Outcome::kCredentials) << login;
    std::vector<uint64_t> spent = count();
    for (size_t i = 0; i < spent.size(); ++i) spent[i] -= before[i];
    return spent;
  };
  const std::vector<uint64_t> of_the_directory = {0, 0, 1, 1, 1};
  EXPECT_EQ(work("alice@corp.example", "wrong_password"), of_the_directory);
  EXPECT_EQ(work("nobody@corp.example", "unknown"), of_the_directory);
  EXPECT_EQ(work("twin@corp.example", "ambiguous"), of_the_directory);
  // Whose domain it is tells whom a mail server asks; of ours every login costs the same, too (enumeration_test).
  EXPECT_EQ(work("nobody@example.com", ""), (std::vector<uint64_t>{1, 1, 1, 1, 0}));
}

TEST_F(AskedDirectoryTest, WhatNobodyMayClaimIsNotAsked) {
  EXPECT_EQ(Judge("alice@corp.example", "").outcome, Outcome::kCredentials);
  EXPECT_EQ(Judge("alice@corp.example", std::string("a\0b", 3)).outcome, Outcome::kCredentials);
  EXPECT_EQ(Judge("alice@corp.example", "secret", "bob@corp.example").reason, "authzid");
  EXPECT_EQ(Judge("alice@example.com", "secret").reason, "unknown");
  EXPECT_TRUE(directory_.asked.empty());
  EXPECT_EQ(verifier_.runs(), 4u);
}

TEST_F(AskedDirectoryTest, WrongPasswordsAreCountedAndTheDirectoryIsSparedThen) {
  directory_.answer = {.outcome = Outcome::kCredentials, .reason = "wrong_password"};
  const size_t most = ThrottleFigures().pair;
  for (size_t i = 0; i < most; ++i) EXPECT_EQ(Judge("alice@corp.example", std::to_string(i)).outcome, Outcome::kCredentials);
  EXPECT_EQ(Judge("alice@corp.example", "right").outcome, Outcome::kThrottled);
  EXPECT_EQ(directory_.asked.size(), most);
}

TEST_F(AskedDirectoryTest, WhatNobodyCouldJudgeIsHeldAgainstNobody) {
  directory_.answer = {.outcome = Outcome::kUnavailable, .reason = "directory"};
  for (int i = 0; i < 200; ++i) EXPECT_EQ(Judge("alice@corp.example", std::to_string(i)).outcome, Outcome::kUnavailable);
}

}  // namespace
}  // namespace gatepost::auth
