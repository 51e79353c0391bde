// Mutual TLS for both ends. Certificate, key and CA bundle are files, read anew when they change; the bundle may hold two CAs.
// A server asks for and verifies a client certificate (who it is: authorization.h). A client checks that the server has the name it
// dialled and the role it is for, so that a stolen edge certificate cannot answer as the auth service.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/channel.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "services/rpc/peer_identity.h"

namespace gatepost::rpc {

struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string ca;
};

// OK when the files can be read, belong together, and hold one identity; else what is wrong with which file. Done at start, so that a
// program refuses by name instead of failing handshakes.
absl::StatusOr<PeerIdentity> CheckTlsFiles(const TlsFiles& files);

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const TlsFiles& files);

struct ChannelOptions {
  // HOST:PORT, or a gRPC target such as dns:///config.gatepost.svc:2050.
  std::string address;
  // The name that the server's certificate must have; empty: the host of `address`.
  std::string server_name;
  // The role that it must have.
  Role server_role = Role::kConfig;
  TlsFiles files;
};
// round_robin over all addresses, keepalive every 30 s, 4 MiB messages. Never fails: what is wrong shows when it connects.
std::shared_ptr<grpc::Channel> MakeChannel(const ChannelOptions& options);

// When the leaf in the file expires, as seconds since 1970. NOT_FOUND and so on: the file.
absl::StatusOr<int64_t> ExpiryOf(const std::string& certificate_file);

}  // namespace gatepost::rpc
