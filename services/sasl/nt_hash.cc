#include "services/sasl/nt_hash.h"

#include <nettle/hmac.h>
#include <nettle/md4.h>
#include <nettle/md5.h>
#include <string.h>
#include <unicase.h>
#include <unistr.h>

#include "services/base/strings.h"

namespace gatepost::sasl {
namespace {

const uint8_t* Octets(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

void AppendUnit(uint32_t unit, std::string* out) {
  out->push_back(static_cast<char>(unit & 0xff));
  out->push_back(static_cast<char>(unit >> 8));
}

uint32_t UnitAt(std::string_view octets, size_t at) {
  return static_cast<uint8_t>(octets[at]) | static_cast<uint32_t>(static_cast<uint8_t>(octets[at + 1])) << 8;
}

}  // namespace

std::string ToUtf16(std::string_view text) {
  std::string out;
  out.reserve(text.size() * 2);
  while (!text.empty()) {
    ucs4_t point = 0;
    const int octets = u8_mbtoucr(&point, Octets(text), text.size());
    if (octets <= 0) return std::string();
    text.remove_prefix(static_cast<size_t>(octets));
    if (point < 0x10000) {
      AppendUnit(point, &out);
    } else {
      AppendUnit(0xd800 + ((point - 0x10000) >> 10), &out);
      AppendUnit(0xdc00 + ((point - 0x10000) & 0x3ff), &out);
    }
  }
  return out;
}

std::string FromUtf16(std::string_view octets) {
  if (octets.size() % 2 != 0) return std::string();
  std::string out;
  for (size_t i = 0; i < octets.size(); i += 2) {
    ucs4_t point = UnitAt(octets, i);
    if (point >= 0xd800 && point < 0xdc00) {
      i += 2;
      const uint32_t low = i < octets.size() ? UnitAt(octets, i) : 0;
      if (low < 0xdc00 || low > 0xdfff) return std::string();
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    }
    std::array<uint8_t, 6> utf8;
    const int length = u8_uctomb(utf8.data(), point, utf8.size());
    if (length <= 0) return std::string();
    out.append(reinterpret_cast<const char*>(utf8.data()), static_cast<size_t>(length));
  }
  return out;
}

std::string UpperUtf16(std::string_view octets) {
  std::string out;
  for (size_t i = 0; i + 1 < octets.size(); i += 2) {
    const uint32_t unit = UnitAt(octets, i);
    const uint32_t upper = uc_toupper(unit);
    AppendUnit(upper < 0x10000 ? upper : unit, &out);
  }
  return out;
}

NtHash NtHashOf(std::string_view password) {
  std::string text = ToUtf16(password);
  md4_ctx context;
  md4_init(&context);
  md4_update(&context, text.size(), Octets(text));
  NtHash hash;
  md4_digest(&context, hash.size(), hash.data());
  explicit_bzero(&context, sizeof context);
  if (!text.empty()) explicit_bzero(text.data(), text.size());
  return hash;
}

Md5 HmacMd5(std::string_view key, std::string_view text) {
  hmac_md5_ctx context;
  hmac_md5_set_key(&context, key.size(), Octets(key));
  hmac_md5_update(&context, text.size(), Octets(text));
  Md5 digest;
  hmac_md5_digest(&context, digest.size(), digest.data());
  explicit_bzero(&context, sizeof context);
  return digest;
}

Md5 Md5Of(std::string_view text) {
  md5_ctx context;
  md5_init(&context);
  md5_update(&context, text.size(), Octets(text));
  Md5 digest;
  md5_digest(&context, digest.size(), digest.data());
  return digest;
}

Md5 NtlmV2Key(const NtHash& hash, std::string_view user, std::string_view domain) {
  return HmacMd5({reinterpret_cast<const char*>(hash.data()), hash.size()}, UpperUtf16(user).append(domain));
}

}  // namespace gatepost::sasl
