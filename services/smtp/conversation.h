// What goes to and fro between the client and us, seen from the session: the buffers, the replies, the figures that end
// a session, and how lines are read. The one place where a reply is written.
//
// A session is over once End(), SayLast() or a limit said so; its parts then do nothing more, and ServerSession closes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/base/clock.h"
#include "services/policy/virtual_server.h"
#include "services/smtp/input_buffer.h"
#include "services/smtp/line_reader.h"
#include "services/smtp/reply.h"
#include "services/smtp/session_events.h"
#include "services/smtp/session_observer.h"

namespace gatepost::smtp {

class Conversation {
 public:
  // Both outlive the conversation. `observer` may be nullptr.
  Conversation(const policy::VirtualServer& settings, SessionObserver* observer)
      : settings_(settings), observer_(observer) {}

  InputBuffer& input() { return input_; }
  std::string& output() { return output_; }

  // A figure of the virtual server is reached; `rule`: its path in the API.
  void ObserveLimit(std::string_view rule);

  // The command whose final reply is said next; for OnCommand.
  void BeginCommand(Verb verb) { verb_ = verb; }

  // Replies may hold UTF-8: from a MAIL with SMTPUTF8 to the end of its transaction.
  void AllowUtf8(bool allow) { utf8_ = allow; }
  // A protocol error (500-504, 555) beyond the limit is replaced by 421 and ends the session.
  void Say(const Reply& reply);
  // The greeting, or what is said instead of it and does not end the session.
  void Greet(const Reply& reply) { Write(reply); }
  // The session's last reply.
  void SayLast(const Reply& reply, SessionEnd why);
  // The session ends without another reply.
  void End(SessionEnd why, bool linger = true);

  bool over() const { return over_; }
  bool linger() const { return linger_; }
  SessionEnd why() const { return why_; }

  // NOOP, RSET, VRFY, HELP, EHLO, HELO. False: too many since the last transaction, the session is over.
  bool ChargeIdleCommand();
  void ForgetIdleCommands() { idle_commands_ = 0; }
  // A recipient that is about to be refused, respectively to be one too many for the transaction. False: the session is
  // over.
  bool ChargeRefusedRecipient();
  bool ChargeExcessRecipient();

  // The next line, without CR LF; it is consumed, and holds until the next call. Nothing: more has to be read
  // (ReadLine), or the session is over, or a line beyond the limit was thrown away, and `*too_long` is what to say of
  // it.
  std::optional<std::string_view> NextLine(LineReader::Expect expect, std::optional<Reply>* too_long);
  // DATA has been read behind the command that is being carried out, and nothing behind it: it comes next.
  bool DataFollows() const;
  // Waits for (more of) a line: `idle` from now, or 60 s from the first octet of a line that has begun.
  ReadClient ReadLine(base::MonotonicTime now, base::Duration idle);
  // Forgets what was read and not yet used (STARTTLS).
  void ForgetInput();
  // Forgets the last line, which held credentials, or may have.
  void WipeLine();

  // A read brought no octets: the session is over. `timeout`: the reply when it was too slow.
  void EndOfReading(const Event& event, const Reply& timeout);
  // Some octets of an unfinished line have come.
  bool in_line() const { return line_began_.has_value(); }

 private:
  // `rule`: the limit's path, empty for one that nobody sets.
  bool Charge(int* counter, int limit, const Reply& beyond, std::string_view rule);
  void Write(const Reply& reply);

  const policy::VirtualServer& settings_;
  SessionObserver* observer_;
  InputBuffer input_;
  std::string output_;
  LineReader line_reader_;
  std::string line_;
  std::optional<Verb> verb_;
  std::optional<base::MonotonicTime> line_began_;
  int protocol_errors_ = 0;
  int idle_commands_ = 0;
  int refused_recipients_ = 0;
  int excess_recipients_ = 0;
  bool utf8_ = false;
  bool over_ = false;
  bool linger_ = true;
  SessionEnd why_ = SessionEnd::kQuit;
};

}  // namespace gatepost::smtp
