#include "services/tls/tls_stream.h"

#include "services/tls/boringssl.h"

#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "services/base/check.h"
#include "services/base/strings.h"
#include "services/tls/context_state.h"
#include "services/tls/pem.h"
#include "services/tls/socket_bio.h"

namespace gatepost::tls {
namespace {

// The most that one TLS record takes (RFC 8446 5.1).
constexpr size_t kRecord = 16384;
// Behind a record of so many octets another one is likely.
constexpr int kBulkRecord = 4096;

asio::awaitable<std::error_code> Ready() { co_return std::error_code(); }

SessionFacts FactsOf(SSL* ssl) {
  SessionFacts facts;
  facts.version = SSL_version(ssl);
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
  if (cipher != nullptr) {
    facts.cipher = SSL_CIPHER_standard_name(cipher);
    facts.cipher_bits = SSL_CIPHER_get_bits(cipher, nullptr);
  }
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name); name != nullptr) {
    facts.server_name = std::string(std::string_view(name).substr(0, 255));
  }
  facts.resumed = SSL_session_reused(ssl) == 1;
  return facts;
}

}  // namespace

struct TlsStream::State {
  explicit State(std::unique_ptr<net::TcpStream> plain) : tcp(std::move(plain)), wire(*tcp) {}

  const std::unique_ptr<net::TcpStream> tcp;
  internal::SocketBio wire;
  bssl::UniquePtr<SSL> ssl;
  // Keeps what the callbacks look into.
  std::shared_ptr<const void> context;
  SessionFacts facts;
  std::error_code end;  // eof: close_notify has come; else TLS is broken. Nothing is read any more, and it is said every time

  // Waits for what TLS wants, or says how it ended. `error`: errno after the call; `reading`: which deadline holds.
  asio::awaitable<std::error_code> Wait(int result, int error, bool reading) {
    switch (SSL_get_error(ssl.get(), result)) {
      case SSL_ERROR_WANT_READ:
        wire.Expect();
        co_return co_await tcp->WaitToRead(reading);
      case SSL_ERROR_WANT_WRITE:
        co_return co_await tcp->WaitToWrite(reading);
      case SSL_ERROR_ZERO_RETURN:
        end = asio::error::eof;
        break;
      case SSL_ERROR_SYSCALL:
        // The socket's end without close_notify; a reset is a reset.
        end = result == 0 || error == 0 ? make_error_code(net::StreamError::kTruncated) : std::error_code(error, std::system_category());
        break;
      default:
        end = net::StreamError::kTls;
        break;
    }
    ERR_clear_error();
    co_return end;
  }
};

TlsStream::TlsStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsStream::~TlsStream() = default;

asio::awaitable<net::IoResult> TlsStream::ReadSome(std::span<char> space) {
  State& state = *state_;
  state.wire.Expect();
  for (;;) {
    if (state.end) co_return net::IoResult{state.end, 0};
    if (!state.tcp->is_open()) co_return net::IoResult{asio::error::bad_descriptor, 0};
    size_t total = 0;
    int n = 0;
    // As many records as are there and fit: fewer rounds for large bodies.
    while (total < space.size()) {
      errno = 0;
      n = SSL_read(state.ssl.get(), space.data() + total, static_cast<int>(std::min<size_t>(space.size() - total, 1 << 30)));
      if (n <= 0) break;
      total += static_cast<size_t>(n);
      // A short record is a command, or the end of something: looking for more would be one vain system call.
      if (n < kBulkRecord && SSL_has_pending(state.ssl.get()) == 0 && !state.wire.HasInput()) break;
    }
    if (total > 0) {
      // What ended it, if anything did, comes again with the next call.
      ERR_clear_error();
      co_return net::IoResult{{}, total};
    }
    const std::error_code error = co_await state.Wait(n, errno, true);
    if (error) co_return net::IoResult{error, 0};
  }
}

asio::awaitable<std::error_code> TlsStream::WaitReadable() {
  State& state = *state_;
  // Not a coroutine itself: a session that waits would hold its frame.
  // It looks before it waits, as a TcpStream does: what has come counts, though the deadline is past.
  state.wire.Expect();
  if (state.end || !state.tcp->is_open() || SSL_has_pending(state.ssl.get()) == 1 || state.wire.Fill()) return Ready();
  state.wire.Expect();
  return state.tcp->WaitToRead(true);
}

bool TlsStream::ReadableNow() {
  State& state = *state_;
  return state.end || SSL_has_pending(state.ssl.get()) == 1 || state.wire.HasInput() || state.tcp->ReadableNow();
}

asio::awaitable<std::error_code> TlsStream::Write(std::span<const std::string_view> pieces) { return WriteRecords(pieces, false); }

asio::awaitable<std::error_code> TlsStream::WriteRecords(std::span<const std::string_view> pieces, bool more) {
  State& state = *state_;
  while (!pieces.empty() && pieces.back().empty()) pieces = pieces.first(pieces.size() - 1);
  std::array<char, 4096> gathered;
  size_t next = 0;
  while (next < pieces.size()) {
    // Small pieces share a record.
    std::string_view octets = pieces[next++];
    if (octets.size() < gathered.size()) {
      size_t used = 0;
      std::copy(octets.begin(), octets.end(), gathered.begin());
      used = octets.size();
      while (next < pieces.size() && used + pieces[next].size() <= gathered.size()) {
        std::copy(pieces[next].begin(), pieces[next].end(), gathered.begin() + static_cast<std::ptrdiff_t>(used));
        used += pieces[next++].size();
      }
      octets = std::string_view(gathered.data(), used);
    }
    while (!octets.empty()) {
      if (!state.tcp->is_open()) co_return asio::error::bad_descriptor;
      state.wire.set_more(more || next < pieces.size() || octets.size() > kRecord);
      errno = 0;
      const int n = SSL_write(state.ssl.get(), octets.data(), static_cast<int>(std::min(octets.size(), kRecord)));
      if (n > 0) {
        octets.remove_prefix(static_cast<size_t>(n));
        continue;
      }
      const std::error_code error = co_await state.Wait(n, errno, false);
      if (error) co_return error;
    }
  }
  co_return std::error_code();
}

void TlsStream::SetReadDeadline(base::MonotonicTime deadline) { state_->tcp->SetReadDeadline(deadline); }
void TlsStream::SetWriteDeadline(base::MonotonicTime deadline) { state_->tcp->SetWriteDeadline(deadline); }
void TlsStream::Interrupt() { state_->tcp->Interrupt(); }
void TlsStream::Close() { state_->tcp->Close(); }

asio::awaitable<std::error_code> TlsStream::ShutdownGracefully(std::string_view last) {
  State& state = *state_;
  if (!state.tcp->is_open()) co_return asio::error::bad_descriptor;
  const std::array<std::string_view, 1> pieces{last};
  const std::error_code error = co_await WriteRecords(pieces, true);
  if (error) co_return error;
  state.wire.set_more(true);  // the FIN pushes it
  for (;;) {
    errno = 0;
    const int n = SSL_shutdown(state.ssl.get());
    if (n >= 0 || SSL_get_error(state.ssl.get(), n) != SSL_ERROR_WANT_WRITE) break;
    if (co_await state.tcp->WaitToWrite(false)) break;
  }
  state.wire.set_more(false);
  ERR_clear_error();
  co_return co_await state.tcp->ShutdownGracefully("");
}

base::Endpoint TlsStream::peer() const { return state_->tcp->peer(); }
base::Endpoint TlsStream::local() const { return state_->tcp->local(); }
const SessionFacts& TlsStream::facts() const { return state_->facts; }

std::string TlsStream::ExporterBinding() const {
  SSL* ssl = state_->ssl.get();
  if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1) return {};
  static constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  std::array<uint8_t, 32> binding;
  if (SSL_export_keying_material(ssl, binding.data(), binding.size(), kLabel.data(), kLabel.size(), nullptr, 0, 1) != 1) {
    ERR_clear_error();
    return {};
  }
  return std::string(reinterpret_cast<const char*>(binding.data()), binding.size());
}

struct Handshaker {
  static asio::awaitable<HandshakeResult> Run(std::unique_ptr<TlsStream::State> state, base::MonotonicTime deadline) {
    HandshakeResult result;
    SSL* ssl = state->ssl.get();
    state->tcp->SetReadDeadline(deadline);
    state->tcp->SetWriteDeadline(deadline);
    state->wire.Serve(ssl);
    SSL_set_shed_handshake_config(ssl, 1);
    for (;;) {
      errno = 0;
      const int n = SSL_do_handshake(ssl);
      const int error = errno;
      if (n == 1) break;
      const int kind = SSL_get_error(ssl, n);
      if (kind == SSL_ERROR_SSL) {
        result.detail = Reason();
        const uint32_t why = ERR_peek_error();
        if (ERR_GET_LIB(why) == ERR_LIB_SSL && ERR_GET_REASON(why) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
          result.ec = net::StreamError::kVerification;
          result.detail = X509_verify_cert_error_string(SSL_get_verify_result(ssl));
        } else {
          result.ec = net::StreamError::kTls;
        }
      } else {
        result.ec = co_await state->Wait(n, error, true);
        if (!result.ec) continue;
        result.detail = result.ec.message();
      }
      ERR_clear_error();
      state->tcp->Close();
      co_return result;
    }
    state->facts = FactsOf(ssl);
    result.stream.reset(new TlsStream(std::move(state)));
    co_return result;
  }

  static std::unique_ptr<TlsStream::State> Begin(std::unique_ptr<net::TcpStream> plain, SSL_CTX* context, std::shared_ptr<const void> keep) {
    auto state = std::make_unique<TlsStream::State>(std::move(plain));
    state->context = std::move(keep);
    state->ssl.reset(SSL_new(context));
    GATEPOST_CHECK(state->ssl != nullptr);
    return state;
  }

  static void TakeEndPoint(internal::ServerHandshake* handshake, TlsStream* stream) {
    stream->state_->facts.server_end_point = std::move(handshake->end_point);
  }

  // The certificate that the client showed, now or when the session was made; in `result` why it is refused.
  static void JudgeClient(const internal::ServerContextState& server, internal::ServerHandshake* handshake, HandshakeResult* result) {
    using internal::ClientVerifier;
    TlsStream::State& state = *result->stream->state_;
    SSL* ssl = state.ssl.get();
    ClientVerifier::Judgement& client = handshake->client;
    const STACK_OF(CRYPTO_BUFFER)* chain = SSL_get0_peer_certificates(ssl);
    if (!client.certificate && chain != nullptr && sk_CRYPTO_BUFFER_num(chain) > 0) client = server.client_verifier->Judge(chain);
    if (!client.certificate && client.why == nullptr && server.client_certificates == ClientCertificateMode::kMandatory) {
      client = {"no client certificate", SSL_AD_CERTIFICATE_REQUIRED, nullptr};
    }
    if (client.why == nullptr) {
      state.facts.client_certificate = std::move(client.certificate);
      return;
    }
    SSL_send_fatal_alert(ssl, client.alert);
    ERR_clear_error();
    state.tcp->Close();
    *result = {net::StreamError::kVerification, client.why, nullptr};
  }

  // BoringSSL's name of what went wrong, such as "NO_SHARED_CIPHER".
  static std::string Reason() {
    const char* reason = ERR_reason_error_string(ERR_peek_error());
    return reason == nullptr ? "TLS handshake failed" : reason;
  }
};

asio::awaitable<HandshakeResult> Accept(std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ServerContext> context,
                                        base::MonotonicTime deadline) {
  const internal::ServerContextState& server = context->state();
  std::unique_ptr<TlsStream::State> state = Handshaker::Begin(std::move(plain), server.context.get(), context);
  SSL* ssl = state->ssl.get();
  SSL_set_accept_state(ssl);
  internal::ServerHandshake handshake;
  GATEPOST_CHECK(internal::SetHandshake(ssl, &handshake));
  HandshakeResult result = co_await Handshaker::Run(std::move(state), deadline);
  if (result.stream) {
    internal::SetHandshake(ssl, nullptr);
    Handshaker::TakeEndPoint(&handshake, result.stream.get());
    if (server.client_verifier) Handshaker::JudgeClient(server, &handshake, &result);
  } else if (handshake.client.why != nullptr) {
    result.detail = handshake.client.why;
  }
  co_return result;
}

asio::awaitable<HandshakeResult> Connect(std::unique_ptr<net::TcpStream> plain, std::shared_ptr<const ClientContext> context, std::string host,
                                         base::MonotonicTime deadline) {
  const internal::ClientContextState& options = context->state();
  const std::string name = options.server_name.empty() ? host : options.server_name;
  std::unique_ptr<TlsStream::State> state = Handshaker::Begin(std::move(plain), options.context.get(), context);
  SSL* ssl = state->ssl.get();
  SSL_set_connect_state(ssl);
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
  bool ready = false;
  if (base::IpAddress::Parse(name).ok()) {
    ready = X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str()) == 1;
  } else {
    // RFC 6125 6.4.3: no partial wildcards; names in the subjectAltName only.
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    ready = X509_VERIFY_PARAM_set1_host(parameters, name.data(), name.size()) == 1 && SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
  }
  if (!ready) {
    ERR_clear_error();
    state->tcp->Close();
    HandshakeResult result;
    result.ec = net::StreamError::kVerification;
    result.detail = "not a name that a certificate can have";
    co_return result;
  }
  co_return co_await Handshaker::Run(std::move(state), deadline);
}

}  // namespace gatepost::tls
