// What is behind the contexts; inside tls/ only.
#pragma once

#include "services/tls/boringssl.h"

#include <openssl/ssl.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "services/tls/certificate.h"
#include "services/tls/client_verifier.h"
#include "services/tls/context.h"

namespace gatepost::tls::internal {

struct LoadedIdentity {
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> chain;
  bssl::UniquePtr<EVP_PKEY> key;
  bool ecdsa = false;
  std::vector<std::string> dns_names;  // lower case
  std::string end_point;               // tls-server-end-point (RFC 5929)
};

struct ServerContextState {
  bssl::UniquePtr<SSL_CTX> context;
  int min_cipher_bits = 128;
  ClientCertificateMode client_certificates = ClientCertificateMode::kNotRequested;
  std::unique_ptr<const ClientVerifier> client_verifier;  // nullptr: not requested
  std::array<uint8_t, 32> session_scope{};
  std::vector<LoadedIdentity> identities;
  std::vector<TicketKey> ticket_keys;
};

// The kinds of certificate that a client can use.
struct Kinds {
  bool ecdsa = false;
  bool rsa = false;
};

// What the callbacks of one server's handshake note; outlives it.
struct ServerHandshake {
  Kinds offered;  // by TLS 1.2's suites
  ClientVerifier::Judgement client;
  std::string end_point;  // of the certificate that was chosen
};
// Puts it where the callbacks find it; nullptr when it goes.
bool SetHandshake(SSL* ssl, ServerHandshake* handshake);

struct ClientContextState {
  bssl::UniquePtr<SSL_CTX> context;
  std::string server_name;
};

}  // namespace gatepost::tls::internal
