// Who may call what. One table maps every method to roles; a method without an entry is denied. Every handler begins with
//   GATEPOST_... caller = authorizer.Authorize(*context, "/gatepost.config.v1.EdgeService/ListEdges")
// and a test that walks the descriptors calls every method with every role, so that one that forgets is found.
// (gRPC 1.51's interceptors cannot fail a call before its handler runs; hence a call in each handler.)
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/server_context.h>

#include <span>
#include <string>
#include <string_view>

#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/rpc/peer_identity.h"

namespace gatepost::rpc {

// Whether the table lets a role call a method, "/package.Service/Method".
bool MayCall(Role role, std::string_view method);
// Whether the method has an entry at all; for the test.
bool IsKnownMethod(std::string_view method);

class Authorizer {
 public:
  struct Options {
    // Peers of another trust domain are refused. Empty: any (tests alone).
    std::string trust_domain;
    // A file with a SPIFFE id a line, `#` comments: refused. Read anew when it changes. Empty: none.
    std::string refused_ids_file;
    // Tests of handlers without TLS: every caller has this identity. Never set by a program.
    std::string insecure_identity_for_tests;
  };
  Authorizer(Options options, base::Log& log) : options_(std::move(options)), log_(log) {}

  // UNAUTHENTICATED: no acceptable identity; PERMISSION_DENIED: its role may not, or it is refused. Both are logged: a refused call is
  // an audit record.
  absl::StatusOr<PeerIdentity> Authorize(const grpc::ServerContextBase& context, std::string_view method) const;

 private:
  absl::StatusOr<PeerIdentity> Identify(const grpc::ServerContextBase& context) const;
  bool Refused(const std::string& uri) const;

  const Options options_;
  base::Log& log_;
  mutable absl::Mutex mutex_;
  mutable int64_t refused_stamp_ ABSL_GUARDED_BY(mutex_) = -1;
  mutable std::string refused_ ABSL_GUARDED_BY(mutex_);
};

// One line for each call that changed something, or was refused by the service's own judgement: who, what, the outcome.
void LogCall(base::Log& log, const PeerIdentity& caller, std::string_view method, std::string_view resource, int64_t old_revision,
             int64_t new_revision, const absl::Status& outcome);

}  // namespace gatepost::rpc
