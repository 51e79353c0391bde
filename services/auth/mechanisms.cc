#include "services/auth/mechanisms.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "services/sasl/ntlm.h"

namespace gatepost::auth {
namespace {

using sasl::BindingMode;

BindingMode ToMode(v1::Integrated::Binding binding, BindingMode unspecified) {
  switch (binding) {
    case v1::Integrated::OFF:
      return BindingMode::kOff;
    case v1::Integrated::WHEN_SUPPORTED:
      return BindingMode::kWhenSupported;
    case v1::Integrated::REQUIRED:
      return BindingMode::kRequired;
    case v1::Integrated::BINDING_UNSPECIFIED:
      return unspecified;
    default:
      // Of a later version: the strictest that is known.
      return BindingMode::kRequired;
  }
}

// 100 ns since 1601.
uint64_t ToFileTime(base::WallTime time) {
  using Ticks = std::chrono::duration<int64_t, std::ratio<1, 10'000'000>>;
  constexpr std::chrono::seconds kBetween{11'644'473'600};
  return static_cast<uint64_t>((std::chrono::floor<Ticks>(time.time_since_epoch()) + kBetween).count());
}

}  // namespace

Mechanisms::Mechanisms(const UserSecrets& secrets, const GssapiServer& gssapi, bool tokens, const base::Clock& clock,
                       base::Random& random)
    : secrets_(secrets), gssapi_(gssapi), tokens_(tokens), clock_(clock), random_(random) {
  Refresh();
}

bool Mechanisms::Refresh() {
  std::vector<std::string> names = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "EXTERNAL", "PLAIN", "LOGIN"};
  if (gssapi_.Available()) names.push_back("GSSAPI");
  if (tokens_) names.insert(names.end(), {"OAUTHBEARER", "XOAUTH2"});
  const absl::StatusOr<bool> ntlm = secrets_.HasNtHashes();
  absl::MutexLock lock(&mutex_);
  // A store that does not answer has not lost its hashes.
  const bool before = std::find(names_.begin(), names_.end(), "NTLM") != names_.end();
  if (ntlm.ok() ? *ntlm : before) names.push_back("NTLM");
  if (names == names_) return false;
  names_ = std::move(names);
  return true;
}

std::vector<std::string> Mechanisms::names() const {
  absl::MutexLock lock(&mutex_);
  return names_;
}

bool Mechanisms::Serves(std::string_view name) const {
  absl::MutexLock lock(&mutex_);
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

std::unique_ptr<sasl::Mechanism> Mechanisms::Make(const v1::Start& start) const {
  const std::string& name = start.mechanism();
  // It was served lately, and the edge may still offer it: it then fails for want of what is gone.
  if (name == "GSSAPI") return MakeGssapi(start);
  if (!Serves(name)) return nullptr;
  if (name == "PLAIN") return sasl::MakePlain();
  if (name == "LOGIN") return sasl::MakeLogin();
  if (name == "SCRAM-SHA-256") return scram_.Make(false, start.channel_binding().tls_exporter());
  if (name == "SCRAM-SHA-256-PLUS") return scram_.Make(true, start.channel_binding().tls_exporter());
  if (name == "NTLM") return MakeNtlm(start);
  if (name == "OAUTHBEARER") return sasl::MakeOauthBearer();
  if (name == "XOAUTH2") return sasl::MakeXoauth2();
  if (name == "EXTERNAL") return sasl::MakeExternal();
  return nullptr;
}

std::unique_ptr<sasl::Mechanism> Mechanisms::MakeNtlm(const v1::Start& start) const {
  sasl::NtlmOptions options;
  const v1::Integrated& settings = start.integrated();
  if (!settings.ntlm_target_name().empty()) options.target_name = settings.ntlm_target_name();
  options.require_mic = settings.ntlm_require_mic();
  options.binding = ToMode(settings.ntlm_binding(), BindingMode::kWhenSupported);
  options.end_point = start.channel_binding().tls_server_end_point();
  random_.Fill(options.challenge);
  options.timestamp = ToFileTime(clock_.WallNow());
  return sasl::MakeNtlm(std::move(options));
}

std::unique_ptr<sasl::Mechanism> Mechanisms::MakeGssapi(const v1::Start& start) const {
  GssapiOptions options;
  options.binding = ToMode(start.integrated().gssapi_binding(), BindingMode::kOff);
  options.end_point = start.channel_binding().tls_server_end_point();
  for (const v1::Realm& realm : start.integrated().realms()) options.realms.push_back({realm.realm(), realm.domain()});
  return gssapi_.Make(std::move(options));
}

}  // namespace gatepost::auth
