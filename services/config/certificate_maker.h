// What the config service needs to know and make of certificates, without BoringSSL: implemented on tls/ in
// certificate_maker.cc. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gatepost/config/v1/certificate.pb.h"
#include "services/base/clock.h"
#include "services/config/violations.h"

namespace gatepost::config {

class CertificateMaker {
 public:
  explicit CertificateMaker(const base::Clock& clock) : clock_(clock) {}

  struct Made {
    std::string chain_pem;
    std::string key_pem;
  };
  // By a valid specification.
  absl::StatusOr<Made> MakeSelfSigned(const v1::SelfSigned& spec) const;

  // A key and a request for a CA to sign it, by a valid specification.
  struct Request {
    std::string pem;
    std::string key_pem;
  };
  absl::StatusOr<Request> MakeSigningRequest(const v1::SigningRequest& spec) const;

  // A CA's answer to such a request: the chain as in Judge(), of the request's key, for all its names.
  // Violations name `certificate_chain_pem`.
  void JudgeAnswer(std::string_view chain_pem, std::string_view key_pem, const v1::SigningRequest& asked,
                   v1::CertificateFacts* facts, Violations* violations) const;

  // Reads the first certificate of a chain, checks the chain's form and that the key is the certificate's.
  // Violations name the fields of `certificate`.
  void Judge(std::string_view chain_pem, std::string_view key_pem, v1::CertificateFacts* facts,
             Violations* violations) const;

  // A bundle of CAs, or nothing.
  void JudgeCaBundle(std::string_view bundle_pem, const std::string& field, Violations* violations) const;

 private:
  const base::Clock& clock_;
};

}  // namespace gatepost::config
