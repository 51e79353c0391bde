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

#include "services/base/clock.h"

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

// Whether clients are asked for a certificate. One that is shown is verified; a bad one ends the handshake in both modes.
enum class ClientCertificateMode : uint8_t { kNotRequested, kRequested, kMandatory };

// What a client's verified certificate says.
struct ClientCertificate {
  std::string subject;  // RFC 2253
  std::vector<std::string> emails;
  std::vector<std::string> dns_names;
  std::string sha256_hex;  // of the DER
};

class ServerContext {
 public:
  struct Options {
    // The first is the default. SNI and what the client can verify choose among them; never anything else.
    std::vector<Identity> identities;
    bool tls13_only = false;
    // 128 or 256. With 256 a client that puts AES-128 first among TLS 1.3's suites gets TLS 1.2, where the suites can be chosen;
    // with `tls13_only` its handshake fails.
    int min_cipher_bits = 128;
    // A name (SNI) that no identity has: the alert unrecognized_name. Else it gets the default identity.
    bool refuse_unknown_names = false;
    ClientCertificateMode client_certificates = ClientCertificateMode::kNotRequested;
    // Those that may vouch for clients, PEM. Required unless certificates are not requested.
    std::string client_ca_bundle_pem;
    // SHA-256 of certificates that are refused wherever they stand in a client's chain, 64 hexadecimal digits each.
    std::vector<std::string> refused_fingerprints;
    // By which clients' certificates expire; outlives the context. nullptr: the machine's.
    const base::Clock* clock = nullptr;
    // The virtual server. Sessions of another value, of another name (SNI), or from before a change of any option but
    // identities and ticket keys never resume here. Required.
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
