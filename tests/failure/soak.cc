// Mixed traffic without end, for row F32: good mail and bad, all through one loop as fast as the edge takes it.
//   soak --port N --implicit-port N --user U --password P --commands N [--concurrency C] [--seed S]
// `port` speaks in clear and offers STARTTLS, `implicit-port` TLS; anonymous mail for in.example is accepted there,
// messages are at most 64 KiB. Runs sessions, C at once, each of a kind drawn anew, until N commands were said, lets
// those that are left end, and prints one line of JSON: commands, sessions, messages accepted, logins, seconds, and
// sessions of each kind. Exit 1 when a reply was not what its session had to hear; standard error tells of them. (454
// to AUTH is always in order: the auth service may be slow on a machine that is.)
#include <openssl/base64.h>
#include <signal.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/connection.h"

namespace {

using gatepost::bench::Connection;
using Progress = Connection::Progress;
using SteadyClock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr size_t kMaxMessage = 64 << 10;
constexpr size_t kMostSurprises = 20;

struct Options {
  int port = 0, implicit_port = 0;
  std::string user, password;
  uint64_t commands = 100000, seed = 1;
  int concurrency = 64;
};

// ---------------------------------------------------------------------------------------------------------- scripts

struct Step {
  enum class Kind {
    kSay,        // text
    kExpect,     // a reply that begins with one of text, separated by '|'
    kHandshake,  // TLS from here on
    kPause,
    kEnd,  // the peer closes, saying nothing more
    kClose,
    kReset,
  };
  Kind kind;
  std::string text;
  int commands = 0;  // in text
  SteadyClock::duration pause{};
};

// What one session says and has to hear.
struct Script {
  std::string name;
  bool implicit = false;
  uint32_t source = 0;
  std::vector<Step> steps;

  void Say(std::string text, int commands = 1) { steps.push_back({Step::Kind::kSay, std::move(text), commands}); }
  void Expect(std::string allowed) { steps.push_back({Step::Kind::kExpect, std::move(allowed)}); }
  void Command(const std::string& line, std::string allowed) {
    Say(line + "\r\n");
    Expect(std::move(allowed));
  }
  void Do(Step::Kind kind, SteadyClock::duration pause = {}) { steps.push_back({kind, "", 0, pause}); }
  void Quit() {
    Command("QUIT", "221");
    Do(Step::Kind::kEnd);
  }
};

class Author {
 public:
  explicit Author(const Options& options) : options_(options), random_(options.seed) {
    for (size_t i = 0; i < 2 * kMaxMessage; i += 72) text_ += std::string(70, static_cast<char>('a' + i % 26)) + "\r\n";
  }

  Script Next() {
    struct Choice {
      const char* name;
      int weight;
      void (Author::*write)(Script&);
    };
    static constexpr std::array<Choice, 15> kChoices = {{
        {"messages", 30, &Author::Messages},
        {"starttls", 6, &Author::StartTls},
        {"implicit", 6, &Author::Implicit},
        {"chunks", 5, &Author::Chunks},
        {"relay", 12, &Author::Relay},
        {"nonsense", 14, &Author::Nonsense},
        {"flood", 3, &Author::Flood},
        {"oversize", 3, &Author::Oversize},
        {"handshake_aborted", 5, &Author::HandshakeAborted},
        {"data_aborted", 6, &Author::DataAborted},
        {"vanished", 6, &Author::Vanished},
        {"auth_wrong", 1, &Author::AuthWrong},
        {"auth_malformed", 4, &Author::AuthMalformed},
        {"slow", 2, &Author::Slow},
        {"idle_commands", 14, &Author::IdleCommands},
    }};
    static const int kTotal = [] {
      int total = 0;
      for (const Choice& choice : kChoices) total += choice.weight;
      return total;
    }();
    int drawn = Below(kTotal);
    size_t i = 0;
    while (drawn >= kChoices[i].weight) drawn -= kChoices[i++].weight;
    Script script;
    script.name = kChoices[i].name;
    script.source = 0x7f000100u + static_cast<uint32_t>(1 + Below(200));  // 127.0.1.x
    (this->*kChoices[i].write)(script);
    return script;
  }

 private:
  int Below(int bound) { return static_cast<int>(random_() % static_cast<uint64_t>(bound)); }
  std::string Data(size_t size) { return "Subject: soak\r\n\r\n" + text_.substr(0, size / 72 * 72) + ".\r\n"; }
  size_t Size() { return Below(20) == 0 ? kMaxMessage - 1024 : static_cast<size_t>(200 + Below(4000)); }

  void Greet(Script& script) {
    script.Expect("220");
    script.Command("EHLO soak.example", "250");
  }
  void Envelope(Script& script) {
    script.Say("MAIL FROM:<a@soak.example>\r\nRCPT TO:<b@in.example>\r\n", 2);
    script.Expect("250");
    script.Expect("250");
  }
  void Message(Script& script) {
    if (Below(2) == 0) {
      script.Say("MAIL FROM:<a@soak.example>\r\nRCPT TO:<b@in.example>\r\nRCPT TO:<c@in.example>\r\nDATA\r\n", 4);
      for (int i = 0; i < 3; ++i) script.Expect("250");
    } else {
      Envelope(script);
      script.Say("DATA\r\n");
    }
    script.Expect("354");
    script.Say(Data(Size()), 0);
    script.Expect("250 2.0.0 Accepted");
  }
  void Auth(Script& script, std::string_view user, std::string_view password, std::string allowed) {
    const std::string token = std::string(1, '\0') + std::string(user) + std::string(1, '\0') + std::string(password);
    std::string encoded(token.size() * 4 / 3 + 5, '\0');
    const auto* octets = reinterpret_cast<const uint8_t*>(token.data());
    encoded.resize(EVP_EncodeBlock(reinterpret_cast<uint8_t*>(encoded.data()), octets, token.size()));
    script.Command("AUTH PLAIN " + encoded, std::move(allowed));
  }
  void Secure(Script& script) {
    script.implicit = true;
    script.Do(Step::Kind::kHandshake);
    Greet(script);
  }

  void Messages(Script& script) {
    Greet(script);
    for (int i = Below(5); i >= 0; --i) Message(script);
    script.Quit();
  }
  void StartTls(Script& script) {
    Greet(script);
    script.Command("STARTTLS", "220");
    script.Do(Step::Kind::kHandshake);
    script.Command("EHLO soak.example", "250");
    Auth(script, options_.user, options_.password, "235|454");
    Message(script);
    script.Quit();
  }
  void Implicit(Script& script) {
    Secure(script);
    Auth(script, options_.user, options_.password, "235|454");
    for (int i = Below(3); i >= 0; --i) Message(script);
    script.Quit();
  }
  void Chunks(Script& script) {
    Greet(script);
    Envelope(script);
    const std::string body = "Subject: soak\r\n\r\n" + text_.substr(0, 720);
    script.Say("BDAT " + std::to_string(body.size()) + "\r\n" + body);
    script.Expect("250");
    script.Say("BDAT 720 LAST\r\n" + text_.substr(0, 720));
    script.Expect("250 2.0.0 Accepted");
    script.Quit();
  }
  void Relay(Script& script) {
    Greet(script);
    script.Command("MAIL FROM:<a@soak.example>", "250");
    for (int i = Below(8); i >= 0; --i) script.Command("RCPT TO:<x@elsewhere.example>", "550");
    script.Command("DATA", "554");
    script.Quit();
  }
  void Nonsense(Script& script) {
    static constexpr std::array<std::string_view, 11> kLines = {
        "WHAT",       "MAIL TO:<a>", "MAIL FROM:<a@b@c>",   "RCPT TO:<b@in.example>",
        "DATA",       "\xff\xfe x",  "MAIL FROM:<a> X=Y=Z", "STARTTLS now",
        "EHLO a b c", "AUTH",        "RCPT TO:<>",
    };
    Greet(script);
    for (int i = Below(15); i >= 0; --i) script.Command(std::string(kLines[static_cast<size_t>(Below(11))]), "5");
    if (Below(4) == 0) script.Command(std::string(3000, 'x'), "500 5.5.2");
    if (Below(4) != 0) return script.Quit();
    script.Command("BDAT x", "501");  // what follows cannot be told from the chunk
    script.Do(Step::Kind::kEnd);
  }
  void Flood(Script& script) {
    Greet(script);
    std::string lines;
    for (int i = 0; i < 21; ++i) lines += "GO AWAY\r\n";
    script.Say(lines, 21);
    for (int i = 0; i < 20; ++i) script.Expect("50");
    script.Expect("421");
    script.Do(Step::Kind::kEnd);
  }
  void Oversize(Script& script) {
    Greet(script);
    script.Command("MAIL FROM:<a@soak.example> SIZE=99999999", "552");
    Envelope(script);
    script.Command("DATA", "354");
    script.Say(Data(kMaxMessage + 10000), 0);
    script.Expect("552");
    script.Quit();
  }
  void HandshakeAborted(Script& script) {
    script.implicit = true;
    static constexpr std::string_view kPart("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    script.Say(Below(2) == 0 ? std::string(kPart) : "EHLO soak.example\r\n", 0);
    script.Do(Below(2) == 0 ? Step::Kind::kReset : Step::Kind::kClose);
  }
  void DataAborted(Script& script) {
    Greet(script);
    Envelope(script);
    script.Command("DATA", "354");
    const std::string data = Data(Size());
    script.Say(data.substr(0, static_cast<size_t>(Below(static_cast<int>(data.size() - 5)))), 0);
    script.Do(Below(2) == 0 ? Step::Kind::kReset : Step::Kind::kClose);
  }
  void Vanished(Script& script) {
    const int stage = Below(4);
    if (stage > 0) Greet(script);
    if (stage > 1) Envelope(script);
    if (stage > 2) script.Say("RSET\r\nNOOP\r\nMAIL FROM:<", 3);
    script.Do(Below(2) == 0 ? Step::Kind::kReset : Step::Kind::kClose);
  }
  void AuthWrong(Script& script) {
    // From elsewhere: the defence against guessing must not turn on who is good.
    script.source = 0x7f004200u + static_cast<uint32_t>(1 + Below(250));
    Secure(script);
    Auth(script, "mallory@in.example", std::to_string(random_()), "535|454");
    if (Below(8) == 0) return script.Quit();
    script.steps.pop_back();  // most do not wait the seconds that the answer takes
    script.Do(Below(2) == 0 ? Step::Kind::kReset : Step::Kind::kClose);
  }
  void AuthMalformed(Script& script) {
    Secure(script);
    script.Command("AUTH NONESUCH", "504");
    script.Command("AUTH PLAIN", "334|454");
    script.Command("*", "50");
    script.Command("AUTH PLAIN !!!!", "501|454");
    script.Quit();
  }
  void Slow(Script& script) {
    Greet(script);
    for (const char c : std::string_view("NOOP\r\n")) {
      script.Say(std::string(1, c), c == 'N');
      script.Do(Step::Kind::kPause, 50ms);
    }
    script.Expect("250");
    Envelope(script);
    script.Command("DATA", "354");
    const std::string data = Data(1440);
    script.Say(data.substr(0, 700), 0);
    script.Do(Step::Kind::kPause, 500ms);
    script.Say(data.substr(700), 0);
    script.Expect("250 2.0.0 Accepted");
    script.Quit();
  }
  void IdleCommands(Script& script) {
    Greet(script);
    static constexpr std::array<std::string_view, 4> kLines = {"NOOP", "RSET", "VRFY <b@in.example>", "HELP"};
    std::string lines;
    for (int i = 0; i < 60; ++i) lines.append(kLines[static_cast<size_t>(Below(4))]).append("\r\n");
    script.Say(lines, 60);
    for (int i = 0; i < 60; ++i) script.Expect("2");
    script.Quit();
  }

  const Options& options_;
  std::mt19937_64 random_;
  std::string text_;
};

// --------------------------------------------------------------------------------------------------------- sessions

struct Totals {
  uint64_t commands = 0, sessions = 0, accepted = 0, logins = 0, unexpected = 0;
  std::map<std::string, uint64_t> kinds;
  std::map<std::string, uint64_t> surprises;  // the first kMostSurprises kinds of them
};

struct Session {
  Connection connection;
  Script script;
  size_t at = 0;
  bool connected = false;
  bool over = true;
  SteadyClock::time_point until{};  // of the pause that it is in

  void Begin(const Options& options, int poll, Script next, Totals& totals) {
    script = std::move(next);
    at = 0;
    connected = over = false;
    until = {};
    ++totals.sessions;
    ++totals.kinds[script.name];
    const int port = script.implicit ? options.implicit_port : options.port;
    if (!connection.Open("127.0.0.1", port, poll, this, script.source)) Surprise(totals, connection.error());
  }

  void Surprise(Totals& totals, std::string_view what) {
    ++totals.unexpected;
    std::string said = at == 0 ? "" : script.steps[at - 1].text.substr(0, 60);
    std::string surprise = script.name + ", after '" + said + "': " + std::string(what);
    if (totals.surprises.size() < kMostSurprises) ++totals.surprises[surprise];
    End(false);
  }
  void End(bool reset) {
    connection.Close(reset);
    over = true;
  }

  // Goes as far as it can; `over` afterwards, or a pause is to be waited for, or the socket.
  void Advance(SSL_CTX* context, Totals& totals) {
    while (!over) {
      if (!connected) {
        const Progress progress = connection.Connected();
        if (progress == Progress::kLater) return;
        if (progress == Progress::kFailed) return Surprise(totals, connection.error());
        connected = true;
      }
      if (until > SteadyClock::now()) return;
      if (at == script.steps.size()) return End(false);
      const Step& step = script.steps[at];
      // All that was said is written before anything else is done.
      if (step.kind != Step::Kind::kSay) {
        const Progress progress = connection.Flush();
        if (progress == Progress::kLater && step.kind != Step::Kind::kExpect) return;
        if (progress == Progress::kFailed) return Surprise(totals, connection.error());
      }
      if (!Perform(step, context, totals)) return;
      ++at;
    }
  }

 private:
  // False: not done yet, or over.
  bool Perform(const Step& step, SSL_CTX* context, Totals& totals) {
    switch (step.kind) {
      case Step::Kind::kSay:
        connection.Say(step.text);
        totals.commands += static_cast<uint64_t>(step.commands);
        return true;
      case Step::Kind::kExpect: {
        const std::string_view reply = connection.Reply();
        if (connection.failed()) return Surprise(totals, connection.error() + " instead of " + step.text), false;
        if (reply.empty()) return false;
        if (!Fits(reply, step.text)) return Surprise(totals, std::string(reply) + " instead of " + step.text), false;
        totals.accepted += reply.starts_with("250 2.0.0 Accepted");
        totals.logins += reply.starts_with("235");
        return true;
      }
      case Step::Kind::kHandshake: {
        const Progress progress = connection.Handshake(context);
        if (progress == Progress::kFailed) Surprise(totals, connection.error());
        return progress == Progress::kDone;
      }
      case Step::Kind::kPause:
        until = SteadyClock::now() + step.pause;
        return true;
      case Step::Kind::kEnd: {
        const std::string_view reply = connection.Reply();
        if (!reply.empty()) return Surprise(totals, std::string(reply) + " after the end"), false;
        return connection.failed();
      }
      case Step::Kind::kClose:
      case Step::Kind::kReset:
        End(step.kind == Step::Kind::kReset);
        return false;
    }
    return false;
  }

  static bool Fits(std::string_view reply, std::string_view allowed) {
    for (;;) {
      const size_t bar = allowed.find('|');
      if (reply.starts_with(allowed.substr(0, bar))) return true;
      if (bar == std::string_view::npos) return false;
      allowed.remove_prefix(bar + 1);
    }
  }
};

bool Parse(int argc, char** argv, Options* options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    const char* value = argv[i + 1];
    if (flag == "--port")
      options->port = std::atoi(value);
    else if (flag == "--implicit-port")
      options->implicit_port = std::atoi(value);
    else if (flag == "--user")
      options->user = value;
    else if (flag == "--password")
      options->password = value;
    else if (flag == "--commands")
      options->commands = std::strtoull(value, nullptr, 10);
    else if (flag == "--concurrency")
      options->concurrency = std::atoi(value);
    else if (flag == "--seed")
      options->seed = std::strtoull(value, nullptr, 10);
    else
      return false;
  }
  return argc % 2 == 1 && options->port > 0 && options->implicit_port > 0 && options->concurrency > 0;
}

// Runs all of it. False: nothing moved for a minute.
bool Run(const Options& options, Totals& totals) {
  SSL_CTX* context = SSL_CTX_new(TLS_method());
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  Author author(options);
  std::vector<std::unique_ptr<Session>> sessions;
  using Pause = std::pair<SteadyClock::time_point, Session*>;
  std::priority_queue<Pause, std::vector<Pause>, std::greater<>> pauses;
  int active = 0;
  const auto advance = [&](Session* session) {
    if (session->over) return;
    session->Advance(context, totals);
    while (session->over && totals.commands < options.commands) {
      session->Begin(options, poll, author.Next(), totals);
    }
    if (session->over) {
      --active;
    } else if (session->until > SteadyClock::now()) {
      pauses.push({session->until, session});
    }
  };
  for (int i = 0; i < options.concurrency; ++i) {
    sessions.push_back(std::make_unique<Session>());
    ++active;
    sessions.back()->Begin(options, poll, author.Next(), totals);
  }
  SteadyClock::time_point moved = SteadyClock::now();
  std::array<epoll_event, 256> events;
  while (active > 0) {
    int wait = 1000;
    if (!pauses.empty()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(pauses.top().first - SteadyClock::now()).count();
      wait = static_cast<int>(std::clamp<int64_t>(left, 0, wait));
    }
    const int count = epoll_wait(poll, events.data(), static_cast<int>(events.size()), wait);
    for (int i = 0; i < count; ++i) advance(static_cast<Session*>(events[static_cast<size_t>(i)].data.ptr));
    while (!pauses.empty() && pauses.top().first <= SteadyClock::now()) {
      Session* session = pauses.top().second;
      pauses.pop();
      advance(session);
      moved = SteadyClock::now();
    }
    if (count > 0) moved = SteadyClock::now();
    if (SteadyClock::now() - moved > 60s) return false;
  }
  sessions.clear();
  close(poll);
  SSL_CTX_free(context);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, &options)) {
    std::fprintf(
        stderr,
        "usage: soak --port N --implicit-port N --user U --password P --commands N [--concurrency C] [--seed S]\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  Totals totals;
  const auto began = SteadyClock::now();
  const bool ended = Run(options, totals);
  const std::chrono::duration<double> took = SteadyClock::now() - began;
  std::string kinds;
  for (const auto& [name, count] : totals.kinds) {
    kinds += (kinds.empty() ? "\"" : ", \"") + name + "\": " + std::to_string(count);
  }
  std::printf(
      "{\"commands\": %llu, \"sessions\": %llu, \"accepted\": %llu, \"logins\": %llu, \"unexpected\": %llu, "
      "\"seconds\": %.3f, \"kinds\": {%s}}\n",
      static_cast<unsigned long long>(totals.commands), static_cast<unsigned long long>(totals.sessions),
      static_cast<unsigned long long>(totals.accepted), static_cast<unsigned long long>(totals.logins),
      static_cast<unsigned long long>(totals.unexpected), took.count(), kinds.c_str());
  if (!ended) std::fprintf(stderr, "soak: nothing moved for 60 s\n");
  for (const auto& [what, count] : totals.surprises) {
    std::fprintf(stderr, "soak: %s (%llu times)\n", what.c_str(), static_cast<unsigned long long>(count));
  }
  return ended && totals.unexpected == 0 ? 0 : 1;
}
