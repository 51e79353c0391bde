#include "services/smtp/simulate.h"

#include <type_traits>
#include <utility>
#include <variant>

#include "services/base/check.h"
#include "services/base/strings.h"
#include "services/smtp/judge.h"
#include "services/smtp/server_session.h"

namespace gatepost::smtp {
namespace {

using Kind = SimulatedStep::Kind;

// What the client calls itself (RFC 5321 4.1.4).
std::string ClientName(const SimulatedSession& facts) {
  if (!facts.name.names.empty()) return facts.name.names.front();
  return base::StrCat(facts.client.is_v4() ? "[" : "[IPv6:", facts.client.ToString(), ']');
}

class Simulation final : public SessionObserver {
 public:
  Simulation(const policy::CompiledVirtualServer& server, const SimulatedSession& facts)
      : server_(server), facts_(facts), session_(Options()) {}

  SimulatedResult Run() {
    Converse();
    return std::move(result_);
  }

  void OnVerdict(const policy::Verdict& verdict) override { step().verdict = verdict; }

 private:
  SessionOptions Options() {
    SessionOptions options;
    options.virtual_server = &server_;
    options.next_hop = Capabilities::Unseen();
    options.servable_mechanisms = {"PLAIN", "LOGIN", base::AsciiUpper(facts_.mechanism)};
    options.starttls_available = starttls();
    options.session_id = "simulated";
    options.client.address = facts_.client;
    // Neither a failed AUTH's jitter nor Received's date is needed: no random numbers, no clock.
    options.observer = this;
    options.trace = &trace_;
    return options;
  }

  // What a client says, until it is refused.
  void Converse() {
    Start start;
    start.implicit_tls = facts_.tls_mode == policy::TlsMode::kImplicit;
    Drive(start);
    if (!step().accepted || !Hello()) return;
    if (facts_.tls && starttls()) {
      // A handshake below the floor is no refusal yet: the client learns it from the answer to its EHLO.
      if (!Say(Kind::kStartTls, "STARTTLS", "STARTTLS") || !Hello()) return;
    }
    if (facts_.identity) {
      const std::string command = base::StrCat("AUTH ", facts_.mechanism);
      if (!Say(Kind::kAuth, command, base::StrCat(command, " ="))) return;
    }
    const std::string mail = base::StrCat("MAIL FROM:<", facts_.sender, '>');
    if (!Say(Kind::kMail, mail, mail)) return;
    for (const std::string& recipient : facts_.recipients) {
      const std::string rcpt = base::StrCat("RCPT TO:<", recipient, '>');
      Say(Kind::kRcpt, rcpt, rcpt);
      if (closed_) return;
    }
  }

  bool starttls() const { return facts_.tls_mode == policy::TlsMode::kStartTls; }

  bool Hello() {
    const std::string ehlo = base::StrCat("EHLO ", ClientName(facts_));
    return Say(Kind::kEhlo, ehlo, ehlo);
  }

  // `octets`: what is sent; `command`: what is shown of it. False: refused, or the session is over.
  bool Say(Kind kind, std::string command, std::string_view octets) {
    Begin(kind, std::move(command));
    const size_t spoken = result_.steps.size() - 1;
    const std::string line = base::StrCat(octets, "\r\n");
    const std::span<char> room = session_.input().Prepare(line.size());
    GATEPOST_CHECK(room.size() >= line.size());
    std::copy(line.begin(), line.end(), room.begin());
    session_.input().Commit(line.size());
    Drive(BytesRead{});
    return result_.steps[spoken].accepted && !closed_;
  }

  SimulatedStep& step() { return result_.steps.back(); }

  void Begin(Kind kind, std::string command = {}) {
    result_.steps.emplace_back();
    step().kind = kind;
    step().command = std::move(command);
  }

  // The step has been answered.
  void End() {
    for (std::string_view line : base::Split(session_.output(), '\n')) {
      if (line.ends_with('\r')) step().replies.emplace_back(line.substr(0, line.size() - 1));
    }
    session_.output().clear();
    step().trace = std::exchange(trace_, {});
    // The last line's code; a handshake has none.
    step().accepted =
        step().replies.empty() ? !step().verdict || step().verdict->accepted : step().replies.back().front() == '2';
  }

  // Until the session waits for the client, or closes.
  void Drive(Event event) {
    for (;;) {
      Action action = session_.Advance(now_, std::move(event));
      if (std::holds_alternative<StartTls>(action)) {
        if (!result_.steps.empty()) End();
        Begin(Kind::kTls);
      } else if (!connected_ && (std::holds_alternative<JudgeConnection>(action) ||
                                 std::holds_alternative<LookUpClientName>(action))) {
        if (!result_.steps.empty()) End();
        Begin(Kind::kConnect);
        connected_ = true;
      }
      const ReadClient* read = std::get_if<ReadClient>(&action);
      const bool awaits_silence = read != nullptr && step().kind == Kind::kConnect && session_.output().empty();
      if (awaits_silence) {
        now_ = read->deadline;
        event = TimedOut{};
        continue;
      }
      if (read != nullptr || std::holds_alternative<Close>(action)) {
        closed_ = read == nullptr;
        End();
        return;
      }
      event = Answer(action);
    }
  }

  Event Answer(const Action& action) {
    if (std::optional<Judged> judged = Judge(action, server_, &trace_)) return *std::move(judged);
    return std::visit(
        [this](const auto& asked) -> Event {
          using Asked = std::decay_t<decltype(asked)>;
          if constexpr (std::is_same_v<Asked, LookUpClientName>) {
            return ClientNameFound{facts_.name};
          } else if constexpr (std::is_same_v<Asked, LookUpBlockLists>) {
            return BlockListsAsked{facts_.listing};
          } else if constexpr (std::is_same_v<Asked, StartTls>) {
            GATEPOST_CHECK(facts_.tls.has_value());
            return TlsEstablished{*facts_.tls};
          } else if constexpr (std::is_same_v<Asked, AuthStart>) {
            return AuthAnswer{AuthSuccess{*facts_.identity}};
          } else if constexpr (std::is_same_v<Asked, OpenTransaction> || std::is_same_v<Asked, AddRecipient>) {
            return UpstreamDone{UpstreamOutcome::Accepted()};
          } else {
            // WriteClient, ResetUpstream, DropUpstream; nothing is sent that would lead to the others.
            return Done{};
          }
        },
        action);
  }

  const policy::CompiledVirtualServer& server_;
  const SimulatedSession& facts_;
  policy::Trace trace_;
  SimulatedResult result_;
  ServerSession session_;
  base::MonotonicTime now_{};
  bool connected_ = false;
  bool closed_ = false;
};

}  // namespace

SimulatedResult Simulate(const policy::CompiledVirtualServer& server, const SimulatedSession& session) {
  return Simulation(server, session).Run();
}

std::string_view StepName(SimulatedStep::Kind kind) {
  switch (kind) {
    case Kind::kConnect:
      return "connect";
    case Kind::kTls:
      return "tls";
    case Kind::kEhlo:
      return "ehlo";
    case Kind::kStartTls:
      return "starttls";
    case Kind::kAuth:
      return "auth";
    case Kind::kMail:
      return "mail";
    case Kind::kRcpt:
      return "rcpt";
  }
  return "unknown";
}

}  // namespace gatepost::smtp
