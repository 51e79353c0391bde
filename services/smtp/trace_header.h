// The one header field that we add to a message: Received, RFC 5321 4.4, with the protocol types of RFC 3848 and RFC
// 6531 4.3. Pure.
#pragma once

#include <string>
#include <string_view>

#include "services/base/clock.h"

namespace gatepost::smtp {

struct TraceFacts {
  std::string_view client_name;     // the argument of EHLO or HELO, as it was accepted; may be empty
  std::string_view client_host;     // what its address is called, confirmed; empty: not known, or not to be told
  std::string_view client_address;  // printed: 192.0.2.1 or 2001:db8::1
  std::string_view fqdn;            // of the virtual server
  std::string_view virtual_server;  // its id
  bool esmtp = false;               // EHLO, not HELO
  bool smtputf8 = false;            // the transaction has SMTPUTF8
  bool authenticated = false;
  std::string_view tls_version;  // empty: in clear
  std::string_view tls_cipher;
  std::string_view id;         // <session id>.<n>
  std::string_view recipient;  // empty: none, or more than one
  base::WallTime time;
};

// The whole field with its final CR LF: lines of at most 998 octets without CR LF, folded well before where the parts
// allow it; ASCII (of a transaction with SMTPUTF8, the recipient's local part may be UTF-8), and no other CR or LF.
// Characters of the facts that cannot stand where they are to go are replaced by
// '?', so that nothing that a client sent can end the field.
std::string ReceivedField(const TraceFacts& facts);

}  // namespace gatepost::smtp
