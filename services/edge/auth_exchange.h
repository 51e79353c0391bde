// The seam between a session and whoever judges its credentials: auth_client over gRPC, a script in tests.
//
// Fail closed: only an explicit success of the auth service is AuthSuccess. Down, slow, throttled, drained, out of step
// and everything unknown is AuthUnavailable (454), never AuthFailure: clients drop the password on a 535. Thread rule:
// the worker's thread.
#pragma once

#include <asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/policy/facts.h"
#include "services/policy/virtual_server.h"
#include "services/smtp/session_events.h"

namespace gatepost::edge {

// One exchange. Destroyed before its end it is cancelled.
class AuthExchange {
 public:
  virtual ~AuthExchange() = default;
  // Once, first. Octets, not base64. The views need to live until the first suspension only.
  virtual asio::awaitable<smtp::AuthAnswer> Start(std::string_view mechanism,
                                                  std::optional<std::string_view> initial_response) = 0;
  // After each challenge.
  virtual asio::awaitable<smtp::AuthAnswer> Respond(std::string_view response) = 0;
};

// Who asks.
struct AuthContext {
  std::string virtual_server;  // `virtualServers/{id}`
  std::string default_domain;  // appended to bare login names; empty: none
  std::string session_id;
  std::string address;  // the client's
  uint16_t port = 0;
  policy::TlsFacts tls;
  // Of the virtual server; outlives the exchange. nullptr: defaults.
  const policy::Authentication* settings = nullptr;
};

class AuthService {
 public:
  virtual ~AuthService() = default;
  // nullptr: nobody can be asked now.
  virtual std::unique_ptr<AuthExchange> Begin(const AuthContext& context) = 0;
  // What can be served now (or could when the service was last heard): upper-case names.
  virtual std::vector<std::string> mechanisms() const = 0;
};

}  // namespace gatepost::edge
