// Any message that protobuf parses goes through validation without a crash; what is accepted is a fixed point: accepted
// again, unchanged, with every field at an effective value.
#include <cstddef>
#include <cstdint>
#include <string>

#include "gatepost/config/v1/certificate.pb.h"
#include "gatepost/config/v1/virtual_server.pb.h"
#include "services/base/check.h"
#include "services/config/validate.h"

namespace config = gatepost::config;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0 && data[0] == 0xff) {
    config::v1::Certificate certificate;
    if (!certificate.ParseFromArray(data + 1, static_cast<int>(size - 1))) return 0;
    config::Violations violations;
    config::ValidateCertificate(&certificate, false, &violations);
    return 0;
  }
  config::v1::VirtualServer server;
  if (!server.ParseFromArray(data, static_cast<int>(size))) return 0;
  server.set_name("virtualServers/fuzz");
  config::Violations violations;
  config::NormalizeAndValidate(&server, &violations);
  if (!violations.empty()) return 0;
  const std::string once = server.SerializeAsString();
  config::NormalizeAndValidate(&server, &violations);
  GATEPOST_CHECK(violations.empty());
  GATEPOST_CHECK(server.SerializeAsString() == once);
  return 0;
}
