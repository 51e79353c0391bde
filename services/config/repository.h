// How resources lie in the store: their keys, their stored form, etags, and the sealing of secrets.
//
//   virtualServers/{id}    v1.VirtualServer without name, etag, revision
//   certificates/{id}      v1.Certificate without name, etag, revision, private key
//   certificateKeys/{id}   sealed: the private key's PEM
//   requestKeys/{id}       sealed: the PEM of the key of a signing request that waits
//   ticketKeys/{id}        sealed: v1.TicketKeys of virtual server {id}
//   masterKeyCheck         store/master_key.h
//   ticketKeyRotation      when all ticket keys were last made anew, seconds since 1970, decimal
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gatepost/config/v1/certificate.pb.h"
#include "gatepost/config/v1/virtual_server.pb.h"
#include "gatepost/config/v1/watch_service.pb.h"
#include "services/base/random.h"
#include "services/store/record_store.h"
#include "services/store/sealed.h"

namespace gatepost::config {

inline constexpr std::string_view kCertificateKeys = "certificateKeys/";
inline constexpr std::string_view kRequestKeys = "requestKeys/";
inline constexpr std::string_view kTicketKeys = "ticketKeys/";
inline constexpr std::string_view kTicketKeyRotation = "ticketKeyRotation";

// The id in `collection/{id}`.
std::string_view IdOf(std::string_view name);

class Repository {
 public:
  // The references outlive the repository.
  Repository(store::RecordStore& store, const store::SealingKey& key, base::Random& random)
      : store_(store), key_(key), random_(random) {}

  store::RecordStore& store() { return store_; }
  const std::string& epoch() const { return store_.epoch(); }

  // The resource as it is returned. DATA_LOSS: the record is damaged.
  absl::StatusOr<v1::VirtualServer> VirtualServerOf(const store::Record& record) const;
  absl::StatusOr<v1::Certificate> CertificateOf(const store::Record& record) const;
  // With `record`'s revision, of what the service is about to return after a commit.
  void Complete(v1::VirtualServer* server, int64_t revision) const;
  void Complete(v1::Certificate* certificate, int64_t revision) const;

  // The stored form.
  static std::string Stored(v1::VirtualServer server);
  static std::string Stored(v1::Certificate certificate);

  // Opens what a record holds. DATA_LOSS: damaged, or sealed with another master key.
  absl::StatusOr<v1::CertificateKey> CertificateKeyOf(const store::Record& record) const;
  absl::StatusOr<v1::TicketKeys> TicketKeysOf(const store::Record& record) const;
  std::string SealCertificateKey(std::string_view id, std::string_view pem) const;
  absl::StatusOr<std::string> RequestKeyOf(const store::Record& record) const;
  std::string SealRequestKey(std::string_view id, std::string_view pem) const;
  std::string SealTicketKeys(std::string_view id, const v1::TicketKeys& keys) const;

  // An etag says the store's epoch and the record's revision.
  std::string Etag(int64_t revision) const;
  // OK if `etag` is empty or says `revision`; else ABORTED.
  absl::Status CheckEtag(std::string_view etag, int64_t revision) const;

 private:
  store::RecordStore& store_;
  const store::SealingKey& key_;
  base::Random& random_;
};

}  // namespace gatepost::config
