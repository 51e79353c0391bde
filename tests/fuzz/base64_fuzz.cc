// Base64 of a SASL exchange: what is accepted is exactly what our encoder writes of it, and what it writes is accepted (RFC
// 4648 section 4; CVE-2018-6789 is a decoder whose buffer was short for some lengths).
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "services/base/base64.h"
#include "services/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view octets(reinterpret_cast<const char*>(data), size);
  const std::optional<std::string> decoded = gatepost::base::Base64Decode(octets);
  if (decoded) GATEPOST_CHECK(gatepost::base::Base64Encode(*decoded) == octets);
  const std::string text = gatepost::base::Base64Encode(octets);
  GATEPOST_CHECK(text.size() == (size + 2) / 3 * 4 && gatepost::base::Base64Decode(text) == octets);
  return 0;
}
