// Application passwords: made here, shown once, kept as a digest that finds them.
//
// The digest is one HMAC-SHA-256 under a key that the replicas share (shared_key.h). It is fast to compute, and may be:
// argon2id makes guesses dear where people choose passwords, and nobody guesses 140 random bits. So a login costs the
// same one HMAC and one read whether the user has twenty of them, none, or is nobody; and what does not match goes on
// to argon2id as any password does. Pure, thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "services/base/random.h"

namespace gatepost::auth {

// `abcd-efgh-ijkl-mnop-qrst-uvwx-yz23`: 28 characters of base32.
std::string MakeApplicationPassword(base::Random& random);

// 64 hexadecimal digits. What people do to it in typing makes no difference: capitals, hyphens, spaces.
std::string ApplicationPasswordDigest(std::string_view key, std::string_view password);

}  // namespace gatepost::auth
