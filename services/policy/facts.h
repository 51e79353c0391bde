// What is known of a client when policy is asked: values, gathered by the edge (or by Simulate) and never changed by policy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/ip_address.h"
#include "services/policy/virtual_server.h"

namespace gatepost::policy {

struct TlsFacts {
  bool active = false;
  TlsVersion version = TlsVersion::kTls12;
  // The suite's standard name, e.g. "TLS_AES_128_GCM_SHA256".
  std::string cipher;
  // 128 or 256.
  int cipher_bits = 0;
  // What the client asked for (SNI); empty: nothing.
  std::string server_name;
  bool resumed = false;
};

struct ClientFacts {
  base::IpAddress address;
  uint16_t port = 0;
  TlsFacts tls;
};

// Who authenticated, as the auth service said.
struct Identity {
  std::string login;
  // `users/{id}`.
  std::string user;
  std::vector<std::string> groups;
  bool may_submit = true;
  bool may_relay = true;
};

// A path as policy sees it. Views of the caller's.
struct Mailbox {
  // Without quoting; case is kept.
  std::string_view local;
  // Lower-case A-labels; "[127.0.0.1]" for a literal; empty: none (`<postmaster>`, or the null path).
  std::string_view domain;
};

}  // namespace gatepost::policy
