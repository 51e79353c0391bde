// What the service must know of all virtual servers at once: who listens where, and who uses which certificate.
//
// Kept in memory and brought up to a view's revision by the store's log of changes. Not thread-safe: each owner (the
// writers, the watch) has its own behind its own mutex.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gatepost/config/v1/certificate.pb.h"
#include "gatepost/config/v1/virtual_server.pb.h"
#include "services/config/repository.h"
#include "services/config/violations.h"
#include "services/store/record_store.h"

namespace gatepost::config {

// Whether edges of `pool` serve `server`.
bool Serves(const v1::VirtualServer& server, std::string_view pool);

class Index {
 public:
  explicit Index(const Repository& repository) : repository_(repository) {}

  // Afterwards the index is that of the view's revision. An error leaves it to be rebuilt by the next call.
  absl::Status Refresh(store::View& view);
  int64_t revision() const { return revision_; }

  // Judges a virtual server that would be added, or take its namesake's place.
  void Check(const v1::VirtualServer& server, Violations* violations) const;
  // Judges a certificate of this key type that would take its namesake's place.
  void CheckKeyType(std::string_view certificate, v1::Certificate::KeyType key_type, Violations* violations) const;

  // Names of the virtual servers that use a certificate.
  std::vector<std::string> UsersOf(std::string_view certificate) const;
  // Whether a virtual server of this pool uses it.
  bool UsedIn(std::string_view pool, std::string_view certificate) const;

  size_t virtual_servers() const { return servers_.size(); }
  size_t certificates() const { return certificates_.size(); }
  size_t open_relays() const;

 private:
  // The few fields that are needed of each.
  struct Server {
    std::vector<std::string> pools;
    std::vector<v1::Listener> listeners;
    std::vector<std::string> certificates;
    bool open_relay = false;
  };

  absl::Status Load(store::View& view, std::string_view key);
  absl::Status LoadAll(store::View& view);
  void Put(const v1::VirtualServer& server);
  void Erase(const std::string& name);
  static bool SharePool(const Server& a, const v1::VirtualServer& b);

  const Repository& repository_;
  int64_t revision_ = -1;  // Below zero: to be built.
  std::map<std::string, Server, std::less<>> servers_;
  std::map<uint32_t, std::set<std::string>> by_port_;  // Names of the virtual servers that listen on a port.
  std::map<std::string, std::set<std::string>, std::less<>> users_;  // Of certificates.
  // Unspecified: a request waits for its first answer.
  std::map<std::string, v1::Certificate::KeyType, std::less<>> certificates_;
};

}  // namespace gatepost::config
