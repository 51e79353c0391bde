#include "services/edge/transport.h"

#include <utility>

#include "services/base/check.h"
#include "services/base/strings.h"
#include "services/net/connect.h"
#include "services/net/tcp_stream.h"
#include "services/tls/tls_stream.h"

namespace gatepost::edge {
namespace {

// Virtual servers with DNS servers of their own are few.
constexpr size_t kMostResolvers = 64;

// TLS is put on sockets alone, and never on TLS: the session's machine sees to it.
std::unique_ptr<net::TcpStream> AsTcp(std::unique_ptr<net::Stream> stream) {
  auto* tcp = dynamic_cast<net::TcpStream*>(stream.release());
  GATEPOST_CHECK(tcp != nullptr);
  return std::unique_ptr<net::TcpStream>(tcp);
}

policy::TlsFacts ToPolicy(const tls::TlsStream& stream) {
  const tls::SessionFacts& facts = stream.facts();
  policy::TlsFacts result{.active = true,
                          .version = facts.version >= 0x0304 ? policy::TlsVersion::kTls13 : policy::TlsVersion::kTls12,
                          .cipher = facts.cipher,
                          .cipher_bits = facts.cipher_bits,
                          .server_name = facts.server_name,
                          .resumed = facts.resumed,
                          .exporter = stream.ExporterBinding(),
                          .server_end_point = facts.server_end_point};
  if (facts.client_certificate) {
    const tls::ClientCertificate& shown = *facts.client_certificate;
    result.client_certificate = std::make_shared<const policy::ClientCertificate>(
        policy::ClientCertificate{shown.subject, shown.emails, shown.dns_names, shown.sha256_hex});
  }
  return result;
}

}  // namespace

absl::StatusOr<std::shared_ptr<net::Resolver>> Transport::ResolverOf(const std::vector<base::Endpoint>& dns_servers) {
  if (const auto known = resolvers_.find(dns_servers); known != resolvers_.end()) return known->second;
  // Those of configurations that are gone; which ones are, is not worth knowing.
  if (resolvers_.size() >= kMostResolvers) resolvers_.clear();
  absl::StatusOr<std::unique_ptr<net::Resolver>> made = net::MakeResolver(executor_, clock_, dns_servers);
  if (!made.ok()) return made.status();
  return resolvers_[dns_servers] = *std::move(made);
}

asio::awaitable<Dialer::Addresses> Transport::Resolve(std::string host, std::vector<base::Endpoint> dns_servers,
                                                      base::MonotonicTime deadline) {
  Addresses result;
  absl::StatusOr<std::shared_ptr<net::Resolver>> resolver = ResolverOf(dns_servers);
  if (!resolver.ok()) {
    result.error = base::FromAbsl(resolver.status().message());
    co_return result;
  }
  absl::StatusOr<std::vector<base::IpAddress>> found = co_await (*resolver)->Resolve(std::move(host), deadline);
  if (found.ok()) {
    result.addresses = *std::move(found);
  } else {
    result.error = base::FromAbsl(found.status().message());
  }
  co_return result;
}

asio::awaitable<Dialer::Connection> Transport::Connect(base::Endpoint endpoint, base::MonotonicTime deadline) {
  net::ConnectResult connected = co_await net::Connect(endpoint, deadline);
  Connection result;
  if (connected.ec) {
    result.error = connected.ec.message();
  } else {
    result.stream = std::move(connected.stream);
  }
  co_return result;
}

asio::awaitable<Dialer::Connection> Transport::Secure(std::unique_ptr<net::Stream> plain,
                                                      std::shared_ptr<const tls::ClientContext> context,
                                                      std::string host, base::MonotonicTime deadline) {
  tls::HandshakeResult done =
      co_await tls::Connect(AsTcp(std::move(plain)), std::move(context), std::move(host), deadline);
  Connection result;
  if (done.ec) {
    result.error = base::StrCat(done.ec.message(), ": ", done.detail);
  } else {
    result.stream = std::move(done.stream);
  }
  co_return result;
}

asio::awaitable<TlsAcceptor::Accepted> Transport::Accept(std::unique_ptr<net::Stream> plain,
                                                         std::shared_ptr<const VirtualServerRuntime> virtual_server,
                                                         base::MonotonicTime deadline) {
  tls::HandshakeResult done = co_await tls::Accept(AsTcp(std::move(plain)), virtual_server->tls(), deadline);
  Accepted result;
  if (done.ec) {
    result.error = done.detail.empty() ? done.ec.message() : std::move(done.detail);
  } else {
    result.tls = ToPolicy(*done.stream);
    result.stream = std::move(done.stream);
  }
  co_return result;
}

}  // namespace gatepost::edge
