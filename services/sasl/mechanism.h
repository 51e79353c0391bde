// The server's side of a SASL mechanism (RFC 4422) as a machine: octets from the client in, a step out. Pure: what
// users' secrets are, whom a certificate names, and how long it takes to find out, is the auth service's business. A
// mechanism asks for the value it needs, and says what the client claims or has proved.
//
//   std::unique_ptr<Mechanism> scram = ...;
//   Step step = scram->First(initial_response);   // Challenge:  then scram->Next(response)
//                                                 // NeedSecret: then scram->Provide(secret)
//                                                 // NeedToken:  then scram->Provide(verdict)
//                                                 // else the exchange is over
//
// Whoever drives it gives an unknown user a secret of the right form that nobody knows: a mechanism cannot tell, and
// neither can the client. Out of order, everything is Malformed. Nothing is truncated at a NUL anywhere; every message
// is bounded by kMostOctets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "services/base/secret.h"

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

// What the client claims, to be verified; the mechanism has done its part.
struct PasswordClaim {
  std::string authorization;  // authzid; empty: the login's own
  std::string login;
  base::Secret password;
};

// That the client's certificate is its identity (EXTERNAL). Likewise.
struct CertificateClaim {
  std::string authorization;  // empty: whomever the certificate names
};

enum class SecretKind : uint8_t { kScramSha256, kNtHash };

// Provide() the secret of this login, or a decoy.
struct NeedSecret {
  SecretKind kind;
  std::string login;
};

// Provide() what the bearer token is worth.
struct NeedToken {
  std::string token;
};

// The client has proved to be this user, by what was provided.
struct Proved {
  std::string login;
  std::string authorization;         // empty: the login's own
  std::optional<std::string> final;  // last words to the client, before the exchange counts as done
};

// It has not.
struct Rejected {
  std::string_view reason;  // for our log: a word of a closed set
};

// Not a message of this mechanism: 501 5.5.2. The exchange is over.
struct Malformed {};

// Nobody can say: what the mechanism needs is not there now.
struct Unavailable {
  std::string_view reason;
};

using Step = std::variant<Challenge, PasswordClaim, CertificateClaim, NeedSecret, NeedToken, Proved, Rejected, Malformed,
                          Unavailable>;

// RFC 5802: what a server keeps. Octets.
struct ScramSecret {
  std::string salt;
  uint32_t iterations = 0;
  std::string stored_key;
  std::string server_key;
};

// MD4 of the password in UTF-16LE.
using NtHash = std::array<uint8_t, 16>;

struct TokenVerdict {
  std::string login;  // empty: the token is refused
  std::string_view reason;
  bool unavailable = false;  // nobody can say
};

using Provision = std::variant<ScramSecret, NtHash, TokenVerdict>;

class Mechanism {
 public:
  virtual ~Mechanism() = default;
  // Once. nullopt: the client sent no initial response (an empty one is not that).
  virtual Step First(std::optional<std::string_view> initial_response) = 0;
  // After each challenge.
  virtual Step Next(std::string_view response) = 0;
  // After NeedSecret and NeedToken, with what was asked for.
  virtual Step Provide(const Provision& /*provision*/) { return Malformed{}; }
};

// How strictly an exchange is bound to its TLS connection: never; where the client can; or it is refused.
enum class BindingMode : uint8_t { kOff, kWhenSupported, kRequired };

// RFC 4616.
std::unique_ptr<Mechanism> MakePlain();
// [MS-XLOGIN]; an initial response is the user name, as Exchange's clients send it.
std::unique_ptr<Mechanism> MakeLogin();
// RFC 7628, and Google's and Microsoft's form before it. A refused token is answered by a challenge with the reason
// (always the same); what the client says to that is ignored.
std::unique_ptr<Mechanism> MakeOauthBearer();
std::unique_ptr<Mechanism> MakeXoauth2();
// RFC 4422 A.
std::unique_ptr<Mechanism> MakeExternal();

}  // namespace gatepost::sasl
