// Writes random sessions as JSON, one a line: {"request", "simulate", "wire"}: what SimulateSession says of it, and
// what the bytes of a session say that a client drives over the same machine's wire, with scripted auth, DNS and next
// hop.
//
//   judge_sessions SEED COUNT [loopback]
#include <google/protobuf/util/json_util.h>

#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/base64.h"
#include "services/base/check.h"
#include "services/base/strings.h"
#include "services/config/simulation.h"
#include "services/rpc/translate.h"
#include "services/smtp/testing/session_harness.h"
#include "tests/conformance/random_sessions.h"

namespace gatepost::conformance {
namespace {

using config::v1::SimulatedStep;
using config::v1::SimulateSessionRequest;
using config::v1::SimulateSessionResponse;

// What the session says beside its octets: why.
class Reasons final : public smtp::SessionObserver {
 public:
  void OnTls(const policy::TlsFacts&) override { in_tls_ = true; }
  void OnVerdict(const policy::Verdict& verdict) override { (std::exchange(in_tls_, false) ? tls : said) = verdict; }
  std::optional<policy::Verdict> said;  // the last one
  std::optional<policy::Verdict> tls;   // of the handshake

 private:
  bool in_tls_ = false;
};

class WireClient {
 public:
  WireClient(const SimulateSessionRequest& request, policy::VirtualServer settings, const smtp::SimulatedSession& facts)
      : request_(request), facts_(facts), harness_(Setup(std::move(settings))) {}

  SimulateSessionResponse Run() {
    Converse();
    return std::move(response_);
  }

 private:
  smtp::SessionSetup Setup(policy::VirtualServer settings) {
    smtp::SessionSetup setup;
    // The first of the policy's block lists that has the client.
    for (size_t i = settings.filters.block_lists.size(); i-- > 0;) {
      for (const std::string& zone : request_.client().listed_by()) {
        if (zone == settings.filters.block_lists[i].zone) setup.listing = {policy::BlockListing::State::kListed, i};
      }
    }
    if (request_.client().block_lists_failed()) setup.listing = {policy::BlockListing::State::kFailed, 0};
    setup.settings = std::move(settings);
    setup.mechanisms.push_back(facts_.mechanism);
    setup.starttls_available = facts_.tls_mode == policy::TlsMode::kStartTls;
    setup.start.implicit_tls = facts_.tls_mode == policy::TlsMode::kImplicit;
    setup.address = facts_.client.ToString();
    setup.name = facts_.name;
    if (facts_.tls) setup.tls = *facts_.tls;
    setup.identity = facts_.identity;
    setup.observer = &reasons_;
    return setup;
  }

  void Converse() {
    const std::string greeting = harness_.Begin();
    if (facts_.tls_mode == policy::TlsMode::kImplicit) AddTls();
    if (!Add(SimulatedStep::CONNECT, "", greeting) || !Hello()) return;
    if (facts_.tls && facts_.tls_mode == policy::TlsMode::kStartTls) {
      if (!Say(SimulatedStep::STARTTLS, "STARTTLS")) return;
      AddTls();
      if (!Hello()) return;
    }
    if (facts_.identity && !LogIn()) return;
    if (!Say(SimulatedStep::MAIL, base::StrCat("MAIL FROM:<", facts_.sender, '>'))) return;
    for (const std::string& recipient : facts_.recipients) {
      Say(SimulatedStep::RCPT, base::StrCat("RCPT TO:<", recipient, '>'));
      if (harness_.closed()) return;
    }
  }

  bool Hello() { return Say(SimulatedStep::EHLO, "EHLO client.example"); }

  bool LogIn() {
    reasons_.said.reset();
    const std::string first = facts_.mechanism == "PLAIN" ? std::string("\0login\0good", 11) : "login";
    std::string reply = harness_.Send(base::StrCat("AUTH ", facts_.mechanism, ' ', base::Base64Encode(first), "\r\n"));
    if (reply.starts_with("334")) reply = harness_.Send(base::Base64Encode("good") + "\r\n");
    return Add(SimulatedStep::AUTH, base::StrCat("AUTH ", facts_.mechanism), reply);
  }

  bool Say(SimulatedStep::Kind kind, const std::string& line) {
    reasons_.said.reset();
    return Add(kind, line, harness_.Send(line + "\r\n"));
  }

  bool Add(SimulatedStep::Kind kind, const std::string& command, std::string_view octets) {
    SimulatedStep* step = response_.add_steps();
    step->set_kind(kind);
    step->set_command(command);
    for (std::string_view line : base::Split(octets, '\n')) {
      if (line.ends_with('\r')) step->add_reply_lines(std::string(line.substr(0, line.size() - 1)));
    }
    GATEPOST_CHECK(step->reply_lines_size() > 0);
    step->set_accepted(step->reply_lines().rbegin()->front() == '2');
    SetReason(reasons_.said, step);
    return step->accepted() && !harness_.closed();
  }

  void AddTls() {
    SimulatedStep* step = response_.add_steps();
    step->set_kind(SimulatedStep::TLS);
    GATEPOST_CHECK(reasons_.tls.has_value());
    step->set_accepted(reasons_.tls->accepted);
    SetReason(reasons_.tls, step);
  }

  static void SetReason(const std::optional<policy::Verdict>& verdict, SimulatedStep* step) {
    if (!verdict) return;
    step->set_reason(std::string(policy::ReasonName(verdict->reason)));
    step->set_rule(verdict->rule);
  }

  const SimulateSessionRequest& request_;
  const smtp::SimulatedSession& facts_;
  Reasons reasons_;
  smtp::SessionHarness harness_;
  SimulateSessionResponse response_;
};

std::string Json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  GATEPOST_CHECK(google::protobuf::util::MessageToJsonString(message, &json, options).ok());
  return json;
}

int Main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: judge_sessions SEED COUNT [loopback]\n";
    return 2;
  }
  RandomSessions sessions(std::strtoull(argv[1], nullptr, 10), argc > 3 ? World::kLoopback : World::kAny);
  for (int i = std::atoi(argv[2]); i > 0; --i) {
    const SimulateSessionRequest request = sessions.Next();
    config::Violations violations;
    const smtp::SimulatedSession facts = config::ReadSession(request, &violations);
    GATEPOST_CHECK(violations.empty());
    auto settings = rpc::Translate(request.candidate());
    if (!settings.ok()) {
      std::cerr << settings.status() << '\n' << request.DebugString();
      return 1;
    }
    auto simulated = config::Simulated(request.candidate(), request.client(), facts);
    GATEPOST_CHECK(simulated.ok());
    const SimulateSessionResponse wire = WireClient(request, *std::move(settings), facts).Run();
    std::cout << "{\"request\":" << Json(request) << ",\"simulate\":" << Json(*simulated) << ",\"wire\":" << Json(wire)
              << "}\n";
  }
  return std::cout.flush() ? 0 : 1;
}

}  // namespace
}  // namespace gatepost::conformance

int main(int argc, char** argv) { return gatepost::conformance::Main(argc, argv); }
