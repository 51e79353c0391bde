// A load generator for SMTP submission: TLS, STARTTLS, AUTH PLAIN, pipelining; many sessions at once, each with messages.
//   load --port N [--host A] [--tls none|starttls|implicit] [--user U --password P] [--concurrency C] [--sessions S]
//        [--messages M] [--size OCTETS] [--from A] [--to A] [--no-pipelining] [--idle]
// Runs S sessions, C at once, each with M messages of SIZE octets (full TLS handshakes, no resumption). Prints one line of
// JSON: sessions, messages, failures, seconds, and latency percentiles of a message (MAIL to the final reply) in ms.
// --idle: opens C sessions up to and with AUTH, prints "idle\n", holds them until standard input ends.
// Exit 1 when anything was refused. One thread, epoll; the peer's certificate is not verified.
#include <openssl/base64.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/connection.h"

namespace {

using gatepost::bench::Connection;
using Progress = Connection::Progress;
using SteadyClock = std::chrono::steady_clock;

struct Options {
  std::string host = "127.0.0.1";
  int port = 0;
  std::string tls = "none";
  std::string user, password;
  int concurrency = 50, sessions = 1000, messages = 1;
  size_t size = 4096;
  std::string from = "alice@example.com", to = "bob@example.com";
  bool pipelining = true, idle = false;
};

struct Totals {
  int started = 0, finished = 0, failed = 0, messages = 0, idle = 0;
  std::vector<float> latency_ms;
  std::string first_failure;
};

enum class Phase { kConnect, kHandshake, kGreeting, kHello, kStartTls, kHelloAgain, kAuth, kMail, kRcpt, kData, kGroup, kBody, kQuit, kIdle };

class Session {
 public:
  Session(const Options& options, SSL_CTX* context, const std::string& body, Totals* totals, int poll)
      : options_(options), context_(context), body_(body), totals_(*totals), poll_(poll) {}
  ~Session() { Reset(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Closes the connection, if any.
  void Reset() {
    connection_.Close();
    failed_ = false;
  }

  bool Begin() {
    Reset();
    ++totals_.started;
    sent_ = 0;
    phase_ = Phase::kConnect;
    return connection_.Open(options_.host.c_str(), options_.port, poll_, this) || Fail(connection_.error());
  }

  // Goes as far as the socket lets it. False: the session is over (finished or failed).
  bool Step() {
    for (;;) {
      switch (phase_) {
        case Phase::kConnect:
          switch (connection_.Connected()) {
            case Progress::kLater:
              return true;
            case Progress::kFailed:
              return Fail(connection_.error());
            case Progress::kDone:
              break;
          }
          phase_ = Phase::kGreeting;
          if (options_.tls == "implicit") StartHandshake(Phase::kGreeting);
          continue;
        case Phase::kHandshake:
          switch (connection_.Handshake(context_)) {
            case Progress::kLater:
              return true;
            case Progress::kFailed:
              return Fail(connection_.error());
            case Progress::kDone:
              break;
          }
          phase_ = after_handshake_;
          if (phase_ == Phase::kHelloAgain) Say("EHLO load.example\r\n");
          continue;
        default:
          break;
      }
      switch (connection_.Flush()) {
        case Progress::kLater:
          return true;
        case Progress::kFailed:
          return Fail(connection_.error());
        case Progress::kDone:
          break;
      }
      std::string_view reply = connection_.Reply();
      if (connection_.failed()) {
        return Fail(connection_.error() + " in phase " + std::to_string(static_cast<int>(phase_)) + " after " + std::to_string(sent_));
      }
      if (reply.empty()) return true;
      if (!Answer(reply)) return false;
    }
  }

 private:
  bool Fail(std::string_view why) {
    if (!failed_) {
      failed_ = true;
      ++totals_.failed;
      if (totals_.first_failure.empty()) totals_.first_failure = std::string(why);
    }
    return false;
  }

  void StartHandshake(Phase next) {
    phase_ = Phase::kHandshake;
    after_handshake_ = next;
  }

  void Say(std::string_view octets) { connection_.Say(octets); }

  bool Expect(std::string_view reply, char first) {
    if (!reply.empty() && reply[0] == first) return true;
    return Fail(reply);
  }

  void NextMessage() {
    if (options_.idle) {
      phase_ = Phase::kIdle;
      ++totals_.idle;
      return;
    }
    if (sent_ == options_.messages) {
      Say("QUIT\r\n");
      phase_ = Phase::kQuit;
      return;
    }
    message_began_ = SteadyClock::now();
    Say("MAIL FROM:<" + options_.from + ">\r\n");
    phase_ = Phase::kMail;
    if (options_.pipelining) {
      Say("RCPT TO:<" + options_.to + ">\r\nDATA\r\n");
      phase_ = Phase::kGroup;
      group_ = 0;
    }
  }

  // The next step after a reply. False: over.
  bool Answer(std::string_view reply) {
    switch (phase_) {
      case Phase::kGreeting:
        if (!Expect(reply, '2')) return false;
        Say("EHLO load.example\r\n");
        phase_ = options_.tls == "starttls" ? Phase::kHello : Phase::kHelloAgain;
        return true;
      case Phase::kHello:
        if (!Expect(reply, '2')) return false;
        Say("STARTTLS\r\n");
        phase_ = Phase::kStartTls;
        return true;
      case Phase::kStartTls:
        if (!Expect(reply, '2')) return false;
        StartHandshake(Phase::kHelloAgain);
        return true;
      case Phase::kHelloAgain:
        if (!Expect(reply, '2')) return false;
        if (!options_.user.empty()) {
          std::string token = std::string(1, '\0') + options_.user + std::string(1, '\0') + options_.password;
          std::string encoded(token.size() * 4 / 3 + 5, '\0');
          size_t n = EVP_EncodeBlock(reinterpret_cast<uint8_t*>(encoded.data()), reinterpret_cast<const uint8_t*>(token.data()), token.size());
          Say("AUTH PLAIN " + encoded.substr(0, n) + "\r\n");
          phase_ = Phase::kAuth;
          return true;
        }
        NextMessage();
        return true;
      case Phase::kAuth:
        if (!Expect(reply, '2')) return false;
        NextMessage();
        return true;
      case Phase::kMail:
        if (!Expect(reply, '2')) return false;
        Say("RCPT TO:<" + options_.to + ">\r\n");
        phase_ = Phase::kRcpt;
        return true;
      case Phase::kRcpt:
        if (!Expect(reply, '2')) return false;
        Say("DATA\r\n");
        phase_ = Phase::kData;
        return true;
      case Phase::kGroup:
        if (!Expect(reply, group_ == 2 ? '3' : '2')) return false;
        if (++group_ == 3) {
          Say(body_);
          phase_ = Phase::kBody;
        }
        return true;
      case Phase::kData:
        if (!Expect(reply, '3')) return false;
        Say(body_);
        phase_ = Phase::kBody;
        return true;
      case Phase::kBody: {
        if (!Expect(reply, '2')) return false;
        ++sent_;
        ++totals_.messages;
        std::chrono::duration<float, std::milli> took = SteadyClock::now() - message_began_;
        totals_.latency_ms.push_back(took.count());
        NextMessage();
        return true;
      }
      case Phase::kQuit:
        ++totals_.finished;
        return false;
      case Phase::kIdle:
        return Fail(reply);
      case Phase::kConnect:
      case Phase::kHandshake:
        break;
    }
    return Fail("unexpected reply");
  }

  const Options& options_;
  SSL_CTX* context_;
  const std::string& body_;
  Totals& totals_;
  int poll_;
  Connection connection_;
  Phase phase_ = Phase::kConnect, after_handshake_ = Phase::kGreeting;
  int sent_ = 0, group_ = 0;
  bool failed_ = false;
  SteadyClock::time_point message_began_;
};

float Percentile(std::vector<float>& values, double share) {
  if (values.empty()) return 0;
  size_t index = std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(index), values.end());
  return values[index];
}

bool Parse(int argc, char** argv, Options* options) {
  for (int i = 1; i < argc; ++i) {
    std::string_view flag = argv[i];
    if (flag == "--no-pipelining") {
      options->pipelining = false;
      continue;
    }
    if (flag == "--idle") {
      options->idle = true;
      continue;
    }
    if (i + 1 == argc) return false;
    std::string value = argv[++i];
    if (flag == "--host") options->host = value;
    else if (flag == "--port") options->port = std::atoi(value.c_str());
    else if (flag == "--tls") options->tls = value;
    else if (flag == "--user") options->user = value;
    else if (flag == "--password") options->password = value;
    else if (flag == "--concurrency") options->concurrency = std::atoi(value.c_str());
    else if (flag == "--sessions") options->sessions = std::atoi(value.c_str());
    else if (flag == "--messages") options->messages = std::atoi(value.c_str());
    else if (flag == "--size") options->size = static_cast<size_t>(std::atoll(value.c_str()));
    else if (flag == "--from") options->from = value;
    else if (flag == "--to") options->to = value;
    else return false;
  }
  return options->port > 0 && options->concurrency > 0 && options->sessions > 0 && options->messages > 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, &options)) {
    std::fprintf(stderr,
                 "usage: load --port N [--host A] [--tls none|starttls|implicit] [--user U --password P] [--concurrency C]\n"
                 "  [--sessions S] [--messages M] [--size OCTETS] [--from A] [--to A] [--no-pipelining] [--idle]\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  SSL_CTX* context = SSL_CTX_new(TLS_method());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

  std::string body = "From: <" + options.from + ">\r\nTo: <" + options.to + ">\r\nSubject: load\r\n\r\n";
  const std::string line = std::string(70, 'x') + "\r\n";
  while (body.size() + line.size() <= options.size) body += line;
  body += ".\r\n";

  int poll = epoll_create1(EPOLL_CLOEXEC);
  Totals totals;
  std::vector<std::unique_ptr<Session>> sessions;
  auto began = SteadyClock::now();
  int wanted = options.idle ? options.concurrency : options.sessions;
  int active = 0;
  for (int i = 0; i < options.concurrency && totals.started < wanted; ++i) {
    sessions.push_back(std::make_unique<Session>(options, context, body, &totals, poll));
    if (sessions.back()->Begin()) ++active;
  }
  epoll_event events[256];
  while (active > 0 && !(options.idle && totals.idle + totals.failed >= wanted)) {
    int count = epoll_wait(poll, events, 256, 60000);
    if (count <= 0) {
      totals.first_failure = "no progress for 60 s";
      ++totals.failed;
      break;
    }
    for (int i = 0; i < count; ++i) {
      auto* session = static_cast<Session*>(events[i].data.ptr);
      if (session->Step()) continue;
      --active;
      session->Reset();  // out of the poll set: its end is counted once
      if (!options.idle && totals.started < wanted && session->Begin()) ++active;
    }
  }
  std::chrono::duration<double> took = SteadyClock::now() - began;
  if (options.idle) {
    std::printf("idle\n");
    std::fflush(stdout);
    char c;
    while (read(0, &c, 1) > 0) {
    }
  }
  std::printf("{\"sessions\": %d, \"messages\": %d, \"failures\": %d, \"seconds\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
              options.idle ? totals.idle : totals.finished, totals.messages, totals.failed, took.count(),
              static_cast<double>(Percentile(totals.latency_ms, 0.5)), static_cast<double>(Percentile(totals.latency_ms, 0.99)));
  if (totals.failed > 0) std::fprintf(stderr, "load: first failure: %s\n", totals.first_failure.c_str());
  sessions.clear();
  SSL_CTX_free(context);
  close(poll);
  return totals.failed > 0 ? 1 : 0;
}
