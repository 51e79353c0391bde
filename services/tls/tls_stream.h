// A Stream under TLS: BoringSSL on the socket itself (socket_bio.h), which reads ahead of it so that a command is one system call.
// What both need for a record they allocate when octets come and free when they are read, so an idle session holds none; the
// handshake's memory is let go.
// Same rules as net::Stream. There is no way back to clear text.
#pragma once

#include <asio/awaitable.hpp>

#include <memory>
#include <string>
#include <string_view>

#include "services/base/clock.h"
#include "services/net/stream.h"
#include "services/net/tcp_stream.h"
#include "services/tls/context.h"

namespace gatepost::tls {

// What was agreed.
struct SessionFacts {
  int version = 0x0303;     // 0x0303: TLS 1.2, 0x0304: TLS 1.3
  std::string cipher;       // standard name
  int cipher_bits = 0;      // 128 or 256
  std::string server_name;  // SNI, at most 255 octets; empty: none
  bool resumed = false;
  // The client's, verified; as a server only. nullptr: it showed none.
  std::shared_ptr<const ClientCertificate> client_certificate;
  // tls-server-end-point (RFC 5929): the hash of our certificate, as a server.
  std::string server_end_point;
};

class TlsStream final : public net::Stream {
 public:
  struct State;  // BoringSSL's; in tls_stream.cc

  ~TlsStream() override;

  asio::awaitable<net::IoResult> ReadSome(std::span<char> space) override;
  asio::awaitable<std::error_code> WaitReadable() override;
  bool ReadableNow() override;
  asio::awaitable<std::error_code> Write(std::span<const std::string_view> pieces) override;
  void SetReadDeadline(base::MonotonicTime deadline) override;
  void SetWriteDeadline(base::MonotonicTime deadline) override;
  void Interrupt() override;
  void Close() override;
  asio::awaitable<std::error_code> ShutdownGracefully(std::string_view last) override;
  base::Endpoint peer() const override;
  base::Endpoint local() const override;

  const SessionFacts& facts() const;
  // RFC 9266 tls-exporter (32 octets); empty where it is not defined: TLS 1.2 without the extended master secret.
  std::string ExporterBinding() const;

 private:
  friend struct Handshaker;
  explicit TlsStream(std::unique_ptr<State> state);
  // `more`: something is written right behind, and pushes what is still waiting then.
  asio::awaitable<std::error_code> WriteRecords(std::span<const std::string_view> pieces, bool more);

  std::unique_ptr<State> state_;
};

struct HandshakeResult {
  std::error_code ec;
  std::string detail;                 // for the log; nothing of the peer's choosing but the alert's name
  std::unique_ptr<TlsStream> stream;  // when there is no error; else the connection is closed
};

// Server and client handshakes, over by `deadline`. `plain` must hold no octets that were read already. A client certificate is
// judged at every handshake, that of a resumed session again.
asio::awaitable<HandshakeResult> Accept(std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ServerContext> context,
                                        base::MonotonicTime deadline);
// `host`: as dialled; a name or an address. Its certificate must have it (or the context's server_name).
asio::awaitable<HandshakeResult> Connect(std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ClientContext> context, std::string host,
                                         base::MonotonicTime deadline);

}  // namespace gatepost::tls
