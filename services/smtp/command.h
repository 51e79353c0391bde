// Parses one command line into what it asks for, strictly (RFC 5321 4.1 and the extensions). It knows no session:
// whether a command may come now, and whether policy allows it, is the session's to say.
//
// Views in a command point into the line, and hold as long as it; what outlives it (paths, parameters) is owned.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "services/smtp/address.h"
#include "services/smtp/verb.h"

namespace gatepost::smtp {

struct EhloCommand {
  std::string_view client_name;  // may be empty ([MS-SMTPNTLM] clients)
};
struct HeloCommand {
  std::string_view client_name;
};
struct StartTlsCommand {};

struct AuthCommand {
  std::string mechanism;  // upper case
  // As sent: base64, "=" for an empty one; anything else is for the decoder to refuse (501 5.5.2).
  std::optional<std::string_view> initial_response;
};

enum class BodyType : uint8_t { k7Bit, k8BitMime, kBinaryMime };
enum class DsnReturn : uint8_t { kUnset, kFull, kHeaders };

// AUTH= (RFC 4954 5) is checked and dropped: nobody's word is taken for it, it stands for AUTH=<>.
struct MailCommand {
  ReversePath path;
  std::optional<uint64_t> size;  // octets; more than 64 bits hold: the greatest number
  std::optional<BodyType> body;  // nothing: no BODY=
  bool smtputf8 = false;
  DsnReturn dsn_return = DsnReturn::kUnset;
  std::optional<std::string> envelope_id;  // decoded, printable ASCII
};

struct RcptCommand {
  ForwardPath path;
  // NOTIFY= (RFC 3461 4.1): not given, NEVER, or a set.
  struct Notify {
    bool given = false, never = false, success = false, failure = false, delay = false;
  } notify;
  // ORCPT=: the type, and the address decoded.
  std::optional<std::string> original_type;
  std::string original_address;
};

struct DataCommand {};
struct BdatCommand {
  uint64_t size = 0;
  bool last = false;
};
struct RsetCommand {};
struct NoopCommand {};
struct VrfyCommand {};
struct HelpCommand {};
struct QuitCommand {};
// A verb that exists, but not here: EXPN, XCLIENT, XFORWARD, ETRN, TURN, ATRN, SEND, SOML, SAML, BURL. 502.
struct NotImplementedCommand {};
// The client speaks HTTP: close without a reply.
struct HttpCommand {};
// A PROXY header (v1) where none is believed: a reply, then close; it is not looked into.
struct ProxyHeaderCommand {};
// 500.
struct UnknownCommand {};

// A known verb with something wrong behind it. replies::ForError() has the reply for each.
struct CommandError {
  enum class Kind : uint8_t {
    kBadArgument,        // 501 5.5.4
    kUnknownParameter,   // 555 5.5.4: of MAIL or RCPT, or of an extension that is not offered
    kNoBrackets,         // 501 5.5.4
    kBadSender,          // 501 5.1.7
    kBadRecipient,       // 501 5.1.3
    kSenderNotAscii,     // 550 5.6.7
    kRecipientNotAscii,  // 553 5.6.7
    kBodyType,           // 554 5.6.3: BODY= of an extension that is not offered
    kAuthTooLong,        // 500 5.5.6
    kBadChunkSize,       // 501 5.5.4, then close: where the next command begins cannot be known
    kBadChunk,           // 501 5.5.4; `chunk_size` octets follow all the same
  };
  Kind kind = Kind::kBadArgument;
  uint64_t chunk_size = 0;
};

using Command = std::variant<EhloCommand, HeloCommand, StartTlsCommand, AuthCommand, MailCommand, RcptCommand,
                             DataCommand, BdatCommand, RsetCommand, NoopCommand, VrfyCommand, HelpCommand, QuitCommand,
                             NotImplementedCommand, HttpCommand, ProxyHeaderCommand, UnknownCommand, CommandError>;

struct ParsedCommand {
  Verb verb = Verb::kOther;  // of errors too
  Command command;
};

// Which parameters of MAIL and RCPT are offered: those of the EHLO that the client got; none after HELO.
struct OfferedParameters {
  bool size = false;
  bool eight_bit_mime = false;
  bool binary_mime = false;
  bool smtputf8 = false;
  bool dsn = false;
  // The open transaction has SMTPUTF8: RCPT may name addresses beyond ASCII.
  bool utf8_transaction = false;
};

// `line`: without CR LF, no control octet in it (line_reader.h).
ParsedCommand ParseCommand(std::string_view line, const OfferedParameters& offered);

}  // namespace gatepost::smtp
