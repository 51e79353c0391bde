#include "services/config/unit_builder.h"

#include <set>
#include <utility>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/config/limits.h"
#include "services/config/validate.h"

namespace gatepost::config {
namespace {

using base::StrCat;

constexpr size_t kKept = 16;
constexpr size_t kBatch = 200;
constexpr size_t kBatchOctets = 4 << 20;
// Tag and length of a resource within a unit, and the unit's own fields.
constexpr size_t kResourceOverhead = 8;
constexpr size_t kUnitOverhead = 256;

}  // namespace

// Collects resources into pieces, each once.
class UnitBuilder::Pieces {
 public:
  explicit Pieces(const v1::Unit& head) : head_(head) { Begin(); }

  void Add(const v1::VirtualServer& server) { *Room(server)->add_virtual_servers() = server; }
  void Add(const v1::Certificate& certificate) { *Room(certificate)->add_certificates() = certificate; }
  void Add(const v1::Secret& secret) { *Room(secret)->add_secrets() = secret; }
  void AddRemoved(std::string_view name) {
    MakeRoom(name.size() + kResourceOverhead)->add_removed(std::string(name));
  }
  // False the second time.
  bool Once(std::string_view key) { return seen_.emplace(key).second; }

  std::vector<v1::WatchResponse> Finish() {
    for (size_t i = 0; i + 1 < pieces_.size(); ++i) pieces_[i].mutable_unit()->set_more(true);
    return std::move(pieces_);
  }

 private:
  void Begin() {
    *pieces_.emplace_back().mutable_unit() = head_;
    octets_ = kUnitOverhead;
  }
  v1::Unit* MakeRoom(size_t octets) {
    if (octets_ + octets > kMaxUnitOctets && octets_ > kUnitOverhead) Begin();
    octets_ += octets;
    return pieces_.back().mutable_unit();
  }
  v1::Unit* Room(const google::protobuf::Message& message) {
    return MakeRoom(message.ByteSizeLong() + kResourceOverhead);
  }

  const v1::Unit head_;
  std::vector<v1::WatchResponse> pieces_;
  size_t octets_ = 0;
  std::set<std::string, std::less<>> seen_;
};

absl::Status UnitBuilder::AddCertificate(store::View& view, std::string_view name, Pieces* pieces) {
  if (!pieces->Once(name)) return absl::OkStatus();
  GATEPOST_ASSIGN_OR_RETURN(const store::Record record, view.Get(name));
  GATEPOST_ASSIGN_OR_RETURN(v1::Certificate certificate, repository_.CertificateOf(record));
  certificate.clear_signing_request();  // The administrators' business.
  GATEPOST_ASSIGN_OR_RETURN(const store::Record sealed, view.Get(StrCat(kCertificateKeys, IdOf(name))));
  v1::Secret secret;
  GATEPOST_ASSIGN_OR_RETURN(*secret.mutable_certificate_key(), repository_.CertificateKeyOf(sealed));
  pieces->Add(certificate);
  pieces->Add(secret);
  return absl::OkStatus();
}

absl::Status UnitBuilder::AddTicketKeys(store::View& view, std::string_view id, Pieces* pieces) {
  const std::string key = StrCat(kTicketKeys, id);
  if (!pieces->Once(key)) return absl::OkStatus();
  GATEPOST_ASSIGN_OR_RETURN(const store::Record sealed, view.Get(key));
  v1::Secret secret;
  GATEPOST_ASSIGN_OR_RETURN(*secret.mutable_ticket_keys(), repository_.TicketKeysOf(sealed));
  pieces->Add(secret);
  return absl::OkStatus();
}

absl::Status UnitBuilder::AddServer(store::View& view, const v1::VirtualServer& server, Pieces* pieces) {
  if (!pieces->Once(server.name())) return absl::OkStatus();
  pieces->Add(server);
  for (const std::string& certificate : server.certificates())
    GATEPOST_RETURN_IF_ERROR(AddCertificate(view, certificate, pieces));
  return AddTicketKeys(view, IdOf(server.name()), pieces);
}

absl::Status UnitBuilder::AddAll(store::View& view, std::string_view pool, Pieces* pieces) {
  std::string after;
  bool more = true;
  while (more) {
    GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> records,
                              view.List(kVirtualServers, after, kBatch, kBatchOctets, &more));
    for (const store::Record& record : records) {
      GATEPOST_ASSIGN_OR_RETURN(const v1::VirtualServer server, repository_.VirtualServerOf(record));
      if (Serves(server, pool)) GATEPOST_RETURN_IF_ERROR(AddServer(view, server, pieces));
    }
    if (!records.empty()) after = records.back().key;
  }
  return absl::OkStatus();
}

absl::Status UnitBuilder::AddChanged(store::View& view, std::string_view pool,
                                     const std::vector<store::Change>& changes, Pieces* pieces) {
  std::set<std::string_view> servers;
  std::set<std::string> certificates;
  std::set<std::string_view> ticket_keys;
  for (const store::Change& change : changes) {
    const std::string_view key = change.key;
    if (key.starts_with(kVirtualServers)) servers.insert(key);
    if (key.starts_with(kCertificates)) certificates.emplace(key);
    if (key.starts_with(kCertificateKeys)) certificates.insert(StrCat(kCertificates, IdOf(key)));
    if (key.starts_with(kTicketKeys)) ticket_keys.insert(key);
  }
  for (const std::string_view name : servers) {
    absl::StatusOr<store::Record> record = view.Get(name);
    if (!record.ok() && !absl::IsNotFound(record.status())) return record.status();
    if (record.ok()) {
      GATEPOST_ASSIGN_OR_RETURN(const v1::VirtualServer server, repository_.VirtualServerOf(*record));
      if (Serves(server, pool)) {
        GATEPOST_RETURN_IF_ERROR(AddServer(view, server, pieces));
        continue;
      }
    }
    // Deleted, or another pool's now; whether this edge ever had it does not matter.
    pieces->AddRemoved(name);
  }
  for (const std::string& name : certificates)
    if (index_.UsedIn(pool, name)) GATEPOST_RETURN_IF_ERROR(AddCertificate(view, name, pieces));
  for (const std::string_view key : ticket_keys) {
    absl::StatusOr<store::Record> record = view.Get(StrCat(kVirtualServers, IdOf(key)));
    if (absl::IsNotFound(record.status())) continue;
    GATEPOST_RETURN_IF_ERROR(record.status());
    GATEPOST_ASSIGN_OR_RETURN(const v1::VirtualServer server, repository_.VirtualServerOf(*record));
    if (Serves(server, pool)) GATEPOST_RETURN_IF_ERROR(AddTicketKeys(view, IdOf(key), pieces));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Chain>> UnitBuilder::Build(std::string_view pool, std::optional<int64_t> revision) {
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, repository_.store().Read());
  for (const Cached& cached : cache_)
    if (cached.pool == pool && cached.from == revision && cached.chain->revision == view->revision()) return cached.chain;

  GATEPOST_RETURN_IF_ERROR(index_.Refresh(*view));
  std::optional<std::vector<store::Change>> changes;
  if (revision) {
    absl::StatusOr<std::vector<store::Change>> since = view->ChangesSince(*revision);
    if (since.ok()) {
      changes = *std::move(since);
    } else if (!absl::IsOutOfRange(since.status())) {
      return since.status();
    }
  }
  auto chain = std::make_shared<Chain>();
  chain->revision = view->revision();
  chain->nonce = StrCat(chain->revision, ".", ++built_);
  v1::Unit head;
  head.set_epoch(repository_.epoch());
  head.set_revision(chain->revision);
  head.set_nonce(chain->nonce);
  head.set_reset(!changes.has_value());
  Pieces pieces(head);
  GATEPOST_RETURN_IF_ERROR(changes ? AddChanged(*view, pool, *changes, &pieces) : AddAll(*view, pool, &pieces));
  chain->pieces = pieces.Finish();
  // Units to an older revision are of no more use.
  cache_.remove_if([&](const Cached& cached) { return cached.chain->revision != chain->revision; });
  cache_.push_front({std::string(pool), revision, chain});
  if (cache_.size() > kKept) cache_.pop_back();
  return std::shared_ptr<const Chain>(std::move(chain));
}

}  // namespace gatepost::config
