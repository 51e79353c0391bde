// The server's side of a SASL mechanism (RFC 4422) as a machine: octets from the client in, a step out. Pure: who verifies the
// password, and how long that takes, is the auth service's business; a mechanism only finds out what the client claims.
//
//   std::unique_ptr<Mechanism> plain = MakePlain();
//   Step step = plain->First(initial_response);       // then plain->Next(response) after each challenge
//
// Nothing is truncated at a NUL anywhere; every message is bounded by kMostOctets.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace gatepost::sasl {

// 12,288 octets of base64 (limits.md).
inline constexpr size_t kMostOctets = 9'216;
// Of a login name, and of a password (threats.md A4).
inline constexpr size_t kMostLoginOctets = 255;
inline constexpr size_t kMostPasswordOctets = 1'024;

// The client has to answer this; octets, not base64.
struct Challenge {
  std::string octets;
};

// What the client claims, to be verified.
struct PasswordClaim {
  std::string authorization;  // authzid; empty: the login's own
  std::string login;
  std::string password;
};

// Not a message of this mechanism: 501 5.5.2. The exchange is over.
struct Malformed {};

using Step = std::variant<Challenge, PasswordClaim, Malformed>;

class Mechanism {
 public:
  virtual ~Mechanism() = default;
  // Once. nullopt: the client sent no initial response (an empty one is not that).
  virtual Step First(std::optional<std::string_view> initial_response) = 0;
  // After each challenge.
  virtual Step Next(std::string_view response) = 0;
};

// RFC 4616.
std::unique_ptr<Mechanism> MakePlain();
// [MS-XLOGIN]; an initial response is the user name, as Exchange's clients send it.
std::unique_ptr<Mechanism> MakeLogin();

}  // namespace gatepost::sasl
