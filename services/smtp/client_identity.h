// Who our client is, as a next hop is told that asks for it by XCLIENT (Postfix, XCLIENT_README). A value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/base/ip_address.h"

namespace gatepost::smtp {

struct ClientIdentity {
  enum class NameState : uint8_t { kUnknown, kConfirmed, kFailed };
  // Of the reverse lookup; `name` only when confirmed.
  NameState name_state = NameState::kUnknown;
  std::string name;
  base::IpAddress address;
  uint16_t port = 0;
  bool esmtp = false;
  std::string helo;   // empty: it gave none
  std::string login;  // empty: it has not authenticated

  bool operator==(const ClientIdentity&) const = default;
};

// The commands that say so, each with CR LF and 512 octets at most: of the attributes that the next hop has listed
// (upper case) those that we know. A value is xtext, whatever is in it; one that is too long for a line even alone is
// [UNAVAILABLE]. Empty: the next hop has listed none that we know.
std::vector<std::string> XclientLines(const ClientIdentity& identity, const std::vector<std::string>& attributes);

}  // namespace gatepost::smtp
