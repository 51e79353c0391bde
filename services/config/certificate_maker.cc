#include "services/config/certificate_maker.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/config/limits.h"
#include "services/config/timestamp.h"
#include "services/tls/certificate.h"

namespace gatepost::config {
namespace {

v1::Certificate::KeyType ToProto(tls::KeyType type) {
  switch (type) {
    case tls::KeyType::kEcdsaP256:
      return v1::Certificate::ECDSA_P256;
    case tls::KeyType::kEcdsaP384:
      return v1::Certificate::ECDSA_P384;
    case tls::KeyType::kRsa:
      return v1::Certificate::RSA;
  }
  return v1::Certificate::KEY_TYPE_UNSPECIFIED;
}

void ToProto(const tls::CertificateFacts& from, v1::CertificateFacts* to) {
  to->set_subject(from.subject);
  to->set_issuer(from.issuer);
  to->mutable_dns_names()->Assign(from.dns_names.begin(), from.dns_names.end());
  to->mutable_ip_addresses()->Assign(from.addresses.begin(), from.addresses.end());
  *to->mutable_not_before() = ToTimestamp(from.not_before);
  *to->mutable_not_after() = ToTimestamp(from.not_after);
  to->set_key_type(ToProto(from.key_type));
  to->set_sha256_fingerprint(from.sha256_hex);
}

std::string_view Message(const absl::Status& status) { return base::FromAbsl(status.message()); }

absl::StatusOr<std::string> MakeKey(v1::Certificate::KeyType type) {
  return tls::GenerateKey(type == v1::Certificate::RSA ? tls::KeyType::kRsa : tls::KeyType::kEcdsaP256);
}

// Whether one of a certificate's names stands for `name` (RFC 6125 6.4.3). Both as certificates have them.
bool Covers(const tls::CertificateFacts& certificate, std::string_view name) {
  const size_t dot = name.find('.');
  return std::any_of(certificate.dns_names.begin(), certificate.dns_names.end(), [&](std::string_view has) {
    if (base::EqualsIgnoreCase(has, name)) return true;
    return has.starts_with("*.") && dot != std::string_view::npos && dot > 0 &&
           base::EqualsIgnoreCase(has.substr(1), name.substr(dot));
  });
}

}  // namespace

absl::StatusOr<CertificateMaker::Made> CertificateMaker::MakeSelfSigned(const v1::SelfSigned& spec) const {
  Made made;
  GATEPOST_ASSIGN_OR_RETURN(made.key_pem, MakeKey(spec.key_type()));
  tls::SelfSignedOptions options;
  options.common_name = spec.dns_names(0);
  options.dns_names.assign(spec.dns_names().begin(), spec.dns_names().end());
  options.days = static_cast<int>(spec.valid_days());
  options.now = clock_.WallNow();
  GATEPOST_ASSIGN_OR_RETURN(made.chain_pem, tls::SelfSign(made.key_pem, options));
  return made;
}

absl::StatusOr<CertificateMaker::Request> CertificateMaker::MakeSigningRequest(const v1::SigningRequest& spec) const {
  Request request;
  GATEPOST_ASSIGN_OR_RETURN(request.key_pem, MakeKey(spec.key_type()));
  tls::SigningRequestOptions options;
  options.dns_names.assign(spec.dns_names().begin(), spec.dns_names().end());
  if (options.dns_names.front().size() <= kMaxCommonNameOctets) options.common_name = options.dns_names.front();
  options.organization = spec.subject().organization();
  options.organizational_unit = spec.subject().organizational_unit();
  options.locality = spec.subject().locality();
  options.state_or_province = spec.subject().state_or_province();
  options.country = spec.subject().country();
  GATEPOST_ASSIGN_OR_RETURN(request.pem, tls::MakeSigningRequest(request.key_pem, options));
  return request;
}

void CertificateMaker::JudgeAnswer(std::string_view chain_pem, std::string_view key_pem, const v1::SigningRequest& asked,
                                   v1::CertificateFacts* facts, Violations* violations) const {
  const std::string field = "certificate_chain_pem";
  const absl::StatusOr<std::vector<tls::CertificateFacts>> chain = tls::ParseChain(chain_pem);
  if (!chain.ok()) {
    violations->Add(field, Message(chain.status()));
    return;
  }
  const tls::CertificateFacts& leaf = chain->front();
  ToProto(leaf, facts);
  if (!tls::KeyMatches(chain_pem, key_pem).ok())
    violations->Add(field, "the first certificate is not for the key of the request that is waiting");
  for (const tls::CertificateFacts& certificate : *chain) {
    if (certificate.not_after <= clock_.WallNow()) violations->Add(field, base::StrCat(certificate.subject, " has expired"));
  }
  if (leaf.is_ca) violations->Add(field, "the first certificate is a CA's");
  for (const std::string& name : asked.dns_names()) {
    if (!Covers(leaf, name)) violations->Add(field, base::StrCat("is not for ", name, ", which was asked for"));
  }
}

void CertificateMaker::Judge(std::string_view chain_pem, std::string_view key_pem, v1::CertificateFacts* facts,
                             Violations* violations) const {
  const absl::StatusOr<std::vector<tls::CertificateFacts>> chain = tls::ParseChain(chain_pem);
  if (chain.ok()) {
    ToProto(chain->front(), facts);
    if (chain->front().not_after <= clock_.WallNow())
      violations->Add("certificate.certificate_chain_pem", "has expired");
  } else {
    violations->Add("certificate.certificate_chain_pem", Message(chain.status()));
  }
  if (const absl::StatusOr<tls::KeyFacts> key = tls::ParseKey(key_pem); !key.ok()) {
    violations->Add("certificate.private_key_pem", Message(key.status()));
  } else if (chain.ok()) {
    if (const absl::Status matches = tls::KeyMatches(chain_pem, key_pem); !matches.ok())
      violations->Add("certificate.private_key_pem", "is not the certificate's");
  }
}

void CertificateMaker::JudgeCaBundle(std::string_view bundle_pem, const std::string& field, Violations* violations) const {
  if (bundle_pem.empty()) return;
  if (const absl::Status status = tls::CheckCaBundle(bundle_pem); !status.ok()) violations->Add(field, Message(status));
}

}  // namespace gatepost::config
