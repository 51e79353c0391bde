// Addresses, prefixes, ranges and endpoints from any text: what is accepted is written canonically, and read again is the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "services/base/check.h"
#include "services/base/ip_address.h"

namespace {

template <typename T>
void RoundTrip(std::string_view text) {
  const absl::StatusOr<T> value = T::Parse(text);
  if (!value.ok()) return;
  const absl::StatusOr<T> again = T::Parse(value->ToString());
  GATEPOST_CHECK(again.ok() && again->ToString() == value->ToString());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  RoundTrip<gatepost::base::IpAddress>(text);
  RoundTrip<gatepost::base::IpPrefix>(text);
  RoundTrip<gatepost::base::IpRange>(text);
  RoundTrip<gatepost::base::Endpoint>(text);
  return 0;
}
