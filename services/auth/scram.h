// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677) by GNU SASL, from what is stored; the first message is read
// by sasl/scram_message.h before. Channel binding is tls-exporter (RFC 9266) alone.
#pragma once

#include <gsasl.h>

#include <memory>
#include <string>

#include "services/sasl/mechanism.h"

namespace gatepost::auth {

// The library's context, one for all exchanges and threads. Outlives the mechanisms.
class ScramServer {
 public:
  ScramServer();
  ~ScramServer();
  ScramServer(const ScramServer&) = delete;
  ScramServer& operator=(const ScramServer&) = delete;

  // `plus`: SCRAM-SHA-256-PLUS. `exporter`: the binding of the client's connection; empty: there is none, and then no
  // -PLUS: nullptr.
  std::unique_ptr<sasl::Mechanism> Make(bool plus, std::string exporter) const;

 private:
  Gsasl* context_ = nullptr;
};

}  // namespace gatepost::auth
