#include "services/smtp/upstream_command.h"

#include <string_view>

#include "services/base/strings.h"

namespace gatepost::smtp {
namespace {

using Kind = UpstreamOutcome::Kind;

std::string_view BodyName(BodyType body) {
  switch (body) {
    case BodyType::k7Bit:
      return "7BIT";
    case BodyType::k8BitMime:
      return "8BITMIME";
    case BodyType::kBinaryMime:
      break;
  }
  return "BINARYMIME";
}

std::string NotifyValue(const RcptCommand::Notify& notify) {
  if (notify.never) return "NEVER";
  std::string value;
  const auto add = [&](bool wanted, std::string_view word) {
    if (wanted) base::StrAppend(&value, value.empty() ? "" : ",", word);
  };
  add(notify.success, "SUCCESS");
  add(notify.failure, "FAILURE");
  add(notify.delay, "DELAY");
  return value;
}

}  // namespace

std::string MailLine(const MailCommand& mail, const Capabilities& next_hop) {
  std::string line = base::StrCat("MAIL FROM:<", mail.path.canonical(), '>');
  if (mail.size && next_hop.size) base::StrAppend(&line, " SIZE=", *mail.size);
  // BODY=7BIT, the default, is not worth refusing over.
  if (mail.body && next_hop.eight_bit_mime) base::StrAppend(&line, " BODY=", BodyName(*mail.body));
  if (mail.smtputf8) line.append(" SMTPUTF8");
  if (mail.dsn_return == DsnReturn::kFull) line.append(" RET=FULL");
  if (mail.dsn_return == DsnReturn::kHeaders) line.append(" RET=HDRS");
  if (mail.envelope_id) base::StrAppend(&line, " ENVID=", EncodeXtext(*mail.envelope_id));
  return line.append("\r\n");
}

std::string RcptLine(const RcptCommand& recipient) {
  std::string line = base::StrCat("RCPT TO:<", recipient.path.canonical(), '>');
  if (recipient.notify.given) base::StrAppend(&line, " NOTIFY=", NotifyValue(recipient.notify));
  if (recipient.original_type) {
    base::StrAppend(&line, " ORCPT=", *recipient.original_type, ';', EncodeXtext(recipient.original_address));
  }
  return line.append("\r\n");
}

std::optional<Kind> Lacking(const MailCommand& mail, const Capabilities& next_hop) {
  if (mail.smtputf8 && !(next_hop.smtputf8 && next_hop.eight_bit_mime)) return Kind::kNotInternational;
  if (mail.body == BodyType::kBinaryMime && !(next_hop.binary_mime && next_hop.chunking && next_hop.eight_bit_mime)) {
    return Kind::kCannotCarry;
  }
  if (mail.body == BodyType::k8BitMime && !next_hop.eight_bit_mime) return Kind::kCannotCarry;
  const bool dsn = mail.dsn_return != DsnReturn::kUnset || mail.envelope_id;
  return dsn && !next_hop.dsn ? std::optional(Kind::kLacksExtension) : std::nullopt;
}

std::optional<Kind> Lacking(const RcptCommand& recipient, const Capabilities& next_hop) {
  const bool dsn = recipient.notify.given || recipient.original_type;
  return dsn && !next_hop.dsn ? std::optional(Kind::kLacksExtension) : std::nullopt;
}

}  // namespace gatepost::smtp
