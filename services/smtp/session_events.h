// What a ServerSession asks of its driver (actions) and what the driver answers (events). One action at a time: the
// driver carries it out and calls Advance() again with the one event that answers it. The edge answers from sockets,
// the auth service and the next hop; Simulate and the tests answer from scripts.
//
// Pointers and views inside an action point into the session; they hold until the next Advance().
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "services/base/check.h"
#include "services/base/clock.h"
#include "services/policy/evaluate.h"
#include "services/policy/facts.h"
#include "services/smtp/client_identity.h"
#include "services/smtp/command.h"
#include "services/smtp/upstream_outcome.h"

namespace gatepost::smtp {

// ---------------------------------------------------------------------------------------------------------- actions

// Read some octets from the client into ServerSession::input(), at least one, by `deadline`.
// -> BytesRead | PeerClosed | TimedOut | Interrupt.
struct ReadClient {
  base::MonotonicTime deadline;
  // How much is worth reading at once; a hint for the size of the buffer.
  size_t want = 0;
  // No transaction is open and no AUTH exchange runs: here, and only here, a pause, a drain or a revoked login may
  // Interrupt. (At the end of the drain time kClosing may interrupt any read.)
  bool between_transactions = false;
};

// output() has grown to a size at which the client must take it before more is said. -> Done.
struct WriteClient {};

// Handshake as a server; what input() held before is gone already. -> TlsEstablished | TlsFailed.
struct StartTls {};

// -> Done after `duration` (the tarpit of a failed AUTH). output() need not be written before.
struct Delay {
  base::Duration duration;
};

// What is the client's address called? Policy needs it, or the header that we add. -> ClientNameFound.
struct LookUpClientName {
  const policy::ClientFacts* client;
};

// Do block lists have the client's address? -> BlockListsAsked.
struct LookUpBlockLists {
  const policy::ClientFacts* client;
};

// May the client connect? -> Judged.
struct JudgeConnection {
  const policy::ClientFacts* client;
};

// May this sender start a transaction? -> Judged.
struct JudgeMail {
  const policy::ClientFacts* client;
  const policy::Identity* identity;  // nullptr: not authenticated
  const ReversePath* sender;
};

// May this recipient be added? -> Judged.
struct JudgeRecipient {
  const policy::ClientFacts* client;
  const policy::Identity* identity;
  const ReversePath* sender;
  const ForwardPath* recipient;
};

// Start an exchange with the auth service. Octets, not base64. -> AuthAnswer.
struct AuthStart {
  std::string_view mechanism;  // upper case
  std::optional<std::string_view> initial_response;
};

// The client's answer to a challenge. -> AuthAnswer.
struct AuthRespond {
  std::string_view response;
};

// The exchange is over without a result; forget it. -> Done.
struct AuthCancel {};

// Connect to the next hop if need be, then MAIL and the first RCPT. -> UpstreamDone.
struct OpenTransaction {
  const MailCommand* mail;  // as it goes to the next hop
  const RcptCommand* recipient;
  // Whose transaction the next hop is told that it is (XCLIENT); nullptr: it is not told.
  const ClientIdentity* client;
  // If the next hop accepts the recipient, BeginData comes next: DATA may be said already.
  bool data_follows = false;
};

// One more RCPT in the open transaction. -> UpstreamDone.
struct AddRecipient {
  const RcptCommand* recipient;
  bool data_follows = false;  // as in OpenTransaction
};

// DATA, unless it has been said, and wait for the next hop's 354. -> UpstreamDone (accepted: 354 came). BODY=BINARYMIME: nothing is said yet.
struct BeginData {};

// Pass these octets on, in order; they are dot-stuffed already and never hold the end of data. A reply that comes
// before our dot is a failure. -> UpstreamDone (accepted: written, or queued within the driver's bound).
// BODY=BINARYMIME: as they are, in a BDAT chunk of their own. -> UpstreamDone (accepted: the next hop's 250 came).
struct SendBody {
  std::array<std::string_view, 2> pieces;
};

// Pass these last octets on, then ".\r\n" (the only place where a dot is sent), and wait for the verdict;
// BODY=BINARYMIME: in the last BDAT chunk.
// `end_read` is when our client's last octet was read: the driver's deadline counts from there. -> UpstreamDone.
struct FinishData {
  std::array<std::string_view, 2> pieces;
  base::MonotonicTime end_read;
};

// The transaction is over at its next hop: RSET (at once, or before the next MAIL); the connection stays. -> Done.
struct ResetUpstream {};

// Close the connection to the next hop at once and without a dot. -> Done.
struct DropUpstream {};

// The session is over: write output(), shut down in an orderly way and give the client a moment to read it; end the
// connection to the next hop, if there is one, by QUIT (no DATA is open there). Nothing is advanced after it.
struct Close {
  // false: the client is gone, or deserves no orderly end; close at once.
  bool linger = true;
};

using Action =
    std::variant<ReadClient, WriteClient, StartTls, Delay, LookUpClientName, LookUpBlockLists, JudgeConnection,
                 JudgeMail, JudgeRecipient, AuthStart, AuthRespond, AuthCancel, OpenTransaction, AddRecipient,
                 BeginData, SendBody, FinishData, ResetUpstream, DropUpstream, Close>;

// ----------------------------------------------------------------------------------------------------------- events

// The first event of a session. What the client has sent before (without being waited for) is in input() already: it
// talks before the greeting.
struct Start {
  enum class Admission {
    kAdmitted,
    kTooManyConnections,
    kNotAccepting,  // paused, stopping, draining
  };
  Admission admission = Admission::kAdmitted;
  // The handshake comes before the greeting (and before a refusal by connection control).
  bool implicit_tls = false;
};

struct BytesRead {};   // input() has grown
struct PeerClosed {};  // in whatever way
struct TimedOut {};

struct TlsEstablished {
  policy::TlsFacts tls;
};
struct TlsFailed {};

// Not kUnasked.
struct ClientNameFound {
  policy::ClientName name;
};
struct BlockListsAsked {
  policy::BlockListing listing;
};

struct Judged {
  policy::Verdict verdict;
  // Of JudgeConnection: the client has spoken, or gone, already; the session reads before it greets.
  bool client_acted = false;
};

struct AuthChallenge {
  std::string challenge;  // octets
};
struct AuthSuccess {
  policy::Identity identity;
  // The mechanism's last words, octets: the client takes note of them before it is told of the success (RFC 4954 4).
  std::optional<std::string> final;
};
struct AuthFailure {};      // wrong credentials, whatever the reason; the client is told no more
struct AuthMalformed {};    // the response was not a message of this mechanism
struct AuthUnavailable {};  // down, slow, throttled, cannot tell
struct AuthAnswer {
  std::variant<AuthChallenge, AuthSuccess, AuthFailure, AuthMalformed, AuthUnavailable> answer;
};

struct UpstreamDone {
  UpstreamOutcome outcome;
};

struct Done {};

struct Interrupt {
  enum class Reason {
    kClosing,  // paused, stopping, draining: 421 4.3.2
    kRevoked,  // the login was revoked: 421 4.7.0
  };
  Reason reason = Reason::kClosing;
};

using Event = std::variant<Start, BytesRead, PeerClosed, TimedOut, TlsEstablished, TlsFailed, ClientNameFound,
                           BlockListsAsked, Judged, AuthAnswer, UpstreamDone, Done, Interrupt>;

// The answer to an action that has but one.
template <typename T>
const T& Only(const Event& event) {
  const T* answer = std::get_if<T>(&event);
  GATEPOST_CHECK(answer != nullptr);
  return *answer;
}

}  // namespace gatepost::smtp
