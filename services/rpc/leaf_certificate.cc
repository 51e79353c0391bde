#include "services/rpc/leaf_certificate.h"

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <optional>

#include "services/base/base64.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::rpc {
namespace {

constexpr size_t kMaxPem = 64 << 10;
constexpr size_t kMaxNames = 100;
constexpr int kFirstYear = 1950;
constexpr int kLastYear = 2200;

// Tags, X.690. Context-specific ones as X.509 uses them.
constexpr uint8_t kBoolean = 0x01, kInteger = 0x02, kOctetString = 0x04, kOid = 0x06, kUtcTime = 0x17,
                  kGeneralizedTime = 0x18, kSequence = 0x30;
constexpr uint8_t kVersion = 0xa0, kExtensions = 0xa3, kUriName = 0x86;
constexpr std::string_view kBasicConstraints("\x55\x1d\x13", 3);
constexpr std::string_view kSubjectAltName("\x55\x1d\x11", 3);

absl::Status Malformed(std::string_view what) {
  return absl::InvalidArgumentError(base::StrCat("not a certificate: ", what));
}

// Elements one behind the other.
class DerReader {
 public:
  explicit DerReader(std::string_view octets) : rest_(octets) {}
  bool empty() const { return rest_.empty(); }
  uint8_t tag() const { return rest_.empty() ? 0 : static_cast<uint8_t>(rest_[0]); }

  // The contents of the next element, if it has that tag.
  std::optional<std::string_view> Next(uint8_t wanted) {
    if (tag() != wanted || rest_.size() < 2) return std::nullopt;
    size_t length = static_cast<uint8_t>(rest_[1]);
    size_t header = 2;
    if (length >= 0x80) {
      const size_t digits = length & 0x7f;
      if (digits == 0 || digits > 3 || rest_.size() < 2 + digits) return std::nullopt;
      length = 0;
      for (size_t i = 0; i < digits; ++i) length = length << 8 | static_cast<uint8_t>(rest_[2 + i]);
      header += digits;
    }
    if (length > rest_.size() - header) return std::nullopt;
    const std::string_view contents = rest_.substr(header, length);
    rest_.remove_prefix(header + length);
    return contents;
  }

 private:
  std::string_view rest_;
};

std::optional<base::WallTime> ParseTime(uint8_t tag, std::string_view text) {
  const size_t year_digits = tag == kUtcTime ? 2 : 4;
  if (text.size() != year_digits + 11 || text.back() != 'Z') return std::nullopt;
  auto number = [&](size_t at, size_t digits) {
    int value = 0;
    for (size_t i = at; i < at + digits; ++i) {
      if (!base::IsDigit(text[i])) return -1;
      value = value * 10 + (text[i] - '0');
    }
    return value;
  };
  int year = number(0, year_digits);
  if (tag == kUtcTime && year >= 0) year += year < 50 ? 2000 : 1900;
  const int month = number(year_digits, 2), day = number(year_digits + 2, 2);
  const int hour = number(year_digits + 4, 2), minute = number(year_digits + 6, 2), second = number(year_digits + 8, 2);
  if (year < kFirstYear || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 ||
      minute > 59 || second < 0 || second > 60) {
    return std::nullopt;
  }
  std::tm time = {};
  // "99991231235959Z" means for ever (RFC 5280 4.1.2.5), and is more than a WallTime holds.
  time.tm_year = std::min(year, kLastYear) - 1900;
  time.tm_mon = month - 1;
  time.tm_mday = day;
  time.tm_hour = hour;
  time.tm_min = minute;
  time.tm_sec = second;
  return std::chrono::system_clock::from_time_t(timegm(&time));
}

absl::Status ReadExtensions(std::string_view octets, LeafFacts* facts) {
  DerReader list(octets);
  while (!list.empty()) {
    const auto extension = list.Next(kSequence);
    if (!extension) return Malformed("an extension");
    DerReader parts(*extension);
    const auto oid = parts.Next(kOid);
    if (!oid) return Malformed("an extension's identifier");
    if (parts.tag() == kBoolean && !parts.Next(kBoolean)) return Malformed("an extension's criticality");
    const auto value = parts.Next(kOctetString);
    if (!value) return Malformed("an extension's value");
    DerReader inside(*value);
    if (*oid == kBasicConstraints) {
      const auto constraints = inside.Next(kSequence);
      if (!constraints) return Malformed("basic constraints");
      DerReader fields(*constraints);
      if (fields.tag() == kBoolean) {
        const auto ca = fields.Next(kBoolean);
        if (!ca || ca->size() != 1) return Malformed("basic constraints");
        facts->is_ca = (*ca)[0] != '\0';
      }
    } else if (*oid == kSubjectAltName) {
      const auto names = inside.Next(kSequence);
      if (!names) return Malformed("subject alternative names");
      DerReader reader(*names);
      for (size_t count = 0; !reader.empty(); ++count) {
        if (count == kMaxNames) return Malformed("over 100 names");
        const uint8_t tag = reader.tag();
        const auto name = reader.Next(tag);
        if (!name) return Malformed("a name");
        if (tag == kUriName) facts->uris.emplace_back(*name);
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<LeafFacts> ReadDer(std::string_view der) {
  DerReader outer(der);
  const auto certificate = outer.Next(kSequence);
  if (!certificate) return Malformed("its outer form");
  DerReader parts(*certificate);
  const auto to_be_signed = parts.Next(kSequence);
  if (!to_be_signed) return Malformed("its contents");
  DerReader fields(*to_be_signed);
  if (fields.tag() == kVersion && !fields.Next(kVersion)) return Malformed("its version");
  if (!fields.Next(kInteger)) return Malformed("its serial number");
  if (!fields.Next(kSequence)) return Malformed("its algorithm");
  if (!fields.Next(kSequence)) return Malformed("its issuer");
  const auto validity = fields.Next(kSequence);
  if (!validity) return Malformed("its validity");
  DerReader times(*validity);
  if (!times.Next(times.tag())) return Malformed("its validity");
  const uint8_t tag = times.tag();
  if (tag != kUtcTime && tag != kGeneralizedTime) return Malformed("its validity");
  const auto end = times.Next(tag);
  const auto not_after = end ? ParseTime(tag, *end) : std::nullopt;
  if (!not_after) return Malformed("its validity");
  LeafFacts facts;
  facts.not_after = *not_after;
  if (!fields.Next(kSequence)) return Malformed("its subject");
  if (!fields.Next(kSequence)) return Malformed("its public key");
  while (!fields.empty()) {
    const uint8_t kind = fields.tag();
    const auto field = fields.Next(kind);
    if (!field) return Malformed("what follows its key");
    if (kind != kExtensions) continue;
    DerReader wrapped(*field);
    const auto extensions = wrapped.Next(kSequence);
    if (!extensions) return Malformed("its extensions");
    GATEPOST_RETURN_IF_ERROR(ReadExtensions(*extensions, &facts));
  }
  return facts;
}

}  // namespace

absl::StatusOr<LeafFacts> ReadLeaf(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  const size_t begin = pem.find(kBegin);
  const size_t end = begin == std::string_view::npos ? begin : pem.find(kEnd, begin);
  if (end == std::string_view::npos) return Malformed("no PEM text");
  if (end - begin > kMaxPem) return Malformed("over 64 KiB");
  std::string text;
  for (const char c : pem.substr(begin + kBegin.size(), end - begin - kBegin.size())) {
    if (c != '\n' && c != '\r') text.push_back(c);
  }
  const std::optional<std::string> der = base::Base64Decode(text);
  return der ? ReadDer(*der) : Malformed("its base64");
}

}  // namespace gatepost::rpc
