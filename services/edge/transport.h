// Sockets and TLS for sessions and upstreams: the Dialer and the TlsAcceptor over net/ and tls/. One per worker.
// Thread rule: the worker's thread.
#pragma once

#include <memory>
#include <string>

#include "services/edge/session_driver.h"
#include "services/edge/upstream.h"
#include "services/net/resolver.h"

namespace gatepost::edge {

class Transport final : public Dialer, public TlsAcceptor {
 public:
  explicit Transport(std::unique_ptr<net::Resolver> resolver) : resolver_(std::move(resolver)) {}

  asio::awaitable<Addresses> Resolve(std::string host, base::MonotonicTime deadline) override;
  asio::awaitable<Connection> Connect(base::Endpoint endpoint, base::MonotonicTime deadline) override;
  asio::awaitable<Connection> Secure(std::unique_ptr<net::Stream> plain,
                                     std::shared_ptr<const tls::ClientContext> context, std::string host,
                                     base::MonotonicTime deadline) override;
  asio::awaitable<Accepted> Accept(std::unique_ptr<net::Stream> plain,
                                   std::shared_ptr<const VirtualServerRuntime> virtual_server,
                                   base::MonotonicTime deadline) override;

 private:
  const std::unique_ptr<net::Resolver> resolver_;
};

}  // namespace gatepost::edge
