#include "services/sasl/ntlm_message.h"

#include "services/sasl/nt_hash.h"

namespace gatepost::sasl {
namespace {

constexpr std::string_view kSignature("NTLMSSP\0", 8);
constexpr uint32_t kNegotiate = 1, kChallenge = 2, kAuthenticate = 3;
constexpr size_t kLeastNegotiate = 16, kLeastAuthenticate = 64, kChallengeHeader = 56;

// AV_PAIR ids.
constexpr uint16_t kEnd = 0, kComputerName = 1, kDomainName = 2, kFlags = 6, kTimestamp = 7, kChannelBindings = 10;
constexpr uint32_t kFlagMic = 0x2;
// NTLMv2_CLIENT_CHALLENGE before its AV pairs; an answer has a proof and at least the last pair besides.
constexpr size_t kProof = 16, kBlobHeader = 28, kPairHeader = 4;

uint64_t Little(std::string_view text, size_t at, size_t octets) {
  uint64_t value = 0;
  for (size_t i = octets; i-- > 0;) value = value << 8 | static_cast<uint8_t>(text[at + i]);
  return value;
}

void Append(uint64_t value, size_t octets, std::string* out) {
  for (size_t i = 0; i < octets; ++i, value >>= 8) out->push_back(static_cast<char>(value & 0xff));
}

bool HasHead(std::string_view message, uint32_t type, size_t least) {
  return message.size() >= least && message.starts_with(kSignature) && Little(message, 8, 4) == type;
}

// The field whose length, allocation and offset stand at `at`; its octets lie behind the header.
bool TakeField(std::string_view message, size_t at, size_t header, std::string_view* field, size_t* first) {
  const size_t length = Little(message, at, 2), offset = Little(message, at + 4, 4);
  if (length == 0) return true;
  if (offset < header || offset > message.size() || length > message.size() - offset) return false;
  *field = message.substr(offset, length);
  if (offset < *first) *first = offset;
  return true;
}

void AppendPair(uint16_t id, std::string_view value, std::string* out) {
  Append(id, 2, out);
  Append(value.size(), 2, out);
  out->append(value);
}

}  // namespace

std::optional<NtlmNegotiate> ParseNtlmNegotiate(std::string_view message) {
  if (!HasHead(message, kNegotiate, kLeastNegotiate)) return std::nullopt;
  NtlmNegotiate negotiate;
  negotiate.flags = static_cast<uint32_t>(Little(message, 12, 4));
  // Domain and workstation are not used, but if they are there they must lie inside.
  std::string_view ignored;
  size_t first = message.size();
  for (size_t at = kLeastNegotiate; at <= 24 && message.size() >= at + 8; at += 8) {
    if (!TakeField(message, at, kLeastNegotiate, &ignored, &first)) return std::nullopt;
  }
  return negotiate;
}

std::optional<NtlmAuthenticate> ParseNtlmAuthenticate(std::string_view message) {
  if (!HasHead(message, kAuthenticate, kLeastAuthenticate)) return std::nullopt;
  NtlmAuthenticate answer;
  std::string_view lm, workstation;
  size_t first = message.size();
  const auto take = [&](size_t at, std::string_view* field) {
    return TakeField(message, at, kLeastAuthenticate, field, &first);
  };
  if (!take(12, &lm) || !take(20, &answer.nt_response) || !take(28, &answer.domain) || !take(36, &answer.user) ||
      !take(44, &workstation) || !take(52, &answer.session_key))
    return std::nullopt;
  answer.flags = static_cast<uint32_t>(Little(message, 60, 4));
  answer.has_room_for_mic = first >= kNtlmMicAt + kNtlmMicOctets;
  return answer;
}

std::optional<NtlmV2Answer> ParseNtlmV2Answer(std::string_view nt_response) {
  if (nt_response.size() < kProof + kBlobHeader + kPairHeader) return std::nullopt;
  NtlmV2Answer answer;
  answer.proof = nt_response.substr(0, kProof);
  answer.blob = nt_response.substr(kProof);
  if (answer.blob[0] != 1 || answer.blob[1] != 1) return std::nullopt;
  for (std::string_view pairs = answer.blob.substr(kBlobHeader);;) {
    if (pairs.size() < kPairHeader) return std::nullopt;
    const auto id = static_cast<uint16_t>(Little(pairs, 0, 2));
    const size_t length = Little(pairs, 2, 2);
    pairs.remove_prefix(kPairHeader);
    if (length > pairs.size()) return std::nullopt;
    if (id == kEnd) return answer;
    const std::string_view value = pairs.substr(0, length);
    pairs.remove_prefix(length);
    if (id == kFlags) {
      if (length != 4) return std::nullopt;
      answer.announces_mic = (Little(value, 0, 4) & kFlagMic) != 0;
    } else if (id == kChannelBindings) {
      if (length != 16) return std::nullopt;
      const bool none = value.find_first_not_of('\0') == value.npos;
      answer.channel_binding = none ? std::string_view() : value;
    }
  }
}

std::string WriteNtlmChallenge(const NtlmChallenge& challenge) {
  const std::string name = ToUtf16(challenge.target_name);
  const bool unicode = (challenge.flags & kNtlmUnicode) != 0;
  const std::string_view target = unicode ? std::string_view(name) : challenge.target_name;
  std::string timestamp;
  Append(challenge.timestamp, 8, &timestamp);
  std::string pairs;
  AppendPair(kDomainName, name, &pairs);
  AppendPair(kComputerName, name, &pairs);
  AppendPair(kTimestamp, timestamp, &pairs);
  AppendPair(kEnd, "", &pairs);

  std::string out(kSignature);
  Append(kChallenge, 4, &out);
  const auto field = [&](std::string_view value, size_t offset) {
    Append(value.size(), 2, &out);
    Append(value.size(), 2, &out);
    Append(offset, 4, &out);
  };
  field(target, kChallengeHeader);
  Append(challenge.flags, 4, &out);
  out.append(reinterpret_cast<const char*>(challenge.challenge.data()), challenge.challenge.size());
  Append(0, 8, &out);
  field(pairs, kChallengeHeader + target.size());
  // Version: of the protocol alone ([MS-NLMP] 2.2.2.10: NTLMSSP_REVISION_W2K3).
  Append(0, 7, &out);
  Append(0x0f, 1, &out);
  return out.append(target).append(pairs);
}

}  // namespace gatepost::sasl
