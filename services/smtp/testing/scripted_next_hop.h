// A next hop for tests: the real client's side (ClientSession) talks to a server that keeps to a script
// (session_harness.h has it) and records every octet it is sent behind EHLO.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/smtp/client_session.h"

namespace gatepost::smtp {

// What one connection was sent.
struct UpstreamConnection {
  std::string octets;
  bool dropped = false;
};

class ScriptedNextHop {
 public:
  void set_eight_bit_mime(bool has) { eight_bit_mime_ = has; }

  UpstreamOutcome Open(const MailCommand& mail, const ForwardPath& recipient);
  UpstreamOutcome AddRecipient(const ForwardPath& recipient);
  UpstreamOutcome BeginData();
  UpstreamOutcome SendBody(const std::array<std::string_view, 2>& pieces);
  // `*message`: all that was sent behind 354, stuffed, without the end of data.
  UpstreamOutcome FinishData(const std::array<std::string_view, 2>& pieces, std::string* message);
  void Reset();
  void Drop();

  const std::vector<UpstreamConnection>& connections() const { return connections_; }

 private:
  // Carries the operation out; a conversation that is over is dropped.
  UpstreamOutcome Run(ClientSession::Action action);
  // The server reads what it was sent and answers.
  void Serve();
  std::string ReplyTo(std::string_view line);
  bool SenderIs(std::string_view local) const { return sender_.substr(0, sender_.find('@')) == local; }
  void WriteBody(const std::array<std::string_view, 2>& pieces);

  std::unique_ptr<ClientSession> client_;
  std::vector<UpstreamConnection> connections_;
  std::string received_;  // commands not yet answered
  std::string replies_;   // not yet read by the client
  bool eight_bit_mime_ = true;
  bool closes_ = false;  // nothing more comes behind `replies_`
  bool in_message_ = false;
  bool mail_ = false;
  std::string sender_;
  std::string message_;
};

}  // namespace gatepost::smtp
