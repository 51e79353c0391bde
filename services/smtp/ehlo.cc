#include "services/smtp/ehlo.h"

#include "services/base/strings.h"
#include "services/policy/evaluate.h"
#include "services/smtp/replies.h"

namespace gatepost::smtp {

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
  if (next_hop.enhanced_status_codes) lines.emplace_back("ENHANCEDSTATUSCODES");
  if (options.starttls_available && !context.tls_active()) lines.emplace_back("STARTTLS");
  std::string mechanisms;
  for (std::string_view mechanism :
       policy::OfferedMechanisms(*options.virtual_server, options.client.tls, options.servable_mechanisms)) {
    base::StrAppend(&mechanisms, ' ', mechanism);
  }
  if (!mechanisms.empty() && !context.needs_tls()) lines.push_back("AUTH" + mechanisms);
  if (next_hop.eight_bit_mime) lines.emplace_back("8BITMIME");
  // Ours: chunks go to the next hop as DATA.
  lines.emplace_back("CHUNKING");
  return reply;
}

OfferedParameters Offered(const SessionContext& context) {
  OfferedParameters offered;
  if (!context.esmtp) return offered;
  offered.size = context.options.next_hop.size.has_value();
  offered.eight_bit_mime = context.options.next_hop.eight_bit_mime;
  return offered;
}

}  // namespace gatepost::smtp
