// The SMTP server's side of one session, from the greeting to the close, as a machine without I/O: RFC 5321 and its
// extensions, the limits and deadlines, and the order in which policy, the auth service and the next hop are asked.
//
//   Action action = session.Advance(now, Start{...});
//   for (;;) { Event event = <carry out action>; action = session.Advance(now, event); }   until the action is Close
//
// The driver owns the sockets. Before ReadClient, WriteClient, StartTls, Delay and Close it writes output() to the
// client and clears it; so the replies of a pipelined group leave in one write. Before other actions it may, and should
// if the answer is slow. Nothing that the client sends can make Advance() fail: what is impossible is checked and
// aborts, and is always the driver's mistake (an event that does not answer the action).
//
// The session does not know about sockets, clocks, threads, DNS, or which next hop is used. One thread; not copyable.
// It is split by the parts of a conversation, each a small machine that runs until it needs no more events:
// opening.h (up to the greeting), server_session.cc (commands), auth_exchange.h, envelope.h (MAIL and RCPT),
// message_body.h (DATA and BDAT); session_context.h is what they share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/policy/facts.h"
#include "services/policy/snapshot.h"
#include "services/smtp/capabilities.h"
#include "services/smtp/input_buffer.h"
#include "services/smtp/session_events.h"
#include "services/smtp/session_observer.h"

namespace gatepost::smtp {

// All views and references must outlive the session.
struct SessionOptions {
  // The policy of the whole session; the caller holds the snapshot it belongs to.
  const policy::CompiledVirtualServer* virtual_server = nullptr;
  // What every next hop can do (Capabilities::Intersect), as known when the session starts.
  Capabilities next_hop;
  // Upper-case names that the auth service can serve now. Empty: AUTH is not offered.
  std::vector<std::string> servable_mechanisms;
  // A certificate is at hand and the listener is not implicit TLS.
  bool starttls_available = false;
  // Lower case, unique; in Received, in the 250 and in every log line.
  std::string session_id;
  policy::ClientFacts client;
  // For the jitter of the tarpit.
  base::Random* random = nullptr;
  // For the date in Received.
  const base::Clock* clock = nullptr;
  SessionObserver* observer = nullptr;  // may be nullptr
  // Where the rules go that the session looks at by itself (encryption, mechanisms); may be nullptr.
  policy::Trace* trace = nullptr;
};

class ServerSession {
 public:
  explicit ServerSession(SessionOptions options);
  ~ServerSession();
  ServerSession(const ServerSession&) = delete;
  ServerSession& operator=(const ServerSession&) = delete;

  // `now` never goes backwards. `event` answers the action returned last (Start: the first call).
  Action Advance(base::MonotonicTime now, Event event);

  // Octets from the client: the driver appends while it carries out ReadClient, at no other time.
  InputBuffer& input();
  // Octets for the client: the driver takes them and clears it.
  std::string& output();

  const policy::ClientFacts& client() const;
  // The authenticated identity, or nullptr.
  const policy::Identity* identity() const;
  // Whoever is about to be it (the last words of its mechanism are on their way), or nullptr.
  const policy::Identity* almost_authenticated() const;

 private:
  // The parts, and which of them the next event is for.
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace gatepost::smtp
