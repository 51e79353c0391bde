// What TLS is like for one virtual server (ServerContext) or towards one kind of next hop (ClientContext). Immutable once made,
// thread-safe, shared by all workers. Always: TLS 1.2 and 1.3, ECDHE with AEAD, X25519 and P-256; no renegotiation, compression,
// 0-RTT, no CRLs (protocol.md 5).
#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gatepost::tls {

namespace internal {
struct ServerContextState;
struct ClientContextState;
}  // namespace internal

// A chain (leaf first) and its key, PEM.
struct Identity {
  std::string chain_pem;
  std::string key_pem;
};

// Seals session tickets (RFC 5077 section 4).
struct TicketKey {
  std::array<uint8_t, 16> name{};
  std::array<uint8_t, 32> hmac_key{};
  std::array<uint8_t, 32> aes_key{};
};

class ServerContext {
 public:
  struct Options {
    // The first is the default. SNI and what the client can verify choose among them; never anything else.
    std::vector<Identity> identities;
    bool tls13_only = false;
    // Sessions of another value never resume here: the virtual server and what its policy on TLS is. Required.
    std::string session_scope;
    // The first seals and opens, the others only open. Empty: no tickets, no resumption.
    std::vector<TicketKey> ticket_keys;
  };
  // INVALID_ARGUMENT names the identity (by its place) that cannot be used.
  static absl::StatusOr<std::shared_ptr<const ServerContext>> Make(const Options& options);
  ~ServerContext();

  const internal::ServerContextState& state() const { return *state_; }

 private:
  explicit ServerContext(std::unique_ptr<internal::ServerContextState> state);
  std::unique_ptr<internal::ServerContextState> state_;
};

class ClientContext {
 public:
  struct Options {
    // Those that may vouch for next hops, PEM. Required: there is no unverified TLS.
    std::string ca_bundle_pem;
    // The name that certificates must have; empty: the host that is dialled (RFC 7817).
    std::string server_name;
  };
  static absl::StatusOr<std::shared_ptr<const ClientContext>> Make(const Options& options);
  ~ClientContext();

  const internal::ClientContextState& state() const { return *state_; }

 private:
  explicit ClientContext(std::unique_ptr<internal::ClientContextState> state);
  std::unique_ptr<internal::ClientContextState> state_;
};

}  // namespace gatepost::tls
