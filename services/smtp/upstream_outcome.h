// How a step at the next hop ended, and what our client is told of it. A value; no text of a next hop reaches a client
// but through ReplyToClient().
#pragma once

#include <cstdint>
#include <string>

#include "services/policy/virtual_server.h"
#include "services/smtp/reply.h"
#include "services/smtp/reply_reader.h"

namespace gatepost::smtp {

struct UpstreamOutcome {
  enum class Kind : uint8_t {
    kAccepted,          // 2yz; 354 to DATA; body octets written
    kRefused,           // 4yz or 5yz of the step, in `reply`
    kUnreachable,       // no address took the connection, or all refused us with 4yz before MAIL; too slow: 451 4.4.1
    kRefusedUs,         // refused by 5yz at the greeting, EHLO or STARTTLS: 451 4.3.5
    kTlsNotOffered,     // required, and not there: 451 4.7.4
    kTlsFailed,         // the handshake, or its name: 451 4.7.5
    kNoConnection,      // our own limit of upstream connections: 451 4.3.2
    kLost,              // the connection ended, or was too slow, before our dot: 451 4.4.1
    kOutOfStep,         // an early, extra, malformed or oversized reply: dropped, 451 4.4.2
    kInDoubt,           // lost, too slow or out of step after our dot: 451 4.4.2; the next hop may have the message
    kCannotCarry,       // the next hop lacks what the message asks for: 554 5.6.3
    kNotInternational,  // it lacks SMTPUTF8: 553 5.6.7
    kLacksExtension,    // it lacks what it was known to have, or what our configuration needs of it: 451 4.3.5
  };
  Kind kind = Kind::kAccepted;
  // It concerns the whole transaction (MAIL, or no connection): the answer to every RCPT of it, without asking again.
  bool whole_transaction = false;
  // Of kAccepted, kRefused, kRefusedUs and, where there was one, kUnreachable; else code 0.
  UpstreamReply reply;
  // Of an accepted BeginData(): the next hop takes no octet beyond ASCII.
  bool seven_bit = false;
  // For the log; no client sees it.
  std::string detail;

  bool accepted() const { return kind == Kind::kAccepted; }
  bool in_doubt() const { return kind == Kind::kInDoubt; }
  // The connection is gone, and with it the transaction: nothing is to be reset.
  bool connection_lost() const;
  // The next hop takes us for a client that does something wrong, or refuses to talk to us: to be logged and counted.
  bool misconfigured() const;

  static UpstreamOutcome Accepted(UpstreamReply reply = {});
  static UpstreamOutcome Refused(UpstreamReply reply, bool whole_transaction = false);
  static UpstreamOutcome Failed(Kind kind, std::string detail = {});
};

// What the client is told of an outcome that is not accepted.
Reply ReplyToClient(const UpstreamOutcome& outcome, policy::Dialect dialect);

}  // namespace gatepost::smtp
