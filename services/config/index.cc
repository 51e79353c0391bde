#include "services/config/index.h"

#include <algorithm>
#include <optional>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/config/client_set.h"
#include "services/config/validate.h"

namespace gatepost::config {
namespace {

using base::StrCat;

constexpr size_t kBatch = 1'000;
constexpr size_t kBatchOctets = 8 << 20;

bool IsEcdsa(v1::Certificate::KeyType type) { return type != v1::Certificate::RSA; }

}  // namespace

bool Serves(const v1::VirtualServer& server, std::string_view pool) {
  return server.pools().empty() || std::find(server.pools().begin(), server.pools().end(), pool) != server.pools().end();
}

bool Index::SharePool(const Server& a, const v1::VirtualServer& b) {
  return a.pools.empty() || b.pools().empty() ||
         std::any_of(a.pools.begin(), a.pools.end(), [&](const std::string& pool) { return Serves(b, pool); });
}

void Index::Put(const v1::VirtualServer& server) {
  Erase(server.name());
  Server& entry = servers_[server.name()];
  entry.pools.assign(server.pools().begin(), server.pools().end());
  entry.listeners.assign(server.listeners().begin(), server.listeners().end());
  entry.certificates.assign(server.certificates().begin(), server.certificates().end());
  entry.open_relay = server.open_relay();
  for (const v1::Listener& listener : entry.listeners) by_port_[listener.port()].insert(server.name());
  for (const std::string& certificate : entry.certificates) users_[certificate].insert(server.name());
}

void Index::Erase(const std::string& name) {
  const auto it = servers_.find(name);
  if (it == servers_.end()) return;
  for (const v1::Listener& listener : it->second.listeners) {
    const auto port = by_port_.find(listener.port());
    if (port == by_port_.end()) continue;
    port->second.erase(name);
    if (port->second.empty()) by_port_.erase(port);
  }
  for (const std::string& certificate : it->second.certificates) {
    const auto users = users_.find(certificate);
    if (users == users_.end()) continue;
    users->second.erase(name);
    if (users->second.empty()) users_.erase(users);
  }
  servers_.erase(it);
}

absl::Status Index::Load(store::View& view, std::string_view key) {
  const bool server = key.starts_with(kVirtualServers);
  if (!server && !key.starts_with(kCertificates)) return absl::OkStatus();
  absl::StatusOr<store::Record> record = view.Get(key);
  if (absl::IsNotFound(record.status())) {
    if (server) {
      Erase(std::string(key));
    } else {
      certificates_.erase(std::string(key));
    }
    return absl::OkStatus();
  }
  GATEPOST_RETURN_IF_ERROR(record.status());
  if (server) {
    GATEPOST_ASSIGN_OR_RETURN(const v1::VirtualServer parsed, repository_.VirtualServerOf(*record));
    Put(parsed);
  } else {
    GATEPOST_ASSIGN_OR_RETURN(const v1::Certificate parsed, repository_.CertificateOf(*record));
    certificates_[record->key] = parsed.facts().key_type();
  }
  return absl::OkStatus();
}

absl::Status Index::LoadAll(store::View& view) {
  servers_.clear();
  by_port_.clear();
  users_.clear();
  certificates_.clear();
  for (const std::string_view collection : {kVirtualServers, kCertificates}) {
    std::string after;
    bool more = true;
    while (more) {
      GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> records,
                                view.List(collection, after, kBatch, kBatchOctets, &more));
      for (const store::Record& record : records) {
        if (collection == kVirtualServers) {
          GATEPOST_ASSIGN_OR_RETURN(const v1::VirtualServer server, repository_.VirtualServerOf(record));
          Put(server);
        } else {
          GATEPOST_ASSIGN_OR_RETURN(const v1::Certificate certificate, repository_.CertificateOf(record));
          certificates_[record.key] = certificate.facts().key_type();
        }
      }
      if (!records.empty()) after = records.back().key;
    }
  }
  return absl::OkStatus();
}

absl::Status Index::Refresh(store::View& view) {
  if (revision_ == view.revision()) return absl::OkStatus();
  std::optional<std::vector<store::Change>> changes;
  if (revision_ >= 0) {
    absl::StatusOr<std::vector<store::Change>> since = view.ChangesSince(revision_);
    if (since.ok()) {
      changes = *std::move(since);
    } else if (!absl::IsOutOfRange(since.status())) {
      return since.status();
    }
  }
  revision_ = -1;
  if (changes) {
    std::set<std::string_view> keys;
    for (const store::Change& change : *changes) keys.insert(change.key);
    for (const std::string_view key : keys) GATEPOST_RETURN_IF_ERROR(Load(view, key));
  } else {
    GATEPOST_RETURN_IF_ERROR(LoadAll(view));
  }
  revision_ = view.revision();
  return absl::OkStatus();
}

void Index::Check(const v1::VirtualServer& server, Violations* violations) const {
  for (int i = 0; i < server.listeners_size(); ++i) {
    const v1::Listener& listener = server.listeners(i);
    const auto names = by_port_.find(listener.port());
    if (names == by_port_.end()) continue;
    for (const std::string& name : names->second) {
      if (name == server.name()) continue;
      const Server& other = servers_.at(name);
      if (!SharePool(other, server)) continue;
      const bool overlaps = std::any_of(other.listeners.begin(), other.listeners.end(),
                                        [&](const v1::Listener& taken) { return Overlap(taken, listener); });
      if (overlaps) {
        violations->Add(StrCat("virtual_server.listeners[", i, "]"), StrCat("overlaps a listener of ", name));
        break;
      }
    }
  }
  std::optional<v1::Certificate::KeyType> first;
  for (int i = 0; i < server.certificates_size(); ++i) {
    const auto it = certificates_.find(server.certificates(i));
    const std::string field = StrCat("virtual_server.certificates[", i, "]");
    if (it == certificates_.end()) {
      violations->Add(field, "does not exist");
    } else if (it->second == v1::Certificate::KEY_TYPE_UNSPECIFIED) {
      violations->Add(field, "has no certificate yet: install the answer to its signing request first");
    } else if (first && IsEcdsa(*first) == IsEcdsa(it->second)) {
      violations->Add(field, "has a key of the same kind as the other: one ECDSA and one RSA certificate may be named");
    } else {
      first = it->second;
    }
  }
}

void Index::CheckKeyType(std::string_view certificate, v1::Certificate::KeyType key_type, Violations* violations) const {
  const auto users = users_.find(certificate);
  if (users == users_.end()) return;
  for (const std::string& name : users->second) {
    for (const std::string& other : servers_.at(name).certificates) {
      const auto it = certificates_.find(other);
      if (other != certificate && it != certificates_.end() && IsEcdsa(it->second) == IsEcdsa(key_type)) {
        violations->Add("certificate", StrCat("would be the second one with a key of this kind in ", name));
        return;
      }
    }
  }
}

std::vector<std::string> Index::UsersOf(std::string_view certificate) const {
  const auto it = users_.find(certificate);
  if (it == users_.end()) return {};
  return {it->second.begin(), it->second.end()};
}

bool Index::UsedIn(std::string_view pool, std::string_view certificate) const {
  const auto it = users_.find(certificate);
  if (it == users_.end()) return false;
  return std::any_of(it->second.begin(), it->second.end(), [&](const std::string& name) {
    const std::vector<std::string>& pools = servers_.at(name).pools;
    return pools.empty() || std::find(pools.begin(), pools.end(), pool) != pools.end();
  });
}

size_t Index::open_relays() const {
  return static_cast<size_t>(
      std::count_if(servers_.begin(), servers_.end(), [](const auto& entry) { return entry.second.open_relay; }));
}

}  // namespace gatepost::config
