// What is behind the contexts; inside tls/ only.
#pragma once

#include "services/tls/boringssl.h"

#include <openssl/ssl.h>

#include <string>
#include <vector>

#include "services/tls/certificate.h"
#include "services/tls/context.h"

namespace gatepost::tls::internal {

struct LoadedIdentity {
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> chain;
  bssl::UniquePtr<EVP_PKEY> key;
  bool ecdsa = false;
  std::vector<std::string> dns_names;  // lower case
};

struct ServerContextState {
  bssl::UniquePtr<SSL_CTX> context;
  std::vector<LoadedIdentity> identities;
  std::vector<TicketKey> ticket_keys;
};

struct ClientContextState {
  bssl::UniquePtr<SSL_CTX> context;
  std::string server_name;
};

}  // namespace gatepost::tls::internal
