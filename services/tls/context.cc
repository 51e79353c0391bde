#include "services/tls/context.h"

#include "services/tls/boringssl.h"

#include <openssl/bytestring.h>
#include <openssl/cipher.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pool.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/tls/certificate.h"
#include "services/tls/context_state.h"
#include "services/tls/pem.h"

namespace gatepost::tls {
namespace {

using base::StrCat;
using base::ToAbsl;
using internal::ClientVerifier;
using internal::Kinds;
using internal::LoadedIdentity;
using internal::ServerContextState;
using internal::ServerHandshake;

constexpr char kGroups[] = "X25519:P-256";
// TLS 1.2; BoringSSL's list for 1.3 cannot be set and holds nothing else.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
// Those of 256 bits.
constexpr char kStrongCiphers[] =
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
// No SHA-1 (RFC 9155).
constexpr std::array<uint16_t, 8> kSignatures{
    SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA384,
    SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA256,       SSL_SIGN_RSA_PKCS1_SHA384,    SSL_SIGN_RSA_PKCS1_SHA512};
constexpr size_t kMostIdentities = 16;
constexpr size_t kMostClientOctets = 64 << 10;
// RFC 9325 wants ticket keys, and so tickets, to be short-lived; the keys turn over anyway.
constexpr uint32_t kSessionSeconds = 6 * 3600;

int StateIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

const ServerContextState& StateOf(const SSL* ssl) {
  return *static_cast<const ServerContextState*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), StateIndex()));
}

int HandshakeIndex() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

ServerHandshake& HandshakeOf(const SSL* ssl) { return *static_cast<ServerHandshake*>(SSL_get_ex_data(ssl, HandshakeIndex())); }

bool Configure(SSL_CTX* context) {
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 || SSL_CTX_set1_curves_list(context, kGroups) != 1 ||
      SSL_CTX_set_strict_cipher_list(context, kCiphers) != 1 ||
      SSL_CTX_set_signing_algorithm_prefs(context, kSignatures.data(), kSignatures.size()) != 1 ||
      SSL_CTX_set_verify_algorithm_prefs(context, kSignatures.data(), kSignatures.size()) != 1) {
    return false;
  }
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_max_cert_list(context, kMostClientOctets);
  return true;
}

// RFC 5929 4.1: by the hash of the certificate's signature; SHA-256 where that is weaker, or not one hash.
std::string EndPointOf(const X509* certificate) {
  int digest_nid = NID_undef;
  const EVP_MD* digest = nullptr;
  if (OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &digest_nid, nullptr) == 1 && digest_nid != NID_md5 &&
      digest_nid != NID_sha1) {
    digest = EVP_get_digestbynid(digest_nid);
  }
  std::array<uint8_t, EVP_MAX_MD_SIZE> hash;
  unsigned size = 0;
  if (X509_digest(certificate, digest == nullptr ? EVP_sha256() : digest, hash.data(), &size) != 1) return {};
  return std::string(reinterpret_cast<const char*>(hash.data()), size);
}

absl::StatusOr<LoadedIdentity> Load(const Identity& identity) {
  LoadedIdentity loaded;
  GATEPOST_ASSIGN_OR_RETURN(const std::vector<CertificateFacts> facts, ParseChain(identity.chain_pem));
  GATEPOST_RETURN_IF_ERROR(KeyMatches(identity.chain_pem, identity.key_pem));
  GATEPOST_ASSIGN_OR_RETURN(const auto chain, internal::ParseCertificates(identity.chain_pem, 10));
  GATEPOST_ASSIGN_OR_RETURN(loaded.key, internal::ParsePrivateKey(identity.key_pem));
  for (const auto& certificate : chain) {
    uint8_t* der = nullptr;
    const int size = i2d_X509(certificate.get(), &der);
    if (size <= 0) return absl::InternalError("encoding a certificate");
    loaded.chain.emplace_back(CRYPTO_BUFFER_new(der, static_cast<size_t>(size), nullptr));
    OPENSSL_free(der);
  }
  loaded.end_point = EndPointOf(chain.front().get());
  loaded.ecdsa = facts.front().key_type != KeyType::kRsa;
  for (const std::string& name : facts.front().dns_names) loaded.dns_names.push_back(base::AsciiLower(name));
  return loaded;
}

// RFC 6125 6.4.3: a wildcard stands for the whole left-most label, and for nothing else.
bool NameMatches(std::string_view pattern, std::string_view name) {
  if (pattern.starts_with("*.")) {
    const size_t dot = name.find('.');
    return dot != std::string_view::npos && dot > 0 && pattern.substr(1) == name.substr(dot);
  }
  return pattern == name;
}

// In TLS 1.2 the suite names the certificate's kind, and a client that verifies both may offer one kind's suites alone.
Kinds OfferedKinds(const SSL_CLIENT_HELLO* hello) {
  CBS suites;
  CBS_init(&suites, hello->cipher_suites, hello->cipher_suites_len);
  Kinds offered;
  uint16_t value = 0;
  while (CBS_get_u16(&suites, &value)) {
    const SSL_CIPHER* suite = SSL_get_cipher_by_value(value);
    if (suite == nullptr || SSL_CIPHER_get_kx_nid(suite) != NID_kx_ecdhe || SSL_CIPHER_is_aead(suite) != 1) continue;
    offered.ecdsa |= SSL_CIPHER_get_auth_nid(suite) == NID_auth_ecdsa;
    offered.rsa |= SSL_CIPHER_get_auth_nid(suite) == NID_auth_rsa;
  }
  return offered;
}

// Among TLS 1.3's suites the client's order decides, whatever we would like (protocol.md 5).
bool PutsAes128First(const SSL_CLIENT_HELLO* hello) {
  CBS suites;
  CBS_init(&suites, hello->cipher_suites, hello->cipher_suites_len);
  uint16_t value = 0;
  while (CBS_get_u16(&suites, &value)) {
    const SSL_CIPHER* suite = SSL_get_cipher_by_value(value);
    if (suite != nullptr && SSL_CIPHER_get_min_version(suite) >= TLS1_3_VERSION) return SSL_CIPHER_get_bits(suite, nullptr) < 256;
  }
  return false;
}

// The name that the client asks for, as names are compared; empty: none.
std::string NameAskedFor(const SSL* ssl) {
  const char* asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  std::string name = asked == nullptr ? std::string() : base::AsciiLower(asked);
  if (name.ends_with('.')) name.pop_back();
  return name;
}

// Before the version is chosen, or a session looked for.
ssl_select_cert_result_t BeginHandshake(const SSL_CLIENT_HELLO* hello) {
  SSL* ssl = hello->ssl;
  const ServerContextState& state = StateOf(ssl);
  HandshakeOf(ssl).offered = OfferedKinds(hello);
  if (state.min_cipher_bits == 256 && PutsAes128First(hello)) {
    if (SSL_CTX_get_min_proto_version(state.context.get()) >= TLS1_3_VERSION) return ssl_select_cert_error;
    if (SSL_set_max_proto_version(ssl, TLS1_2_VERSION) != 1) return ssl_select_cert_error;
  }
  // RFC 6066 section 3: a session is one name's.
  std::string scope(reinterpret_cast<const char*>(state.session_scope.data()), state.session_scope.size());
  scope += NameAskedFor(ssl);
  std::array<uint8_t, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const uint8_t*>(scope.data()), scope.size(), hash.data());
  return SSL_set_session_id_context(ssl, hash.data(), hash.size()) == 1 ? ssl_select_cert_success : ssl_select_cert_error;
}

Kinds UsableKinds(const SSL* ssl) {
  Kinds usable;
  const uint16_t* algorithms = nullptr;
  const size_t count = SSL_get0_peer_verify_algorithms(ssl, &algorithms);
  for (size_t i = 0; i < count; ++i) {
    if (std::find(kSignatures.begin(), kSignatures.end(), algorithms[i]) == kSignatures.end()) continue;
    const int type = SSL_get_signature_algorithm_key_type(algorithms[i]);
    usable.ecdsa |= type == EVP_PKEY_EC;
    usable.rsa |= type == EVP_PKEY_RSA;
  }
  if (SSL_version(ssl) < TLS1_3_VERSION) {
    const Kinds& offered = HandshakeOf(ssl).offered;
    usable.ecdsa &= offered.ecdsa;
    usable.rsa &= offered.rsa;
  }
  return usable;
}

bool Has(const LoadedIdentity& identity, std::string_view name) {
  return std::any_of(identity.dns_names.begin(), identity.dns_names.end(),
                     [&](const std::string& pattern) { return NameMatches(pattern, name); });
}

int RefuseUnknownName(SSL* ssl, int* alert, void* /*unused*/) {
  const std::string name = NameAskedFor(ssl);
  const std::vector<LoadedIdentity>& identities = StateOf(ssl).identities;
  if (name.empty() || std::any_of(identities.begin(), identities.end(),
                                  [&](const LoadedIdentity& identity) { return Has(identity, name); })) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

ssl_verify_result_t VerifyClient(SSL* ssl, uint8_t* alert) {
  ClientVerifier::Judgement& judgement = HandshakeOf(ssl).client;
  judgement = StateOf(ssl).client_verifier->Judge(SSL_get0_peer_certificates(ssl));
  *alert = judgement.alert;
  return judgement.why == nullptr ? ssl_verify_ok : ssl_verify_invalid;
}

// Which certificate: one for the name asked for, of a kind that the client can use, ECDSA before RSA; else the first of that kind.
int ChooseIdentity(SSL* ssl, void* /*unused*/) {
  const ServerContextState& state = StateOf(ssl);
  const std::string name = NameAskedFor(ssl);
  const Kinds usable = UsableKinds(ssl);
  // Where none will do BoringSSL refuses the first one, with the alert that says why.
  const LoadedIdentity* chosen = &state.identities.front();
  int best = -1;
  for (const LoadedIdentity& identity : state.identities) {
    if (!(identity.ecdsa ? usable.ecdsa : usable.rsa)) continue;
    const int score = (!name.empty() && Has(identity, name) ? 2 : 0) + (identity.ecdsa ? 1 : 0);
    if (score > best) {
      best = score;
      chosen = &identity;
    }
  }
  HandshakeOf(ssl).end_point = chosen->end_point;
  std::vector<CRYPTO_BUFFER*> chain;
  for (const auto& certificate : chosen->chain) chain.push_back(certificate.get());
  return SSL_set_chain_and_key(ssl, chain.data(), chain.size(), chosen->key.get(), nullptr);
}

// RFC 7301: "smtp" is the only protocol here (ALPACA).
int ChooseProtocol(SSL* /*ssl*/, const uint8_t** out, uint8_t* out_size, const uint8_t* offered, unsigned offered_size, void* /*unused*/) {
  CBS list;
  CBS_init(&list, offered, offered_size);
  CBS protocol;
  while (CBS_len(&list) > 0 && CBS_get_u8_length_prefixed(&list, &protocol)) {
    if (CBS_mem_equal(&protocol, reinterpret_cast<const uint8_t*>("smtp"), 4)) {
      *out = CBS_data(&protocol);
      *out_size = static_cast<uint8_t>(CBS_len(&protocol));
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int SealTicket(SSL* ssl, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* hmac, int encrypt) {
  const std::vector<TicketKey>& keys = StateOf(ssl).ticket_keys;
  const TicketKey* key = nullptr;
  if (encrypt != 0) {
    key = &keys.front();
    std::copy(key->name.begin(), key->name.end(), name);
    RAND_bytes(iv, 16);
  } else {
    for (const TicketKey& candidate : keys) {
      if (std::memcmp(candidate.name.data(), name, candidate.name.size()) == 0) key = &candidate;
    }
    if (key == nullptr) return 0;  // a full handshake
  }
  const int ready = encrypt != 0 ? EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key->aes_key.data(), iv)
                                 : EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key->aes_key.data(), iv);
  if (ready != 1 || HMAC_Init_ex(hmac, key->hmac_key.data(), key->hmac_key.size(), EVP_sha256(), nullptr) != 1) return -1;
  // 2: the ticket is good, and its key is on the way out: renew it.
  return key == &keys.front() ? 1 : 2;
}

// A hash of all that a session must have been made under.
std::array<uint8_t, 32> SessionScope(const ServerContext::Options& options) {
  std::string text;
  const auto add = [&](std::string_view part) { base::StrAppend(&text, part.size(), ":", part); };
  add(options.session_scope);
  base::StrAppend(&text, options.tls13_only ? 1 : 0, " ", options.min_cipher_bits, " ", options.refuse_unknown_names ? 1 : 0, " ",
                  static_cast<int>(options.client_certificates), " ");
  add(options.client_ca_bundle_pem);
  for (const std::string& fingerprint : options.refused_fingerprints) add(fingerprint);
  std::array<uint8_t, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const uint8_t*>(text.data()), text.size(), hash.data());
  return hash;
}

absl::Status RequestCertificates(const ServerContext::Options& options, ServerContextState* state) {
  state->client_certificates = options.client_certificates;
  if (options.client_certificates == ClientCertificateMode::kNotRequested) return absl::OkStatus();
  GATEPOST_ASSIGN_OR_RETURN(state->client_verifier,
                            ClientVerifier::Make(options.client_ca_bundle_pem, options.refused_fingerprints, options.clock));
  SSL_CTX* context = state->context.get();
  bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> names(sk_CRYPTO_BUFFER_new_null());
  if (!names) return absl::InternalError("the names of CAs");
  for (const auto& name : state->client_verifier->ca_names()) {
    if (!bssl::PushToStack(names.get(), bssl::UpRef(name))) return absl::InternalError("the names of CAs");
  }
  SSL_CTX_set0_client_CAs(context, names.release());
  const bool mandatory = options.client_certificates == ClientCertificateMode::kMandatory;
  SSL_CTX_set_custom_verify(context, SSL_VERIFY_PEER | (mandatory ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), VerifyClient);
  return absl::OkStatus();
}

}  // namespace

bool internal::SetHandshake(SSL* ssl, ServerHandshake* handshake) { return SSL_set_ex_data(ssl, HandshakeIndex(), handshake) == 1; }

ServerContext::ServerContext(std::unique_ptr<ServerContextState> state) : state_(std::move(state)) {}
ServerContext::~ServerContext() = default;

absl::StatusOr<std::shared_ptr<const ServerContext>> ServerContext::Make(const Options& options) {
  if (options.identities.empty() || options.identities.size() > kMostIdentities) {
    return absl::InvalidArgumentError("a TLS server needs from 1 to 16 certificates");
  }
  if (options.session_scope.empty()) return absl::InvalidArgumentError("a TLS server needs a session scope");
  auto state = std::make_unique<ServerContextState>();
  state->context.reset(SSL_CTX_new(TLS_with_buffers_method()));
  SSL_CTX* context = state->context.get();
  if (!Configure(context)) return absl::InternalError(ToAbsl(internal::TakeError()));
  for (size_t i = 0; i < options.identities.size(); ++i) {
    absl::StatusOr<LoadedIdentity> loaded = Load(options.identities[i]);
    if (!loaded.ok()) {
      return absl::InvalidArgumentError(ToAbsl(StrCat("certificates[", i, "]: ", base::FromAbsl(loaded.status().message()))));
    }
    state->identities.push_back(*std::move(loaded));
  }
  if (options.tls13_only && SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1) return absl::InternalError("TLS 1.3");
  SSL_CTX_set_ex_data(context, StateIndex(), state.get());
  if (options.min_cipher_bits == 256) {
    if (SSL_CTX_set_strict_cipher_list(context, kStrongCiphers) != 1) return absl::InternalError(ToAbsl(internal::TakeError()));
  } else if (options.min_cipher_bits != 128) {
    return absl::InvalidArgumentError("the floor of the cipher is 128 or 256 bits");
  }
  state->min_cipher_bits = options.min_cipher_bits;
  state->session_scope = SessionScope(options);
  GATEPOST_RETURN_IF_ERROR(RequestCertificates(options, state.get()));
  SSL_CTX_set_select_certificate_cb(context, BeginHandshake);
  if (options.refuse_unknown_names) SSL_CTX_set_tlsext_servername_callback(context, RefuseUnknownName);
  SSL_CTX_set_cert_cb(context, ChooseIdentity, nullptr);
  SSL_CTX_set_alpn_select_cb(context, ChooseProtocol, nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout(context, kSessionSeconds);
  SSL_CTX_set_session_psk_dhe_timeout(context, kSessionSeconds);
  if (options.ticket_keys.empty()) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  } else {
    state->ticket_keys = options.ticket_keys;
    SSL_CTX_set_tlsext_ticket_key_cb(context, SealTicket);
    // A mail client opens a connection at a time, and gets its next ticket there.
    SSL_CTX_set_num_tickets(context, 1);
  }
  return std::shared_ptr<const ServerContext>(new ServerContext(std::move(state)));
}

ClientContext::ClientContext(std::unique_ptr<internal::ClientContextState> state) : state_(std::move(state)) {}
ClientContext::~ClientContext() = default;

absl::StatusOr<std::shared_ptr<const ClientContext>> ClientContext::Make(const Options& options) {
  GATEPOST_RETURN_IF_ERROR(CheckCaBundle(options.ca_bundle_pem));
  GATEPOST_ASSIGN_OR_RETURN(const auto bundle, internal::ParseCertificates(options.ca_bundle_pem, 1000));
  auto state = std::make_unique<internal::ClientContextState>();
  state->context.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* context = state->context.get();
  if (!Configure(context)) return absl::InternalError(ToAbsl(internal::TakeError()));
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const auto& certificate : bundle) {
    if (X509_STORE_add_cert(store, certificate.get()) != 1) ERR_clear_error();  // it is there already
  }
  // What is in the bundle is trusted by itself: a next hop's own certificate or an intermediate CA will do.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  state->server_name = options.server_name;
  return std::shared_ptr<const ClientContext>(new ClientContext(std::move(state)));
}

}  // namespace gatepost::tls
