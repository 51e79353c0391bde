// How names and passwords are prepared before they are stored or compared: SASLprep (RFC 4013) in this one place, with
// unassigned code points allowed (an emoji in a password is somebody's password), by every mechanism alike. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/base/secret.h"

namespace gatepost::auth {

// nullopt: not UTF-8, empty or too long after preparation (255 and 1,024 octets), with a NUL, a control character or
// another character that SASLprep prohibits.
std::optional<std::string> PrepareLogin(std::string_view login);
// With `default_domain` appended to a login without an @, if it is not empty.
std::optional<std::string> PrepareLogin(std::string_view login, std::string_view default_domain);
std::optional<base::Secret> PreparePassword(std::string_view password);

// What logins are compared by: the prepared form without regard to the case of ASCII letters.
std::string LoginKey(std::string_view prepared_login);

}  // namespace gatepost::auth
