// A client's channel to a service of ours: mutual TLS; the server must have the name that is dialled and the role that
// is meant, so that a stolen edge certificate cannot answer as auth. One channel serves a whole program: thread-safe,
// connects by need, spreads calls and streams over all addresses of the name (round_robin), pings every 30 s.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "services/rpc/identity_files.h"
#include "services/rpc/peer_identity.h"

namespace gatepost::rpc {

struct ChannelOptions {
  std::string address;  // HOST:PORT, or a gRPC target as `dns:///auth:2060`.
  IdentityFiles identity;
  Role server_role = Role::kConfig;
  // The DNS name or address that the server's certificate must have; empty: HOST. For tunnels.
  std::string server_name;
};

// The server's trust domain must be that of the program's own identity. FAILED_PRECONDITION: the identity files.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options);

}  // namespace gatepost::rpc
