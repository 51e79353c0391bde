// What is known of a client when policy is asked: values, gathered by the edge (or by Simulate) and never changed by policy.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/ip_address.h"
#include "services/policy/virtual_server.h"

namespace gatepost::policy {

// What a client's certificate says, once it is verified.
struct ClientCertificate {
  std::string subject;  // RFC 2253
  std::vector<std::string> emails;
  std::vector<std::string> dns_names;
  std::string sha256;  // lower-case hexadecimal, of the DER
};

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
  // Channel bindings, octets; empty where they are not defined: tls-exporter (RFC 9266: TLS 1.3, or 1.2 with the extended
  // master secret), tls-server-end-point (RFC 5929).
  std::string exporter;
  std::string server_end_point;
  // nullptr: none was shown.
  std::shared_ptr<const ClientCertificate> client_certificate;
};

// What the client's address is called: names of its PTR records that resolve back to it (RFC 8601 2.7.3).
struct ClientName {
  enum class State : uint8_t {
    kUnasked,
    kConfirmed,
    kUnknown,  // it has none, or none that resolves back
    kFailed,   // it cannot be said (SERVFAIL, time-out)
  };
  State state = State::kUnasked;
  // Lower-case A-labels, at most 10; not empty when confirmed, else empty.
  std::vector<std::string> names;
};

// What the block lists say of the client's address.
struct BlockListing {
  enum class State : uint8_t { kUnasked, kNotListed, kListed, kFailed };
  State state = State::kUnasked;
  // The first of `filters.block_lists` that lists it, when listed.
  size_t list = 0;
};

struct ClientFacts {
  base::IpAddress address;
  uint16_t port = 0;
  TlsFacts tls;
  ClientName name;
  BlockListing listing;
};

// Who authenticated, as the auth service said.
struct Identity {
  std::string login;
  // `users/{id}`.
  std::string user;
  std::vector<std::string> groups;
  bool may_submit = true;
  bool may_relay = true;
  // The user's own addresses (`send_as`); lower-case domains. Without any, the login name is the only one.
  std::vector<std::string> addresses;
  // What the credential is bound to: addresses, or domains as `@example.com`. Empty: nothing.
  std::vector<std::string> senders;
};

// A path as policy sees it. Views of the caller's.
struct Mailbox {
  // Without quoting; case is kept.
  std::string_view local;
  // Lower-case A-labels; "[127.0.0.1]" for a literal; empty: none (`<postmaster>`, or the null path).
  std::string_view domain;
};

}  // namespace gatepost::policy
