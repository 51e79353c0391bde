// Who may call what: one table of every method of every service, deny by default.
//
// gRPC 1.51's server interceptors cannot fail a call cleanly, so every handler begins with Authorize() (unary ones
// through rpc/call.h); `GuardedMethodsTest` in each service calls every method of its descriptors and fails on one that
// does not. Permission is judged before existence, and before the request is looked at. Thread-safe.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "services/rpc/deny_list.h"
#include "services/rpc/peer_identity.h"

namespace gatepost::rpc {

class RoleSet {
 public:
  constexpr RoleSet() = default;
  constexpr RoleSet(std::initializer_list<Role> roles) {
    for (const Role role : roles) bits_ |= 1u << static_cast<unsigned>(role);
  }
  constexpr bool Has(Role role) const { return (bits_ >> static_cast<unsigned>(role)) & 1u; }

 private:
  unsigned bits_ = 0;
};

struct MethodRule {
  std::string_view method;  // "gatepost.auth.v1.UserService.GetUser": the descriptor's full name.
  RoleSet roles;
  bool mutates = false;  // Its calls are audited even when they succeed.
};

// The table. nullptr: there is no entry, and nobody may call it.
const MethodRule* FindRule(std::string_view method);
const std::vector<MethodRule>& AllRules();

class Authorizer {
 public:
  // The trust domain is that of the program's own identity. `denied` may be nullptr.
  Authorizer(std::string trust_domain, const DenyList* denied)
      : trust_domain_(std::move(trust_domain)), denied_(denied) {}

  // The caller, if it may call `method`. UNAUTHENTICATED (ErrorInfo NO_IDENTITY, IDENTITY_DENIED) or PERMISSION_DENIED
  // (ROLE_NOT_ALLOWED) else; the status carries its details. `*caller`, if given, is whoever it is, allowed or not.
  absl::StatusOr<PeerIdentity> Authorize(const grpc::ServerContextBase& context, std::string_view method,
                                         PeerIdentity* caller = nullptr) const;
  // The same for an identity that is known.
  absl::Status Judge(const PeerIdentity& identity, std::string_view method) const;

 private:
  const std::string trust_domain_;
  const DenyList* const denied_;
};

}  // namespace gatepost::rpc
