#include "services/auth/gssapi.h"

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <sys/stat.h>

#include <optional>
#include <utility>

#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

// RFC 4752 3.3: no security layer, and a size of 0 with it.
constexpr std::string_view kNoLayer("\1\0\0\0", 4);
constexpr size_t kLayerOctets = 4;

// Octets that the library allocated.
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() {
    OM_uint32 minor = 0;
    gss_release_buffer(&minor, &buffer_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  gss_buffer_t out() { return &buffer_; }
  std::string_view view() const { return {static_cast<const char*>(buffer_.value), buffer_.length}; }

 private:
  gss_buffer_desc buffer_ = GSS_C_EMPTY_BUFFER;
};

gss_buffer_desc In(std::string_view octets) { return {octets.size(), const_cast<char*>(octets.data())}; }

// The keys of smtp/HOST in a keytab, of any host and of no other service; GSS_C_NO_CREDENTIAL: there are none, or it cannot
// be read. The caller releases them.
gss_cred_id_t AcquireKeys(const std::string& keytab, const std::string& replay_cache) {
  gss_key_value_element_desc elements[] = {{"keytab", keytab.c_str()}, {"rcache", replay_cache.c_str()}};
  const gss_key_value_set_desc store = {replay_cache.empty() ? 1u : 2u, elements};
  gss_OID_set_desc mechanisms = {1, const_cast<gss_OID>(gss_mech_krb5)};
  gss_buffer_desc service = In("smtp");
  gss_name_t name = GSS_C_NO_NAME;
  OM_uint32 minor = 0;
  if (GSS_ERROR(gss_import_name(&minor, &service, GSS_C_NT_HOSTBASED_SERVICE, &name))) return GSS_C_NO_CREDENTIAL;
  gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
  gss_acquire_cred_from(&minor, name, GSS_C_INDEFINITE, &mechanisms, GSS_C_ACCEPT, &store, &credential, nullptr,
                        nullptr);
  gss_release_name(&minor, &name);
  return credential;
}

class Gssapi final : public sasl::Mechanism {
 public:
  Gssapi(GssapiOptions options, const std::string& keytab, const std::string& replay_cache)
      : options_(std::move(options)), keytab_(keytab), replay_cache_(replay_cache) {}
  ~Gssapi() override {
    OM_uint32 minor = 0;
    gss_delete_sec_context(&minor, &context_, GSS_C_NO_BUFFER);
    gss_release_cred(&minor, &credential_);
  }

  sasl::Step First(std::optional<std::string_view> initial_response) override {
    state_ = State::kAccepting;
    credential_ = AcquireKeys(keytab_, replay_cache_);
    if (credential_ == GSS_C_NO_CREDENTIAL) {
      state_ = State::kOver;
      return sasl::Unavailable{"keytab"};
    }
    if (initial_response) return Next(*initial_response);
    return sasl::Challenge{};
  }

  sasl::Step Next(std::string_view response) override {
    if (response.size() > sasl::kMostOctets) state_ = State::kOver;
    switch (std::exchange(state_, State::kOver)) {
      case State::kAccepting:
        return Accept(response);
      case State::kAccepted:
        // The client has nothing to say to our last token.
        return response.empty() ? OfferLayer() : sasl::Step(sasl::Rejected{"gssapi_message"});
      case State::kLayerOffered:
        return TakeLayer(response);
      case State::kOver:
        return sasl::Rejected{"gssapi_message"};
    }
    return sasl::Malformed{};
  }

 private:
  enum class State { kAccepting, kAccepted, kLayerOffered, kOver };

  sasl::Step Accept(std::string_view token) {
    const std::string data = base::StrCat("tls-server-end-point:", options_.end_point);
    gss_channel_bindings_struct bindings = {};
    bindings.application_data = In(data);
    const bool bound = options_.binding != sasl::BindingMode::kOff && !options_.end_point.empty();
    gss_buffer_desc in = In(token);
    Buffer out;
    gss_name_t client = GSS_C_NO_NAME;
    OM_uint32 minor = 0, flags = 0;
    const OM_uint32 major =
        gss_accept_sec_context(&minor, &context_, credential_, &in, bound ? &bindings : GSS_C_NO_CHANNEL_BINDINGS,
                               &client, nullptr, out.out(), &flags, nullptr, nullptr);
    if (GSS_ERROR(major)) return sasl::Rejected{ReasonOf(major, minor)};
    if ((major & GSS_S_CONTINUE_NEEDED) != 0) {
      state_ = State::kAccepting;
      return sasl::Challenge{std::string(out.view())};
    }
    // A client that sends no binding is accepted by the library: whether it did is said by a flag.
    if (options_.binding == sasl::BindingMode::kRequired && (!bound || (flags & GSS_C_CHANNEL_BOUND_FLAG) == 0)) {
      gss_release_name(&minor, &client);
      return sasl::Rejected{"binding_missing"};
    }
    Buffer principal;
    const OM_uint32 named = gss_display_name(&minor, client, principal.out(), nullptr);
    gss_release_name(&minor, &client);
    if (GSS_ERROR(named)) return sasl::Rejected{"principal"};
    login_ = LoginOfPrincipal(principal.view(), options_.realms);
    if (login_.empty()) return sasl::Rejected{"principal"};
    if (out.view().empty()) return OfferLayer();
    state_ = State::kAccepted;
    return sasl::Challenge{std::string(out.view())};
  }

  sasl::Step OfferLayer() {
    gss_buffer_desc in = In(kNoLayer);
    Buffer out;
    OM_uint32 minor = 0;
    if (GSS_ERROR(gss_wrap(&minor, context_, 0, GSS_C_QOP_DEFAULT, &in, nullptr, out.out())))
      return sasl::Rejected{"gssapi_wrap"};
    state_ = State::kLayerOffered;
    return sasl::Challenge{std::string(out.view())};
  }

  // Four octets, the layer that the client chose first; behind them whom it wants to be.
  sasl::Step TakeLayer(std::string_view token) {
    gss_buffer_desc in = In(token);
    Buffer out;
    OM_uint32 minor = 0;
    if (GSS_ERROR(gss_unwrap(&minor, context_, &in, out.out(), nullptr, nullptr)))
      return sasl::Rejected{"gssapi_message"};
    const std::string_view chosen = out.view();
    if (chosen.size() < kLayerOctets || chosen[0] != kNoLayer[0]) return sasl::Rejected{"layer"};
    const std::string_view authorization = chosen.substr(kLayerOctets);
    if (authorization.find('\0') != authorization.npos || !base::IsValidUtf8(authorization))
      return sasl::Rejected{"authzid"};
    return sasl::Proved{login_, std::string(authorization), std::nullopt};
  }

  // What Kerberos itself refuses is one GSS code; its own code stands in `minor`.
  static std::string_view ReasonOf(OM_uint32 major, OM_uint32 minor) {
    switch (GSS_ROUTINE_ERROR(major)) {
      case GSS_S_BAD_BINDINGS:
        return "binding";
      case GSS_S_DEFECTIVE_TOKEN:
      case GSS_S_DEFECTIVE_CREDENTIAL:
      case GSS_S_BAD_MECH:
      // Of a mechanism that we have no keys for, or of none.
      case GSS_S_NO_CRED:
        return "gssapi_message";
      case GSS_S_CREDENTIALS_EXPIRED:
        return "ticket_expired";
      case GSS_S_DUPLICATE_TOKEN:
        return "replay";
      default:
        break;
    }
    switch (static_cast<krb5_error_code>(minor)) {
      case KRB5KRB_AP_ERR_REPEAT:
        return "replay";
      case KRB5KRB_AP_ERR_SKEW:
        return "clock_skew";
      case KRB5KRB_AP_ERR_TKT_EXPIRED:
        return "ticket_expired";
      default:
        // Of another service or key, or none at all.
        return "ticket";
    }
  }

  const GssapiOptions options_;
  const std::string keytab_;
  const std::string replay_cache_;
  State state_ = State::kOver;
  gss_ctx_id_t context_ = GSS_C_NO_CONTEXT;
  gss_cred_id_t credential_ = GSS_C_NO_CREDENTIAL;
  std::string login_;
};

}  // namespace

GssapiServer::GssapiServer(std::string keytab, std::string replay_cache)
    : keytab_(std::move(keytab)), replay_cache_(std::move(replay_cache)) {}

bool GssapiServer::Available() const {
  struct stat file = {};
  if (keytab_.empty() || stat(keytab_.c_str(), &file) != 0) return false;
  const FileState now = {static_cast<int64_t>(file.st_ino), file.st_size, file.st_ctim.tv_sec, file.st_ctim.tv_nsec};
  absl::MutexLock lock(&mutex_);
  if (now != seen_) {
    gss_cred_id_t keys = AcquireKeys(keytab_, replay_cache_);
    available_ = keys != GSS_C_NO_CREDENTIAL;
    seen_ = now;
    OM_uint32 minor = 0;
    gss_release_cred(&minor, &keys);
  }
  return available_;
}

std::unique_ptr<sasl::Mechanism> GssapiServer::Make(GssapiOptions options) const {
  return std::make_unique<Gssapi>(std::move(options), keytab_, replay_cache_);
}

std::string LoginOfPrincipal(std::string_view principal, const std::vector<RealmDomain>& realms) {
  const size_t at = principal.rfind('@');
  if (at == principal.npos || at == 0) return std::string();
  const std::string_view user = principal.substr(0, at);
  if (user.find_first_of("/@\\") != user.npos || user.find('\0') != user.npos) return std::string();
  for (const RealmDomain& known : realms) {
    if (known.realm == principal.substr(at + 1)) return base::StrCat(user, '@', known.domain);
  }
  return std::string();
}

}  // namespace gatepost::auth
