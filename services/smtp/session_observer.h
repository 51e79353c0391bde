// What a session tells about itself as it happens: the edge turns it into metrics and log lines, tests into records.
// All calls are made from within ServerSession::Advance(); they must not block and must not call the session.
// Never handed over: message content, passwords, SASL messages.
#pragma once

#include <cstdint>
#include <string_view>

#include "services/policy/evaluate.h"
#include "services/policy/facts.h"
#include "services/smtp/reply.h"
#include "services/smtp/verb.h"

namespace gatepost::smtp {

enum class AuthOutcome : uint8_t { kSuccess, kFailure, kUnavailable, kCancelled, kMalformed };

enum class SessionEnd : uint8_t {
  kQuit,
  kPeerClosed,
  kTimedOut,
  kRefused,
  kProtocolError,
  kLimit,
  kClosing,
  kRevoked,
  kTlsFailed,
};

struct MessageResult {
  bool accepted = false;
  bool in_doubt = false;    // the next hop was lost after our dot
  int transaction = 0;      // its number in the session
  uint64_t octets = 0;      // as read, unstuffed
  int recipients = 0;       // accepted ones
  std::string_view sender;  // canonical, empty: the null path
  int code = 0;             // what the client was told
  std::string_view text;
};

class SessionObserver {
 public:
  virtual ~SessionObserver() = default;
  // One for each command, with the code of its final reply (0: closed without one).
  virtual void OnCommand(Verb /*verb*/, int /*code*/) {}
  virtual void OnVerdict(const policy::Verdict& /*verdict*/) {}
  virtual void OnAuth(std::string_view /*mechanism*/, AuthOutcome /*outcome*/, std::string_view /*login*/) {}
  virtual void OnTls(const policy::TlsFacts& /*tls*/) {}
  // Each end of data, accepted or not, and each message given up before it (code 0).
  virtual void OnMessage(const MessageResult& /*result*/) {}
  // For the protocol log. Lines without CR LF; SASL responses come as "<sasl>", what is no command as "<unknown>" (it
  // may be a password out of place), message content not at all.
  virtual void OnLineIn(std::string_view /*line*/) {}
  virtual void OnReplyOut(const Reply& /*reply*/) {}
  virtual void OnEnd(SessionEnd /*why*/) {}
};

}  // namespace gatepost::smtp
