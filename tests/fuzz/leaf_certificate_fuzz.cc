// A peer's certificate: the reader of DER on any octets, as they come and in the place of a PEM text's contents.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "services/base/base64.h"
#include "services/base/check.h"
#include "services/base/strings.h"
#include "services/rpc/leaf_certificate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view octets(reinterpret_cast<const char*>(data), size);
  gatepost::rpc::ReadLeaf(octets).IgnoreError();
  const auto facts = gatepost::rpc::ReadLeaf(gatepost::base::StrCat(
      "-----BEGIN CERTIFICATE-----\n", gatepost::base::Base64Encode(octets), "\n-----END CERTIFICATE-----\n"));
  if (!facts.ok()) return 0;
  // What was read lies within what was given.
  size_t total = 0;
  for (const std::string& uri : facts->uris) {
    GATEPOST_CHECK(octets.find(uri) != octets.npos);
    total += uri.size();
  }
  GATEPOST_CHECK(total <= octets.size() && facts->uris.size() <= 100);
  return 0;
}
