#include "services/smtp/ehlo.h"

#include <algorithm>

#include "services/base/strings.h"
#include "services/policy/evaluate.h"
#include "services/smtp/replies.h"

namespace gatepost::smtp {
namespace {

// RFC 3030 3 and RFC 6531 3.1 need 8BITMIME beside them; a binary body goes on by BDAT alone.
bool CanBinary(const Capabilities& next_hop) {
  return next_hop.binary_mime && next_hop.chunking && next_hop.eight_bit_mime;
}
bool CanUtf8(const Capabilities& next_hop) { return next_hop.smtputf8 && next_hop.eight_bit_mime; }

// RFC 9422: ours and the next hops'. They are the same for every identity: what holds after AUTH holds before it.
std::string Limits(const SessionContext& context) {
  const policy::Limits& figures = context.settings.limits;
  const Capabilities& next_hop = context.options.next_hop;
  std::string line = "LIMITS";
  if (figures.messages != 0) base::StrAppend(&line, " MAILMAX=", figures.messages);
  const auto recipients = static_cast<uint64_t>(figures.recipients);
  base::StrAppend(&line, " RCPTMAX=", std::min(recipients, next_hop.recipients_max.value_or(recipients)));
  if (next_hop.recipient_domains_max) base::StrAppend(&line, " RCPTDOMAINMAX=", *next_hop.recipient_domains_max);
  return line;
}

}  // namespace

Reply HeloReply(const SessionContext& context) {
  return replies::HelloLine(context.settings.fqdn, context.options.client.address.ToString());
}

Reply EhloReply(const SessionContext& context) {
  const SessionOptions& options = context.options;
  const Capabilities& next_hop = options.next_hop;
  Reply reply = HeloReply(context);
  std::vector<std::string>& lines = reply.more;
  if (next_hop.size) lines.push_back(base::StrCat("SIZE ", context.MessageSizeLimit()));
  if (next_hop.pipelining) lines.emplace_back("PIPELINING");
  if (next_hop.dsn) lines.emplace_back("DSN");
  if (next_hop.enhanced_status_codes) lines.emplace_back("ENHANCEDSTATUSCODES");
  if (options.starttls_available && !context.tls_active()) lines.emplace_back("STARTTLS");
  std::string mechanisms;
  for (std::string_view mechanism :
       policy::OfferedMechanisms(*options.virtual_server, options.client.tls, options.servable_mechanisms)) {
    base::StrAppend(&mechanisms, ' ', mechanism);
  }
  if (!mechanisms.empty() && !context.needs_tls()) {
    lines.push_back("AUTH" + mechanisms);
    const bool login = mechanisms.ends_with(" LOGIN");
    if (login && context.settings.authentication.legacy_auth_line) lines.emplace_back("AUTH=LOGIN");
  }
  if (next_hop.eight_bit_mime) lines.emplace_back("8BITMIME");
  if (CanBinary(next_hop)) lines.emplace_back("BINARYMIME");
  // Ours: chunks go to the next hop as DATA.
  lines.emplace_back("CHUNKING");
  if (CanUtf8(next_hop)) lines.emplace_back("SMTPUTF8");
  lines.push_back(Limits(context));
  return reply;
}

OfferedParameters Offered(const SessionContext& context) {
  OfferedParameters offered;
  if (!context.esmtp) return offered;
  offered.size = context.options.next_hop.size.has_value();
  const Capabilities& next_hop = context.options.next_hop;
  offered.eight_bit_mime = next_hop.eight_bit_mime;
  offered.binary_mime = CanBinary(next_hop);
  offered.smtputf8 = CanUtf8(next_hop);
  offered.dsn = next_hop.dsn;
  offered.utf8_transaction = context.transaction.open && context.transaction.mail.smtputf8;
  return offered;
}

}  // namespace gatepost::smtp
