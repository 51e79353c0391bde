#include "services/sasl/ntlm.h"

#include <nettle/arcfour.h>
#include <string.h>

#include <optional>
#include <utility>

#include "services/base/strings.h"
#include "services/base/wipe.h"
#include "services/sasl/claim.h"
#include "services/sasl/nt_hash.h"
#include "services/sasl/ntlm_message.h"

namespace gatepost::sasl {
namespace {

// Asked for or not.
constexpr uint32_t kAlways =
    kNtlmRequestTarget | kNtlmNtlm | kNtlmTargetServer | kNtlmTargetInfo | kNtlmExtendedSecurity | kNtlmVersion;
// Given when asked for. Signing and sealing are never used after the exchange.
constexpr uint32_t kOnRequest = kNtlmSign | kNtlmSeal | kNtlmAlwaysSign | kNtlm128 | kNtlm56 | kNtlmKeyExchange;

constexpr size_t kNtlmV1Octets = 24;

std::string_view View(const Md5& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

// What signs the MIC: the session's key, or what the client sent under it.
Md5 ExportedKey(const Md5& session_key, const NtlmAuthenticate& answer, uint32_t offered) {
  if ((answer.flags & offered & kNtlmKeyExchange) == 0 || answer.session_key.size() != session_key.size())
    return session_key;
  arcfour_ctx context;
  arcfour_set_key(&context, session_key.size(), session_key.data());
  Md5 key;
  arcfour_crypt(&context, key.size(), key.data(), reinterpret_cast<const uint8_t*>(answer.session_key.data()));
  explicit_bzero(&context, sizeof context);
  return key;
}

class Ntlm final : public Mechanism {
 public:
  explicit Ntlm(NtlmOptions options) : options_(std::move(options)) {}
  ~Ntlm() override { base::Wipe(&authenticate_); }

  Step First(std::optional<std::string_view> initial_response) override {
    if (initial_response) return TakeNegotiate(*initial_response);
    state_ = State::kAsked;
    return Challenge{};
  }

  Step Next(std::string_view response) override {
    switch (std::exchange(state_, State::kOver)) {
      case State::kAsked:
        return TakeNegotiate(response);
      case State::kChallenged:
        return TakeAuthenticate(response);
      default:
        return Malformed{};
    }
  }

  Step Provide(const Provision& provision) override {
    const auto* hash = std::get_if<NtHash>(&provision);
    if (std::exchange(state_, State::kOver) != State::kNeedsHash || hash == nullptr) return Malformed{};
    return Verify(*hash);
  }

 private:
  enum class State { kAsked, kChallenged, kNeedsHash, kOver };

  Step TakeNegotiate(std::string_view message) {
    const std::optional<NtlmNegotiate> negotiate = ParseNtlmNegotiate(message);
    if (!negotiate || message.size() > kMostOctets) return Rejected{"ntlm_message"};
    offered_ = kAlways | (negotiate->flags & kOnRequest);
    // A client that says neither is taken to know Unicode.
    offered_ |= (negotiate->flags & (kNtlmUnicode | kNtlmOem)) == kNtlmOem ? kNtlmOem : kNtlmUnicode;
    negotiate_ = std::string(message);
    challenge_ = WriteNtlmChallenge({.target_name = options_.target_name,
                                     .flags = offered_,
                                     .challenge = options_.challenge,
                                     .timestamp = options_.timestamp});
    state_ = State::kChallenged;
    return Challenge{challenge_};
  }

  Step TakeAuthenticate(std::string_view message) {
    authenticate_ = std::string(message);
    const std::optional<NtlmAuthenticate> answer = ParseNtlmAuthenticate(authenticate_);
    if (!answer || message.size() > kMostOctets) return Rejected{"ntlm_message"};
    if (answer->nt_response.size() == kNtlmV1Octets) return Rejected{"ntlm_v1"};
    if (!ParseNtlmV2Answer(answer->nt_response)) return Rejected{"ntlm_message"};
    const bool unicode = (answer->flags & kNtlmUnicode) != 0;
    if (!unicode && (!base::IsPrintableAscii(answer->user) || !base::IsPrintableAscii(answer->domain)))
      return Rejected{"ntlm_message"};
    std::string login = unicode ? FromUtf16(answer->user) : std::string(answer->user);
    if (!IsLogin(login)) return Rejected{"ntlm_message"};
    state_ = State::kNeedsHash;
    return NeedSecret{SecretKind::kNtHash, std::move(login)};
  }

  Step Verify(const NtHash& hash) {
    // Both were read before, from the same octets.
    const NtlmAuthenticate answer = *ParseNtlmAuthenticate(authenticate_);
    const NtlmV2Answer v2 = *ParseNtlmV2Answer(answer.nt_response);
    const bool unicode = (answer.flags & kNtlmUnicode) != 0;
    const std::string user = unicode ? std::string(answer.user) : ToUtf16(answer.user);
    const std::string domain = unicode ? std::string(answer.domain) : ToUtf16(answer.domain);
    Md5 key = NtlmV2Key(hash, user, domain);
    std::string covered(reinterpret_cast<const char*>(options_.challenge.data()), options_.challenge.size());
    covered.append(v2.blob);
    const Md5 proof = HmacMd5(View(key), covered);
    Md5 session_key = HmacMd5(View(key), View(proof));
    Md5 exported = ExportedKey(session_key, answer, offered_);
    Step step = Judge(answer, v2, base::ConstantTimeEquals(View(proof), v2.proof), MicIsRight(exported));
    for (Md5* secret : {&key, &session_key, &exported}) explicit_bzero(secret->data(), secret->size());
    if (!std::holds_alternative<Proved>(step)) return step;
    return Proved{unicode ? FromUtf16(answer.user) : std::string(answer.user), std::string(), std::nullopt};
  }

  // The proof covers what the client says of its MIC and its binding.
  Step Judge(const NtlmAuthenticate& answer, const NtlmV2Answer& v2, bool proof_is_right, bool mic_is_right) const {
    if (!proof_is_right) return Rejected{"wrong_password"};
    if (v2.announces_mic && !(answer.has_room_for_mic && mic_is_right)) return Rejected{"mic"};
    if (!v2.announces_mic && options_.require_mic) return Rejected{"mic_missing"};
    if (options_.binding != BindingMode::kOff) {
      if (v2.channel_binding.empty() && options_.binding == BindingMode::kRequired) return Rejected{"binding_missing"};
      if (!v2.channel_binding.empty() &&
          (options_.end_point.empty() || v2.channel_binding != NtlmChannelBinding(options_.end_point)))
        return Rejected{"binding"};
    }
    return Proved{};
  }

  // [MS-NLMP] 3.2.5.1.2: over all three messages, with zeros where the MIC is.
  bool MicIsRight(const Md5& key) const {
    if (authenticate_.size() < kNtlmMicAt + kNtlmMicOctets) return false;
    std::string covered = negotiate_ + challenge_ + authenticate_;
    const size_t at = negotiate_.size() + challenge_.size() + kNtlmMicAt;
    covered.replace(at, kNtlmMicOctets, kNtlmMicOctets, '\0');
    return base::ConstantTimeEquals(View(HmacMd5(View(key), covered)),
                                    std::string_view(authenticate_).substr(kNtlmMicAt, kNtlmMicOctets));
  }

  const NtlmOptions options_;
  State state_ = State::kOver;
  uint32_t offered_ = 0;
  std::string negotiate_, challenge_, authenticate_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeNtlm(NtlmOptions options) { return std::make_unique<Ntlm>(std::move(options)); }

std::string NtlmChannelBinding(std::string_view end_point) {
  const std::string data = base::StrCat("tls-server-end-point:", end_point);
  // Two empty addresses of type 0 and the length of the data, each number 4 octets, little-endian.
  std::string bindings(20, '\0');
  bindings[16] = static_cast<char>(data.size() & 0xff);
  return std::string(View(Md5Of(bindings + data)));
}

}  // namespace gatepost::sasl
