// Our side of a conversation with a next hop, as a machine without I/O: greeting, EHLO, STARTTLS and XCLIENT where they
// are required, and any number of transactions, one after another. It sends nothing but what it has serialised itself,
// and trusts no reply: one that is early, extra, malformed or too long ends the conversation.
//
//   ClientSession::Action action = session.Connect();          // or another operation, when the last one has finished
//   while (it is not Finished) action = session.Advance(<carry out action>);
//
// The octets of a message do not pass through it: between BeginData() and FinishData() the driver writes them to the
// connection, where by_chunks() is set each time with SendChunk(). It must look for octets of the next hop before each
// write, and once more just before FinishData(): an answer before our dot has to be seen before the dot is sent (then:
// Abort()). One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/smtp/address.h"
#include "services/smtp/capabilities.h"
#include "services/smtp/client_identity.h"
#include "services/smtp/command.h"
#include "services/smtp/input_buffer.h"
#include "services/smtp/reply_reader.h"
#include "services/smtp/upstream_outcome.h"

namespace gatepost::smtp {

class ClientSession {
 public:
  struct Options {
    std::string client_name;   // for EHLO: a host name
    bool require_tls = false;  // STARTTLS before anything else, or nothing; never "if offered"
    // XCLIENT before the first MAIL, or nothing.
    std::optional<ClientIdentity> identity;
  };

  // Which deadline a read has.
  enum class Wait : uint8_t { kGreeting, kHello, kStartTls, kEnvelope, kData, kChunk, kVerdict, kReset, kQuit };

  // Write these octets; they hold until the next Advance(). -> kWritten | kClosed | kTimedOut
  struct Write {
    std::string_view octets;
    Wait wait;
    // Octets of the message that the driver holds go with it, in the same write: before a dot, behind a BDAT.
    enum class Message : uint8_t { kNone, kBefore, kBehind } message = Message::kNone;
  };
  // Read some octets into input(), at least one. -> kBytesRead | kClosed | kTimedOut
  struct Read {
    Wait wait;
  };
  // Handshake as a client, the name of the peer checked. -> kTlsEstablished | kTlsFailed | kClosed | kTimedOut
  struct StartTls {};
  // The operation has ended. When !usable() the connection is to be closed, at once and without another octet.
  struct Finished {
    UpstreamOutcome outcome;
  };
  using Action = std::variant<Write, Read, StartTls, Finished>;

  enum class Event : uint8_t { kWritten, kBytesRead, kClosed, kTimedOut, kTlsEstablished, kTlsFailed };

  explicit ClientSession(Options options) : options_(std::move(options)) {}
  ClientSession(const ClientSession&) = delete;
  ClientSession& operator=(const ClientSession&) = delete;

  // The operations. Each is possible when the one before it has finished; which order makes sense: Connect, then
  // (Identify, MailAndRcpt, Rcpt..., BeginData, SendChunk..., FinishData | Reset)..., then Quit. On a conversation that
  // is over they finish at once with kLost.
  Action Connect();
  // Our client is somebody else now (it has authenticated): XCLIENT again, unless that has been said.
  Action Identify(const ClientIdentity& identity);
  // MAIL and the first RCPT; in one write where the next hop has PIPELINING. A refusal of MAIL concerns the whole
  // transaction; of RCPT, that recipient. `data_follows`: BeginData() is the next operation if the transaction has a
  // recipient then; where the next hop has PIPELINING, DATA is said in the same write (RFC 2920 3.1) and BeginData()
  // takes the answer. Without a recipient the answer is read here; where that is 354, for nobody, the conversation is
  // over.
  Action MailAndRcpt(const MailCommand& mail, const RcptCommand& recipient, bool data_follows = false);
  Action Rcpt(const RcptCommand& recipient, bool data_follows = false);
  // Accepted: 354 has come, or by_chunks(): the message may be written.
  Action BeginData();
  // by_chunks(): `octets` of the message, which go behind its Write. Accepted: the next hop has them. A refusal ends
  // the conversation (RFC 3030 2: what the next hop holds then cannot be known).
  Action SendChunk(uint64_t octets);
  // The message is written: its Write is the dot, or BDAT LAST with so many octets behind it. From there on what goes
  // wrong leaves the message in doubt.
  Action FinishData(uint64_t octets = 0);
  Action Reset();
  Action Quit();

  Action Advance(Event event);

  // While no operation runs (a message is being written, or nothing is going on): the next hop has said something
  // (kBytesRead), is gone (kClosed) or does not take what we write (kTimedOut). The conversation is over.
  UpstreamOutcome Abort(Event event);

  InputBuffer& input() { return input_; }
  // Of the last EHLO: what this conversation can do.
  const Capabilities& capabilities() const { return capabilities_; }
  // Of the last EHLO before XCLIENT: what it can do for anybody.
  const Capabilities& offered() const { return offered_; }
  // The transaction's message goes by BDAT, as it is, not by DATA: it is a binary one.
  bool by_chunks() const { return by_chunks_; }
  // As many transactions as the next hop takes in one session (RFC 9422) have been begun.
  bool exhausted() const { return capabilities_.transactions_max && transactions_ >= *capabilities_.transactions_max; }
  uint64_t transactions() const { return transactions_; }
  // Fit for another client's transactions: between two transactions, of which the last, if there was one, ended with a 2yz
  // to its message or to RSET (RFC 5321 4.1.1.4, 4.1.1.5: everything of it is cleared); nothing was ever refused, nothing
  // told of a client, and the next hop takes another transaction.
  bool spotless() const {
    return state_ == State::kIdle && !in_transaction_ && !refused_once_ && !options_.identity && !exhausted() &&
           input_.empty();
  }
  // Another operation may be started.
  bool usable() const { return state_ == State::kIdle || state_ == State::kMessage; }

 private:
  enum class State : uint8_t {
    kNew,
    kGreeting,
    kHello,
    kStartTls,
    kHandshake,
    kXclient,
    kIdle,
    kMail,
    kRcpt,
    kVainData,  // the answer to DATA that was said for nobody
    kData,
    kMessage,
    kChunk,
    kVerdict,
    kReset,
    kQuit,
    kOver,
  };

  Action Say(State next, std::string octets, Write::Message message = Write::Message::kNone);
  Action SayHello();
  Action SayIdentity();
  Action ReadOn() const;
  Action TakeReplies();
  Action TakeReply(UpstreamReply reply);
  Action TakeGreeting(UpstreamReply reply);
  Action TakeHello(UpstreamReply reply);
  Action TakeStartTls(const UpstreamReply& reply);
  Action TakeXclient(UpstreamReply reply);
  Action TakeMail(UpstreamReply reply);
  Action TakeRcpt(UpstreamReply reply);
  Action EndRcpt(bool over, UpstreamOutcome outcome);
  Action TakeVainData(const UpstreamReply& reply);
  Action TakeData(UpstreamReply reply);
  Action TakeChunk(UpstreamReply reply);
  Action TakeVerdict(UpstreamReply reply);
  // The step has ended and the conversation goes on from `next`, unless the next hop said more than it was asked.
  Action Finish(State next, UpstreamOutcome outcome);
  Action Fail(UpstreamOutcome::Kind kind, std::string detail);
  Action RefusedUs(UpstreamReply reply);
  std::optional<Action> WhyNot(State expected);
  Wait wait() const;

  Options options_;
  State state_ = State::kNew;
  InputBuffer input_;
  std::string output_;
  Capabilities capabilities_;
  Capabilities offered_;
  bool tls_ = false;
  std::vector<std::string> identity_lines_;  // still to be said, the first one last
  bool identified_ = false;                  // they were made
  bool as_client_ = false;                   // EHLO says our client's name
  bool data_said_ = false;                   // DATA went with the last RCPT, and BeginData() is to take its answer
  uint64_t recipients_ = 0;                  // of this transaction, that were accepted
  UpstreamOutcome rcpt_outcome_;             // while kVainData
  uint64_t transactions_ = 0;                // MAILs said
  bool in_transaction_ = false;              // MAIL was said, and neither a verdict nor RSET's answer has come since
  bool refused_once_ = false;                // anything of any transaction
  bool by_chunks_ = false;
  std::string recipient_line_;            // RCPT, to be said after MAIL was accepted (no PIPELINING)
  bool pipelined_ = false;                // RCPT went with MAIL
  std::optional<UpstreamReply> refused_;  // the refusal of MAIL, while RCPT's answer is awaited
};

}  // namespace gatepost::smtp
