#include "services/config/repository.h"

#include <strings.h>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/config/validate.h"

namespace gatepost::config {
namespace {

using base::StrCat;

template <typename Resource>
absl::StatusOr<Resource> Parse(const store::Record& record) {
  Resource resource;
  if (!resource.ParseFromString(record.value)) return absl::DataLossError("a stored resource is damaged");
  resource.set_name(record.key);
  return resource;
}

template <typename Resource>
std::string Bare(Resource* resource) {
  resource->clear_name();
  resource->clear_etag();
  resource->clear_revision();
  return resource->SerializeAsString();
}

}  // namespace

std::string_view IdOf(std::string_view name) { return name.substr(name.find('/') + 1); }

absl::StatusOr<v1::VirtualServer> Repository::VirtualServerOf(const store::Record& record) const {
  GATEPOST_ASSIGN_OR_RETURN(v1::VirtualServer server, Parse<v1::VirtualServer>(record));
  Complete(&server, record.revision);
  return server;
}

absl::StatusOr<v1::Certificate> Repository::CertificateOf(const store::Record& record) const {
  GATEPOST_ASSIGN_OR_RETURN(v1::Certificate certificate, Parse<v1::Certificate>(record));
  Complete(&certificate, record.revision);
  return certificate;
}

void Repository::Complete(v1::VirtualServer* server, int64_t revision) const {
  server->set_revision(revision);
  server->set_etag(Etag(revision));
}

void Repository::Complete(v1::Certificate* certificate, int64_t revision) const {
  certificate->clear_private_key_pem();
  certificate->set_revision(revision);
  certificate->set_etag(Etag(revision));
}

std::string Repository::Stored(v1::VirtualServer server) { return Bare(&server); }

std::string Repository::Stored(v1::Certificate certificate) {
  certificate.clear_private_key_pem();
  return Bare(&certificate);
}

absl::StatusOr<v1::CertificateKey> Repository::CertificateKeyOf(const store::Record& record) const {
  GATEPOST_ASSIGN_OR_RETURN(std::string pem, key_.Open(record.key, record.value));
  v1::CertificateKey key;
  key.set_certificate(StrCat(kCertificates, IdOf(record.key)));
  key.set_private_key_pem(std::move(pem));
  return key;
}

absl::StatusOr<v1::TicketKeys> Repository::TicketKeysOf(const store::Record& record) const {
  GATEPOST_ASSIGN_OR_RETURN(std::string plain, key_.Open(record.key, record.value));
  v1::TicketKeys keys;
  const bool parsed = keys.ParseFromString(plain);
  explicit_bzero(plain.data(), plain.size());
  if (!parsed) return absl::DataLossError("stored ticket keys are damaged");
  keys.set_virtual_server(StrCat(kVirtualServers, IdOf(record.key)));
  return keys;
}

std::string Repository::SealCertificateKey(std::string_view id, std::string_view pem) const {
  return key_.Seal(StrCat(kCertificateKeys, id), pem, random_);
}

absl::StatusOr<std::string> Repository::RequestKeyOf(const store::Record& record) const {
  return key_.Open(record.key, record.value);
}

std::string Repository::SealRequestKey(std::string_view id, std::string_view pem) const {
  return key_.Seal(StrCat(kRequestKeys, id), pem, random_);
}

std::string Repository::SealTicketKeys(std::string_view id, const v1::TicketKeys& keys) const {
  std::string plain = keys.SerializeAsString();
  std::string sealed = key_.Seal(StrCat(kTicketKeys, id), plain, random_);
  explicit_bzero(plain.data(), plain.size());
  return sealed;
}

std::string Repository::Etag(int64_t revision) const {
  return StrCat(std::string_view(epoch()).substr(0, 8), "-", revision);
}

absl::Status Repository::CheckEtag(std::string_view etag, int64_t revision) const {
  if (etag.empty() || etag == Etag(revision)) return absl::OkStatus();
  return absl::AbortedError("the etag is not current: the resource has changed");
}

}  // namespace gatepost::config
