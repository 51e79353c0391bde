#include "services/smtp/command.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "services/base/strings.h"
#include "services/smtp/grammar.h"
#include "services/smtp/limits.h"

namespace gatepost::smtp {
namespace {

using Kind = CommandError::Kind;

CommandError Error(Kind kind) { return CommandError{kind}; }

// Takes the text up to the next blank, and the blank.
std::string_view TakeWord(std::string_view* text) {
  const size_t end = std::min(text->find(' '), text->size());
  const std::string_view word = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return word;
}

bool IsNumber(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), base::IsDigit); }

// nullopt: more than 64 bits hold.
std::optional<uint64_t> ToNumber(std::string_view digits) {
  uint64_t number = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return result.ec == std::errc() ? std::optional<uint64_t>(number) : std::nullopt;
}

// One esmtp-param (RFC 5321 4.1.2).
struct Parameter {
  std::string_view keyword;
  std::optional<std::string_view> value;

  bool Is(std::string_view name) const { return base::EqualsIgnoreCase(keyword, name); }
};

bool IsParameter(const Parameter& parameter) {
  return !parameter.keyword.empty() && base::IsAlnum(parameter.keyword.front()) &&
         std::all_of(parameter.keyword.begin(), parameter.keyword.end(), IsLetDigHyphen) &&
         (!parameter.value || (!parameter.value->empty() &&
                               std::all_of(parameter.value->begin(), parameter.value->end(), IsParameterValue)));
}

// What comes behind a path: parameters, each but once, `take(parameter)` says what is wrong with one.
template <typename Take>
std::optional<Kind> TakeParameters(std::string_view text, Take take) {
  if (text.empty()) return std::nullopt;
  if (text.front() != ' ') return Kind::kBadArgument;
  std::array<std::string_view, 8> seen;  // more than there are keywords that take() knows
  size_t count = 0;
  while (!text.empty()) {
    const std::string_view word = TakeWord(&text);
    if (word.empty()) continue;
    const size_t equals = word.find('=');
    Parameter parameter{word.substr(0, equals), std::nullopt};
    if (equals != std::string_view::npos) parameter.value = word.substr(equals + 1);
    if (!IsParameter(parameter)) return Kind::kBadArgument;
    for (size_t i = 0; i < count; ++i) {
      if (parameter.Is(seen[i])) return Kind::kBadArgument;
    }
    if (const std::optional<Kind> wrong = take(parameter)) return wrong;
    if (count == seen.size()) return Kind::kBadArgument;
    seen[count++] = parameter.keyword;
  }
  return std::nullopt;
}

// xtext of printable ASCII; `most` octets as it came.
std::optional<std::string> PrintableXtext(std::string_view text, size_t most) {
  if (text.size() > most) return std::nullopt;
  std::optional<std::string> decoded = DecodeXtext(text);
  if (!decoded || !base::IsPrintableAscii(*decoded)) return std::nullopt;
  return decoded;
}

std::optional<Kind> TakeSize(const Parameter& parameter, MailCommand* mail) {
  constexpr size_t kMostDigits = 20;  // RFC 1870 3
  if (!parameter.value || parameter.value->size() > kMostDigits || !IsNumber(*parameter.value)) {
    return Kind::kBadArgument;
  }
  mail->size = ToNumber(*parameter.value).value_or(UINT64_MAX);
  return std::nullopt;
}

std::optional<Kind> TakeBody(const Parameter& parameter, const OfferedParameters& offered, MailCommand* mail) {
  const std::string_view value = parameter.value.value_or("");
  bool can = true;
  if (base::EqualsIgnoreCase(value, "7BIT")) {
    mail->body = BodyType::k7Bit;
  } else if (base::EqualsIgnoreCase(value, "8BITMIME")) {
    mail->body = BodyType::k8BitMime;
    can = offered.eight_bit_mime;
  } else if (base::EqualsIgnoreCase(value, "BINARYMIME")) {
    mail->body = BodyType::kBinaryMime;
    can = offered.binary_mime;
  } else {
    return Kind::kBadArgument;
  }
  return can ? std::nullopt : std::optional(Kind::kBodyType);
}

std::optional<Kind> TakeReturn(const Parameter& parameter, MailCommand* mail) {
  const std::string_view value = parameter.value.value_or("");
  if (base::EqualsIgnoreCase(value, "FULL")) {
    mail->dsn_return = DsnReturn::kFull;
  } else if (base::EqualsIgnoreCase(value, "HDRS")) {
    mail->dsn_return = DsnReturn::kHeaders;
  } else {
    return Kind::kBadArgument;
  }
  return std::nullopt;
}

std::optional<Kind> TakeMailParameter(const Parameter& parameter, const OfferedParameters& offered, MailCommand* mail) {
  if (parameter.Is("SIZE") && offered.size) return TakeSize(parameter, mail);
  if (parameter.Is("BODY")) return TakeBody(parameter, offered, mail);
  if (parameter.Is("AUTH")) {
    const bool valid = parameter.value && (*parameter.value == "<>" || DecodeXtext(*parameter.value));
    return valid ? std::nullopt : std::optional(Kind::kBadArgument);
  }
  if (parameter.Is("SMTPUTF8") && offered.smtputf8) {
    mail->smtputf8 = true;
    return parameter.value ? std::optional(Kind::kBadArgument) : std::nullopt;
  }
  if (parameter.Is("RET") && offered.dsn) return TakeReturn(parameter, mail);
  if (parameter.Is("ENVID") && offered.dsn) {
    mail->envelope_id = PrintableXtext(parameter.value.value_or(""), limits::kEnvelopeId);
    return parameter.value && mail->envelope_id ? std::nullopt : std::optional(Kind::kBadArgument);
  }
  return Kind::kUnknownParameter;
}

std::optional<Kind> TakeNotify(const Parameter& parameter, RcptCommand* rcpt) {
  RcptCommand::Notify& notify = rcpt->notify;
  notify.given = true;
  for (std::string_view word : base::Split(parameter.value.value_or(""), ',')) {
    bool* flag = base::EqualsIgnoreCase(word, "NEVER")     ? &notify.never
                 : base::EqualsIgnoreCase(word, "SUCCESS") ? &notify.success
                 : base::EqualsIgnoreCase(word, "FAILURE") ? &notify.failure
                 : base::EqualsIgnoreCase(word, "DELAY")   ? &notify.delay
                                                           : nullptr;
    if (flag == nullptr || *flag) return Kind::kBadArgument;
    *flag = true;
  }
  if (notify.never && (notify.success || notify.failure || notify.delay)) return Kind::kBadArgument;
  return std::nullopt;
}

std::optional<Kind> TakeOriginalRecipient(const Parameter& parameter, RcptCommand* rcpt) {
  const std::string_view value = parameter.value.value_or("");
  const size_t semicolon = value.find(';');
  const std::string_view type = value.substr(0, semicolon);
  if (semicolon == std::string_view::npos || value.size() > limits::kOriginalRecipient || type.empty() ||
      !std::all_of(type.begin(), type.end(), IsAtext)) {
    return Kind::kBadArgument;
  }
  std::optional<std::string> address = PrintableXtext(value.substr(semicolon + 1), limits::kOriginalRecipient);
  if (!address || address->empty()) return Kind::kBadArgument;
  rcpt->original_type = std::string(type);
  rcpt->original_address = *std::move(address);
  return std::nullopt;
}

std::optional<Kind> TakeRcptParameter(const Parameter& parameter, const OfferedParameters& offered, RcptCommand* rcpt) {
  if (parameter.Is("NOTIFY") && offered.dsn) return TakeNotify(parameter, rcpt);
  if (parameter.Is("ORCPT") && offered.dsn) return TakeOriginalRecipient(parameter, rcpt);
  return Kind::kUnknownParameter;
}

// Takes "FROM:" or "TO:", and the one blank that old clients put behind it.
bool TakeLabel(std::string_view label, std::string_view* text) {
  if (!base::StartsWithIgnoreCase(*text, label)) return false;
  text->remove_prefix(label.size());
  if (text->starts_with(' ')) text->remove_prefix(1);
  return !text->empty();
}

Kind ToKind(AddressError error, Kind syntax, Kind not_ascii) {
  switch (error) {
    case AddressError::kNoBrackets:
      return Kind::kNoBrackets;
    case AddressError::kNotAscii:
      return not_ascii;
    case AddressError::kSyntax:
      break;
  }
  return syntax;
}

Command ParseMail(std::string_view text, const OfferedParameters& offered) {
  if (!TakeLabel("FROM:", &text)) return Error(Kind::kBadArgument);
  PathResult<ReversePath> result = ParseReversePath(text, offered.smtputf8);
  if (!result.path) return Error(ToKind(result.error, Kind::kBadSender, Kind::kSenderNotAscii));
  MailCommand mail;
  mail.path = *std::move(result.path);
  const std::optional<Kind> wrong = TakeParameters(text.substr(result.consumed), [&](const Parameter& parameter) {
    return TakeMailParameter(parameter, offered, &mail);
  });
  if (wrong) return Error(*wrong);
  const std::string_view path = text.substr(0, result.consumed);
  if (!mail.smtputf8 && std::any_of(path.begin(), path.end(), IsBeyondAscii)) return Error(Kind::kSenderNotAscii);
  return mail;
}

Command ParseRcpt(std::string_view text, const OfferedParameters& offered) {
  if (!TakeLabel("TO:", &text)) return Error(Kind::kBadArgument);
  PathResult<ForwardPath> result = ParseForwardPath(text, offered.utf8_transaction);
  if (!result.path) return Error(ToKind(result.error, Kind::kBadRecipient, Kind::kRecipientNotAscii));
  RcptCommand rcpt;
  rcpt.path = *std::move(result.path);
  const std::optional<Kind> wrong = TakeParameters(text.substr(result.consumed), [&](const Parameter& parameter) {
    return TakeRcptParameter(parameter, offered, &rcpt);
  });
  if (wrong) return Error(*wrong);
  return rcpt;
}

Command ParseBdat(std::string_view text) {
  const std::string_view digits = TakeWord(&text);
  const std::optional<uint64_t> size = IsNumber(digits) ? ToNumber(digits) : std::nullopt;
  if (!size) return Error(Kind::kBadChunkSize);
  if (text.empty()) return BdatCommand{*size, false};
  if (base::EqualsIgnoreCase(text, "LAST")) return BdatCommand{*size, true};
  return CommandError{Kind::kBadChunk, *size};
}

Command ParseAuth(std::string_view text) {
  constexpr size_t kMostLetters = 20;  // RFC 4422 3.1
  const std::string_view mechanism = TakeWord(&text);
  const bool valid =
      !mechanism.empty() && mechanism.size() <= kMostLetters &&
      std::all_of(mechanism.begin(), mechanism.end(), [](char c) { return IsLetDigHyphen(c) || c == '_'; });
  if (!valid) return Error(Kind::kBadArgument);
  AuthCommand auth{base::AsciiUpper(mechanism), std::nullopt};
  if (text.size() > limits::kAuthResponse) return Error(Kind::kAuthTooLong);
  if (!text.empty()) auth.initial_response = text;
  return auth;
}

Command ParseEhlo(std::string_view text) {
  if (!text.empty() && !IsClientName(text)) return Error(Kind::kBadArgument);
  return EhloCommand{text};
}

Command ParseHelo(std::string_view text) {
  if (!IsClientName(text)) return Error(Kind::kBadArgument);
  return HeloCommand{text};
}

// A command that has no argument.
template <typename Alone>
Command ParseAlone(std::string_view text) {
  if (!text.empty()) return Error(Kind::kBadArgument);
  return Alone();
}

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view name) { return base::EqualsIgnoreCase(word, name); });
}

Verb ToVerb(std::string_view word) {
  for (int i = 0; i < static_cast<int>(Verb::kOther); ++i) {
    if (base::EqualsIgnoreCase(word, VerbName(static_cast<Verb>(i)))) return static_cast<Verb>(i);
  }
  return Verb::kOther;
}

Command ParseOther(std::string_view word) {
  if (IsOneOf(word, {"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH", "PRI"})) {
    return HttpCommand();
  }
  if (IsOneOf(word, {"EXPN", "XCLIENT", "XFORWARD", "ETRN", "TURN", "ATRN", "SEND", "SOML", "SAML", "BURL"})) {
    return NotImplementedCommand();
  }
  if (base::EqualsIgnoreCase(word, "PROXY")) return ProxyHeaderCommand();
  return UnknownCommand();
}

}  // namespace

ParsedCommand ParseCommand(std::string_view line, const OfferedParameters& offered) {
  // RFC 5321 4.1.1: blanks before the line's end are to be tolerated.
  line = line.substr(0, line.find_last_not_of(' ') + 1);
  std::string_view text = line;
  const std::string_view word = TakeWord(&text);
  const Verb verb = ToVerb(word);
  switch (verb) {
    case Verb::kEhlo:
      return {verb, ParseEhlo(text)};
    case Verb::kHelo:
      return {verb, ParseHelo(text)};
    case Verb::kStartTls:
      return {verb, ParseAlone<StartTlsCommand>(text)};
    case Verb::kAuth:
      return {verb, ParseAuth(text)};
    case Verb::kMail:
      return {verb, ParseMail(text, offered)};
    case Verb::kRcpt:
      return {verb, ParseRcpt(text, offered)};
    case Verb::kData:
      return {verb, ParseAlone<DataCommand>(text)};
    case Verb::kBdat:
      return {verb, ParseBdat(text)};
    case Verb::kRset:
      return {verb, ParseAlone<RsetCommand>(text)};
    case Verb::kNoop:
      return {verb, NoopCommand()};
    case Verb::kVrfy:
      return {verb, text.empty() ? Command(Error(Kind::kBadArgument)) : Command(VrfyCommand())};
    case Verb::kHelp:
      return {verb, HelpCommand()};
    case Verb::kQuit:
      return {verb, ParseAlone<QuitCommand>(text)};
    case Verb::kOther:
      break;
  }
  return {Verb::kOther, ParseOther(word)};
}

}  // namespace gatepost::smtp
