// threats.md A11. The client is the test's own; real ones are in tests/interop.
#include "services/sasl/ntlm.h"

#include <gtest/gtest.h>
#include <nettle/arcfour.h>

#include "services/base/strings.h"
#include "services/sasl/nt_hash.h"
#include "services/sasl/ntlm_message.h"

namespace gatepost::sasl {
namespace {

using std::string_literals::operator""s;

std::string Hex(std::string_view text) {
  std::string octets;
  EXPECT_TRUE(base::HexDecode(text, &octets)) << text;
  return octets;
}
std::string Text(const Md5& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }
std::string Little(uint64_t value, size_t octets) {
  std::string out;
  for (size_t i = 0; i < octets; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  return out;
}
std::string Pair(uint16_t id, const std::string& value) { return Little(id, 2) + Little(value.size(), 2) + value; }

constexpr uint32_t kClientFlags = kNtlmUnicode | kNtlmNtlm | kNtlmExtendedSecurity | kNtlmKeyExchange | kNtlm128;
const NtHash kHash = NtHashOf("Password");

std::string Negotiate(uint32_t flags = kClientFlags) {
  return "NTLMSSP\0\1\0\0\0"s + Little(flags, 4) + std::string(16, '\0');
}

// Everything that a client may say, and get wrong.
struct Client {
  std::string user = "User", domain = "Domain", password = "Password";
  uint32_t flags = kClientFlags;
  bool announce_mic = true;
  bool spoil_mic = false;
  bool send_room = true;
  std::string binding;      // the AV pair's; empty: no such pair
  std::string nt_response;  // instead of its own
  std::string negotiate = Negotiate();

  // The answer to a challenge.
  std::string Authenticate(const std::string& challenge) const {
    const std::string wide_user = (flags & kNtlmUnicode) != 0 ? ToUtf16(user) : user;
    const std::string wide_domain = (flags & kNtlmUnicode) != 0 ? ToUtf16(domain) : domain;
    std::string blob =
        "\1\1"s + std::string(6, '\0') + Little(7, 8) + "clientch" + Little(0, 4) + Pair(2, ToUtf16("GATEPOST"));
    if (announce_mic) blob += Pair(6, Little(2, 4));
    if (!binding.empty()) blob += Pair(10, binding);
    blob += Pair(0, "") + Little(0, 4);
    const Md5 key = NtlmV2Key(NtHashOf(password), ToUtf16(user), ToUtf16(domain));
    const Md5 proof = HmacMd5(Text(key), challenge.substr(24, 8) + blob);
    const std::string response = nt_response.empty() ? Text(proof) + blob : nt_response;
    const Md5 session = HmacMd5(Text(key), Text(proof));
    std::string exported = Text(session), sent_key;
    if ((flags & kNtlmKeyExchange) != 0) {
      exported = "0123456789abcdef";
      sent_key = std::string(16, '\0');
      arcfour_ctx context;
      arcfour_set_key(&context, session.size(), session.data());
      arcfour_crypt(&context, 16, reinterpret_cast<uint8_t*>(sent_key.data()),
                    reinterpret_cast<const uint8_t*>(exported.data()));
    }
    const size_t header = send_room ? 88 : 64;
    std::string out = "NTLMSSP\0\3\0\0\0"s, payload;
    const auto field = [&](const std::string& value) {
      out += Little(value.size(), 2) + Little(value.size(), 2) + Little(header + payload.size(), 4);
      payload += value;
    };
    field("");
    field(response);
    field(wide_domain);
    field(wide_user);
    field("");
    field(sent_key);
    out += Little(flags, 4);
    if (send_room) out += std::string(24, '\0');
    out += payload;
    if (send_room && announce_mic) {
      std::string mic = Text(HmacMd5(exported, negotiate + challenge + out));
      if (spoil_mic) mic[3] ^= 1;
      out.replace(72, 16, mic);
    }
    return out;
  }
};

NtlmOptions Options() {
  NtlmOptions options;
  options.challenge = {1, 2, 3, 4, 5, 6, 7, 8};
  options.timestamp = 133'000'000'000'000'000;
  return options;
}

// "proved LOGIN", or why not.
std::string Try(const Client& client, const NtlmOptions& options = Options(), const NtHash& hash = kHash) {
  const auto mechanism = MakeNtlm(options);
  Step step = mechanism->First(client.negotiate);
  if (auto* rejected = std::get_if<Rejected>(&step)) return "at once: " + std::string(rejected->reason);
  step = mechanism->Next(client.Authenticate(std::get<Challenge>(step).octets));
  if (auto* need = std::get_if<NeedSecret>(&step)) {
    EXPECT_EQ(need->kind, SecretKind::kNtHash);
    EXPECT_EQ(need->login, client.user);
    step = mechanism->Provide(hash);
  }
  if (auto* rejected = std::get_if<Rejected>(&step)) return std::string(rejected->reason);
  if (auto* proved = std::get_if<Proved>(&step)) return "proved " + proved->login;
  return "?";
}

// [MS-NLMP] 4.2.4.
TEST(NtHashTest, AgreesWithThePublishedExample) {
  EXPECT_EQ(Text({kHash}), Hex("a4f49c406510bdcab6824ee7c30fd852"));
  const Md5 key = NtlmV2Key(kHash, ToUtf16("User"), ToUtf16("Domain"));
  EXPECT_EQ(Text(key), Hex("0c868a403bfd7a93a3001ef22ef02e3f"));
  const std::string blob = Hex("0101000000000000") + std::string(8, '\0') + std::string(8, '\xaa') +
                           std::string(4, '\0') + Pair(2, ToUtf16("Domain")) + Pair(1, ToUtf16("Server")) +
                           std::string(8, '\0');
  const Md5 proof = HmacMd5(Text(key), Hex("0123456789abcdef") + blob);
  EXPECT_EQ(Text(proof), Hex("68cd0ab851e51c96aabc927bebef6a1c"));
  EXPECT_EQ(Text(HmacMd5(Text(key), Text(proof))), Hex("8de40ccadbc14a82f15cb0ad0de95ca3"));
}

TEST(NtHashTest, Utf16GoesThereAndBack) {
  for (const std::string& text : {""s, "abc"s, "\xc3\xa9"s, "\xf0\x9f\x98\x80!"s})
    EXPECT_EQ(FromUtf16(ToUtf16(text)), text);
  EXPECT_EQ(ToUtf16("\xf0\x9f\x98\x80"), "\x3d\xd8\x00\xde"s);
  for (const std::string& bad : {"a"s, "\x3d\xd8"s, "\x00\xde"s, "\x3d\xd8\x41\x00"s}) EXPECT_EQ(FromUtf16(bad), "");
  EXPECT_EQ(UpperUtf16(ToUtf16("us\xc3\xa9r")), ToUtf16("US\xc3\x89R"));
}

TEST(NtlmTest, TheChallengeSaysWhoWeAreAndNothingElse) {
  const auto mechanism = MakeNtlm(Options());
  const Step step = mechanism->First(Negotiate());
  const std::string& octets = std::get<Challenge>(step).octets;
  EXPECT_EQ(octets.substr(0, 12), "NTLMSSP\0\2\0\0\0"s);
  EXPECT_EQ(octets.substr(24, 8), "\1\2\3\4\5\6\7\x08"s);
  const std::string name = ToUtf16("GATEPOST");
  EXPECT_EQ(octets.substr(56),
            name + Pair(2, name) + Pair(1, name) + Pair(7, Little(Options().timestamp, 8)) + Pair(0, ""));
}

TEST(NtlmTest, ProvesWhoKnowsThePassword) {
  EXPECT_EQ(Try({}), "proved User");
  EXPECT_EQ(Try({.password = "password"}), "wrong_password");
  EXPECT_EQ(Try({.user = "\xc3\xa9l\xc3\xa8ve@example.com"}), "proved \xc3\xa9l\xc3\xa8ve@example.com");
  EXPECT_EQ(Try({.domain = ""}), "proved User");
  EXPECT_EQ(Try({}, Options(), NtHash{}), "wrong_password");
}

TEST(NtlmTest, ANegotiateMayAnswerAnEmptyChallenge) {
  const auto mechanism = MakeNtlm(Options());
  EXPECT_TRUE(std::holds_alternative<Challenge>(mechanism->First(std::nullopt)));
  EXPECT_TRUE(std::holds_alternative<Challenge>(mechanism->Next(Negotiate())));
}

TEST(NtlmTest, AClientOfOemSpeaksAscii) {
  EXPECT_EQ(Try({.flags = kNtlmOem | kNtlmNtlm, .negotiate = Negotiate(kNtlmOem | kNtlmNtlm)}), "proved User");
  EXPECT_EQ(Try({.user = "us\xe9r", .flags = kNtlmOem | kNtlmNtlm, .negotiate = Negotiate(kNtlmOem | kNtlmNtlm)}),
            "ntlm_message");
}

TEST(NtlmTest, TheMicIsVerifiedWhereItIsAnnounced) {
  EXPECT_EQ(Try({.spoil_mic = true}), "mic");
  EXPECT_EQ(Try({.flags = kClientFlags & ~kNtlmKeyExchange}), "proved User");
  EXPECT_EQ(Try({.flags = kClientFlags & ~kNtlmKeyExchange, .spoil_mic = true}), "mic");
  EXPECT_EQ(Try({.announce_mic = true, .send_room = false}), "mic");
  EXPECT_EQ(Try({.announce_mic = false}), "proved User");
  EXPECT_EQ(Try({.announce_mic = false, .send_room = false}), "proved User");
}

TEST(NtlmTest, TheMicCanBeRequired) {
  NtlmOptions options = Options();
  options.require_mic = true;
  EXPECT_EQ(Try({.announce_mic = false}, options), "mic_missing");
  EXPECT_EQ(Try({}, options), "proved User");
}

// What a relay changed on the way shows in the MIC.
TEST(NtlmTest, TheMicCoversTheNegotiate) {
  const auto mechanism = MakeNtlm(Options());
  const Step step = mechanism->First(Negotiate(kClientFlags | kNtlmSign));
  const Client client;  // believes that it sent its own
  EXPECT_TRUE(
      std::holds_alternative<NeedSecret>(mechanism->Next(client.Authenticate(std::get<Challenge>(step).octets))));
  const Step last = mechanism->Provide(kHash);
  ASSERT_TRUE(std::holds_alternative<Rejected>(last));
  EXPECT_EQ(std::get<Rejected>(last).reason, "mic");
}

TEST(NtlmTest, TheBindingIsJudgedByItsMode) {
  const std::string ours(32, 'h'), other(32, 'x');
  const auto judge = [&](BindingMode mode, const std::string& end_point, const std::string& sent) {
    NtlmOptions options = Options();
    options.binding = mode;
    options.end_point = end_point;
    return Try({.binding = sent}, options);
  };
  const std::string right = NtlmChannelBinding(ours), wrong = NtlmChannelBinding(other), none(16, '\0');
  EXPECT_EQ(judge(BindingMode::kOff, ours, wrong), "proved User");
  EXPECT_EQ(judge(BindingMode::kWhenSupported, ours, right), "proved User");
  EXPECT_EQ(judge(BindingMode::kWhenSupported, ours, ""), "proved User");
  EXPECT_EQ(judge(BindingMode::kWhenSupported, ours, none), "proved User");
  EXPECT_EQ(judge(BindingMode::kWhenSupported, ours, wrong), "binding");
  EXPECT_EQ(judge(BindingMode::kWhenSupported, "", right), "binding");
  EXPECT_EQ(judge(BindingMode::kRequired, ours, right), "proved User");
  EXPECT_EQ(judge(BindingMode::kRequired, ours, ""), "binding_missing");
  EXPECT_EQ(judge(BindingMode::kRequired, ours, none), "binding_missing");
  EXPECT_EQ(judge(BindingMode::kRequired, ours, wrong), "binding");
  EXPECT_EQ(judge(BindingMode::kRequired, "", ""), "binding_missing");
}

TEST(NtlmTest, VersionOneIsRefusedUnseen) {
  EXPECT_EQ(Try({.nt_response = std::string(24, 'v')}), "ntlm_v1");
  EXPECT_EQ(Try({.nt_response = std::string(23, 'v')}), "ntlm_message");
}

// An AUTHENTICATE proves something for the challenge that it answers.
TEST(NtlmTest, AReplayProvesNothing) {
  const Client client;
  const auto first = MakeNtlm(Options());
  const std::string answer = client.Authenticate(std::get<Challenge>(first->First(Negotiate())).octets);
  NtlmOptions options = Options();
  options.challenge[0] ^= 1;
  const auto second = MakeNtlm(options);
  second->First(Negotiate());
  EXPECT_TRUE(std::holds_alternative<NeedSecret>(second->Next(answer)));
  EXPECT_TRUE(std::holds_alternative<Rejected>(second->Provide(kHash)));
}

TEST(NtlmTest, MessagesOutOfOrderAreRefused) {
  const Client client;
  const std::string answer = client.Authenticate(std::string(64, '\0'));
  EXPECT_TRUE(std::holds_alternative<Rejected>(MakeNtlm(Options())->First(answer)));
  const auto twice = MakeNtlm(Options());
  twice->First(Negotiate());
  EXPECT_TRUE(std::holds_alternative<Rejected>(twice->Next(Negotiate())));
  EXPECT_TRUE(std::holds_alternative<Malformed>(twice->Next(answer)));
  EXPECT_TRUE(std::holds_alternative<Malformed>(MakeNtlm(Options())->Provide(kHash)));
  for (const std::string& junk : {""s, "NTLMSSP"s, "NTLMSSP\0\1\0\0"s, "x"s, std::string(kMostOctets + 1, 'x')}) {
    EXPECT_TRUE(std::holds_alternative<Rejected>(MakeNtlm(Options())->First(junk)));
  }
}

// CVE-2023-42116 and its like: every length and offset at its bound and one beyond.
TEST(NtlmMessageTest, FieldsLieInsideTheMessage) {
  const std::string good = Client{}.Authenticate(std::string(64, '\0'));
  ASSERT_TRUE(ParseNtlmAuthenticate(good));
  for (const size_t at : {12u, 20u, 28u, 36u, 44u, 52u}) {
    const auto with = [&](uint64_t length, uint64_t offset) {
      std::string message = good;
      message.replace(at, 2, Little(length, 2));
      message.replace(at + 4, 4, Little(offset, 4));
      return ParseNtlmAuthenticate(message).has_value();
    };
    EXPECT_TRUE(with(2, good.size() - 2)) << at;
    EXPECT_FALSE(with(3, good.size() - 2)) << at;
    EXPECT_FALSE(with(1, good.size())) << at;
    EXPECT_FALSE(with(1, 0xffffffff)) << at;
    EXPECT_FALSE(with(0xffff, 64)) << at;
    EXPECT_FALSE(with(2, 63)) << at;  // in the header
    EXPECT_TRUE(with(0, 0xffffffff)) << at;
  }
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(ParseNtlmAuthenticate(std::string_view(good).substr(0, size)));
}

TEST(NtlmMessageTest, PairsLieInsideTheAnswerAndEnd) {
  const std::string head = std::string(16, 'p') + "\1\1"s + std::string(26, '\0');
  EXPECT_TRUE(ParseNtlmV2Answer(head + Pair(0, "")));
  EXPECT_FALSE(ParseNtlmV2Answer(head)) << "no end";
  EXPECT_FALSE(ParseNtlmV2Answer(head + Pair(2, "ab"))) << "no end";
  EXPECT_FALSE(ParseNtlmV2Answer(head + "\2\0\3\0ab"s)) << "beyond the end";
  EXPECT_FALSE(ParseNtlmV2Answer(head + Pair(6, "abc") + Pair(0, ""))) << "flags of 3 octets";
  EXPECT_FALSE(ParseNtlmV2Answer(head + Pair(10, std::string(15, 'b')) + Pair(0, "")));
  EXPECT_FALSE(ParseNtlmV2Answer(std::string(16, 'p') + "\2\1"s + std::string(26, '\0') + Pair(0, "")));
}

}  // namespace
}  // namespace gatepost::sasl
