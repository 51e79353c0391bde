// Random policies and sessions at their borders: entries that hold the client's address or name and entries that miss
// it by one, each mode and failure setting, TLS states around the floor, identities around the permissions, recipients
// of every sort. The same seed gives the same sessions.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "gatepost/config/v1/virtual_server.pb.h"

namespace gatepost::conformance {

// What a real client on this machine, and a real auth service, can be.
enum class World { kAny, kLoopback };

class RandomSessions {
 public:
  RandomSessions(uint64_t seed, World world) : random_(seed), world_(world) {}

  // With its policy as the candidate.
  config::v1::SimulateSessionRequest Next();

 private:
  uint64_t Below(uint64_t bound) { return random_() % bound; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[Below(from.size())];
  }

  std::string Address();
  // An entry close to the client's address, or its names.
  config::v1::ClientEntry Entry(bool names);
  void AddEntry(bool names, google::protobuf::RepeatedPtrField<config::v1::ClientEntry>* entries);
  void Fill(config::v1::ConnectionControl* list);
  void Fill(config::v1::Relay* relay);
  void Fill(config::v1::Permission* permission);
  void Fill(config::v1::Authentication* authentication);
  void Fill(config::v1::Filters* filters);
  void FillClient(config::v1::SimulatedClient* client);
  void FillIdentity(config::v1::SimulatedIdentity* identity);
  config::v1::ListMode Mode();
  config::v1::OnLookupFailure OnFailure();
  std::string Sender();
  std::string Recipient();

  std::mt19937_64 random_;
  const World world_;
  uint32_t client_ = 0;  // the client's IPv4 address; 0: it has an IPv6 one
};

}  // namespace gatepost::conformance
