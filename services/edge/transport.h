// Sockets and TLS for sessions and upstreams: the Dialer and the TlsAcceptor over net/ and tls/. One per worker.
// Thread rule: the worker's thread.
#pragma once

#include <asio/any_io_executor.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "services/edge/session_driver.h"
#include "services/edge/upstream.h"
#include "services/net/resolver.h"

namespace gatepost::edge {

class Transport final : public Dialer, public TlsAcceptor {
 public:
  // The clock outlives it.
  Transport(asio::any_io_executor executor, const base::Clock& clock) : executor_(std::move(executor)), clock_(clock) {}

  asio::awaitable<Addresses> Resolve(std::string host, std::vector<base::Endpoint> dns_servers,
                                     base::MonotonicTime deadline) override;
  asio::awaitable<Connection> Connect(base::Endpoint endpoint, base::MonotonicTime deadline) override;
  asio::awaitable<Connection> Secure(std::unique_ptr<net::Stream> plain,
                                     std::shared_ptr<const tls::ClientContext> context, std::string host,
                                     base::MonotonicTime deadline) override;
  asio::awaitable<Accepted> Accept(std::unique_ptr<net::Stream> plain,
                                   std::shared_ptr<const VirtualServerRuntime> virtual_server,
                                   base::MonotonicTime deadline) override;

 private:
  absl::StatusOr<std::shared_ptr<net::Resolver>> ResolverOf(const std::vector<base::Endpoint>& dns_servers);

  const asio::any_io_executor executor_;
  const base::Clock& clock_;
  // By the servers that are asked; made when they are first needed. Who waits for one holds it.
  std::map<std::vector<base::Endpoint>, std::shared_ptr<net::Resolver>> resolvers_;
};

}  // namespace gatepost::edge
