// A next hop for tests: the real client's side (ClientSession) talks to a server that keeps to a script
// (session_harness.h has it) and records every octet it is sent behind the first EHLO's answer.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/smtp/client_session.h"
#include "services/smtp/session_events.h"

namespace gatepost::smtp {

// What one connection was sent.
struct UpstreamConnection {
  std::string octets;
  bool dropped = false;
};

class ScriptedNextHop {
 public:
  // The lines of its answer to EHLO behind the first.
  void set_extensions(std::vector<std::string> lines) { extensions_ = std::move(lines); }

  UpstreamOutcome Open(const OpenTransaction& open);
  UpstreamOutcome AddRecipient(const smtp::AddRecipient& add);
  UpstreamOutcome BeginData();
  UpstreamOutcome SendBody(const std::array<std::string_view, 2>& pieces);
  // `*message`: all that was sent behind 354, stuffed, without the end of data; or what was in the chunks.
  UpstreamOutcome FinishData(const std::array<std::string_view, 2>& pieces, std::string* message);
  void Reset();
  void Drop();

  const std::vector<UpstreamConnection>& connections() const { return connections_; }

 private:
  // Carries the operation out; a conversation that is over is dropped.
  UpstreamOutcome Run(ClientSession::Action action, const std::array<std::string_view, 2>& pieces = {});
  // The server reads what it was sent and answers.
  void Serve();
  std::string ReplyTo(std::string_view line);
  bool SenderIs(std::string_view local) const { return sender_.substr(0, sender_.find('@')) == local; }
  void WriteBody(const std::array<std::string_view, 2>& pieces);

  std::unique_ptr<ClientSession> client_;
  std::vector<UpstreamConnection> connections_;
  std::string received_;  // commands not yet answered
  std::string replies_;   // not yet read by the client
  std::vector<std::string> extensions_ = {"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"};
  bool closes_ = false;  // nothing more comes behind `replies_`
  bool in_message_ = false;
  bool mail_ = false;
  bool recipients_ = false;  // at least one was accepted
  std::string sender_;
  std::string message_;
};

}  // namespace gatepost::smtp
