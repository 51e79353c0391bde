// The first message of a SCRAM client (RFC 5802 7), read strictly, so that it is known whose keys are needed before
// anything is computed. The rest of the exchange is the adapter's in auth.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gatepost::sasl {

struct ScramClientFirst {
  // gs2-cbind-flag. kUnsupported: the client has no channel binding ("n"); kNotOffered: it has, and believes that we
  // have not ("y"); kUsed: "p=NAME".
  enum class Binding { kUnsupported, kNotOffered, kUsed };
  Binding binding = Binding::kUnsupported;
  std::string binding_name;   // kUsed
  std::string authorization;  // decoded; empty: none
  std::string login;          // decoded
  std::string nonce;
};

// nullopt: not such a message; or it has the attribute `m=`, an extension that must be understood (RFC 5802 5.1); or
// anything behind the nonce that is not an attribute.
std::optional<ScramClientFirst> ParseScramClientFirst(std::string_view message);

}  // namespace gatepost::sasl
