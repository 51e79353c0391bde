#include "tests/conformance/random_sessions.h"

#include <algorithm>

namespace gatepost::conformance {
namespace {

using config::v1::Listener;
using config::v1::Tls;
using config::v1::VirtualServer;
using Entries = google::protobuf::RepeatedPtrField<config::v1::ClientEntry>;

std::string Dotted(uint32_t address) {
  return std::to_string(address >> 24) + "." + std::to_string(address >> 16 & 255) + "." +
         std::to_string(address >> 8 & 255) + "." + std::to_string(address & 255);
}

const std::vector<std::string> kClientDomains = {"example",         "far.example",  "b.far.example",
                                                 "a.b.far.example", "xfar.example", "other.test"};
const std::vector<std::string> kUsers = {"users/alice", "users/bob", "users/carol"};
const std::vector<std::string> kGroups = {"groups/staff", "groups/guests"};
const std::vector<std::string> kIpv6 = {"2001:db8::7", "2001:db8:0:1::1", "::1"};

}  // namespace

std::string RandomSessions::Address() {
  if (world_ == World::kLoopback) {
    client_ = 0x7f000000u + static_cast<uint32_t>(1 + Below(0xfffffd));
    return Dotted(client_);
  }
  client_ = 0;
  if (OneIn(6)) return Pick(kIpv6);
  const std::vector<uint32_t> borders = {0x00000000, 0xffffffff, 0x7fffffff, 0x80000000, 0xc0000207, 0xc6336400};
  client_ = OneIn(2) ? Pick(borders) : static_cast<uint32_t>(random_());
  if (client_ == 0) return "0.0.0.0";
  return (OneIn(12) ? "::ffff:" : "") + Dotted(client_);
}

void RandomSessions::AddEntry(bool names, Entries* entries) {
  config::v1::ClientEntry entry = Entry(names);
  // No list has an entry twice.
  const bool known = std::any_of(entries->begin(), entries->end(), [&](const config::v1::ClientEntry& other) {
    return other.SerializeAsString() == entry.SerializeAsString();
  });
  if (!known) *entries->Add() = std::move(entry);
}

config::v1::ClientEntry RandomSessions::Entry(bool names) {
  config::v1::ClientEntry entry;
  if (names && !OneIn(3)) {
    entry.set_domain(Pick(kClientDomains));
    return entry;
  }
  if (client_ == 0) {
    const std::vector<std::string> subnets = {"2001:db8::/32", "2001:db8::/64",     "2001:db8::6/127",
                                              "::/0",          "2001:db8:0:1::/64", "0.0.0.0/0"};
    if (OneIn(3)) {
      entry.set_range(OneIn(2) ? "2001:db8::1-2001:db8::7" : "2001:db8::8-2001:db8::ffff");
    } else {
      entry.set_subnet(Pick(subnets));
    }
    return entry;
  }
  // One below, the address itself, or one above.
  const uint32_t near = client_ + static_cast<uint32_t>(Below(3)) - 1;
  switch (Below(3)) {
    case 0:
      entry.set_address(Dotted(near));
      break;
    case 1: {
      const int length = static_cast<int>(Below(32));
      const uint32_t mask = length == 0 ? 0 : ~uint32_t{0} << (32 - length);
      // The subnet of the address, or the next one.
      const uint32_t neighbour = length == 0 ? 0 : (client_ ^ (OneIn(2) ? uint32_t{1} << (32 - length) : 0)) & mask;
      entry.set_subnet(Dotted(neighbour) + "/" + std::to_string(length));
      break;
    }
    default: {
      // It begins or ends there. Three addresses are no subnet: that would be in the list twice.
      const uint32_t other = OneIn(3) ? near + 2 : OneIn(2) ? near - 2 : static_cast<uint32_t>(random_());
      entry.set_range(Dotted(std::min(near, other)) + "-" + Dotted(std::max(near, other)));
      break;
    }
  }
  return entry;
}

config::v1::ListMode RandomSessions::Mode() { return OneIn(2) ? config::v1::ALL_EXCEPT : config::v1::ONLY_LIST; }

config::v1::OnLookupFailure RandomSessions::OnFailure() {
  return static_cast<config::v1::OnLookupFailure>(1 + Below(3));
}

void RandomSessions::Fill(config::v1::ConnectionControl* list) {
  // Most sessions should come further.
  if (!OneIn(3)) return;
  for (uint64_t i = 1 + Below(4); i > 0; --i) AddEntry(OneIn(2), list->mutable_entries());
  if (!OneIn(3)) list->set_mode(Mode());
}

void RandomSessions::Fill(config::v1::Relay* relay) {
  const uint64_t count = Below(5);
  for (uint64_t i = 0; i < count; ++i) AddEntry(OneIn(2), relay->mutable_entries());
  if (!OneIn(3)) relay->set_mode(Mode());
  if (OneIn(3)) relay->set_authenticated_may_relay(!OneIn(3));
  if (OneIn(2)) Fill(relay->mutable_authenticated());
  relay->set_allow_open_relay(true);
}

void RandomSessions::Fill(config::v1::Permission* permission) {
  if (!OneIn(3)) permission->set_mode(Mode());
  for (uint64_t i = Below(3); i > 0; --i) {
    // The auth service of the real edge knows no groups.
    const std::string& principal = world_ == World::kAny && OneIn(2) ? Pick(kGroups) : Pick(kUsers);
    const auto& present = permission->principals();
    if (std::find(present.begin(), present.end(), principal) == present.end()) permission->add_principals(principal);
  }
}

void RandomSessions::Fill(config::v1::Authentication* authentication) {
  authentication->set_anonymous(!OneIn(5));
  if (OneIn(6)) authentication->mutable_basic()->set_enabled(false);
  authentication->mutable_basic()->set_allow_clear_text_credentials(OneIn(2));
  if (OneIn(6)) authentication->mutable_scram()->set_enabled(false);
  if (OneIn(2)) Fill(authentication->mutable_submit());
  if (OneIn(3)) authentication->set_send_as(config::v1::Authentication::OWN_ADDRESSES);
}

void RandomSessions::Fill(config::v1::Filters* filters) {
  for (const char* zone : {"a.bl.test", "b.bl.test", "c.bl.test"}) {
    if (OneIn(2)) filters->add_block_lists()->set_zone(zone);
  }
  if (!OneIn(3)) filters->set_on_lookup_failure(OnFailure());
}

void RandomSessions::FillClient(config::v1::SimulatedClient* client) {
  client->set_address(Address());
  const std::vector<std::string> names = {"a.b.far.example", "b.far.example", "far.example", "mx.other.test",
                                          "notfar.example"};
  // In a real DNS each client has names of its own.
  const std::string own = world_ == World::kLoopback ? "c" + std::to_string(client_ & 0xffffff) + "." : "";
  switch (Below(4)) {
    case 0:
      client->set_name_lookup_failed(true);
      break;
    case 1:
      break;
    default:
      for (uint64_t i = 1 + Below(3); i > 0; --i) client->add_names(own + Pick(names));
      break;
  }
  switch (Below(4)) {
    case 0:
      client->set_block_lists_failed(true);
      break;
    case 1:
      for (uint64_t i = 1 + Below(2); i > 0; --i)
        client->add_listed_by(Pick(std::vector<std::string>{"a.bl.test", "b.bl.test", "c.bl.test", "d.bl.test"}));
      break;
    default:
      break;
  }
}

void RandomSessions::FillIdentity(config::v1::SimulatedIdentity* identity) {
  const std::string user = Pick(kUsers);
  identity->set_user(user);
  identity->set_login(user.substr(6) + "@in.example");
  if (world_ == World::kLoopback) {
    // As the test makes them in the real auth service.
    if (user == "users/bob") identity->set_may_submit(false);
    if (user == "users/carol") identity->set_may_relay(false);
    return;
  }
  for (const std::string& group : kGroups) {
    if (OneIn(3)) identity->add_groups(group);
  }
  if (OneIn(4)) identity->set_may_submit(!OneIn(2));
  if (OneIn(3)) identity->set_may_relay(!OneIn(2));
  if (OneIn(3)) identity->add_addresses("Sales@in.example");
  if (OneIn(4)) identity->add_senders(OneIn(2) ? "@in.example" : "alice@IN.example");
}

std::string RandomSessions::Sender() {
  if (OneIn(2)) return "alice@in.example";
  return Pick(std::vector<std::string>{"", "alice@in.example", "bob@IN.example", "Sales@in.example", "sales@in.example",
                                       "x@far.example", "\"a b\"@far.example", "\"plain\"@Far.Example", "x@[192.0.2.1]",
                                       "x@", "@far.example", "x@far..example", "carol@in.example"});
}

std::string RandomSessions::Recipient() {
  const std::vector<std::string> locals = {"bob",
                                           "Bob.Jones",
                                           "postmaster",
                                           "x%far.example",
                                           "far.example!x",
                                           "\"x@far.example\"",
                                           "\"a b\"",
                                           "\"bob\"",
                                           std::string(64, 'l'),
                                           std::string(65, 'l'),
                                           "a..b",
                                           ".a",
                                           "\"q\\\"q\"",
                                           "a/b",
                                           "\"a%b\"",
                                           "o'neil",
                                           "\"back\\\\slash\""};
  const std::vector<std::string> domains = {"in.example",
                                            "IN.EXAMPLE",
                                            "sub.in.example",
                                            "a.sub.in.example",
                                            "xin.example",
                                            "example",
                                            "far.example",
                                            "sub.far.example",
                                            "[192.0.2.1]",
                                            "[IPv6:2001:DB8::1]",
                                            "in.example.",
                                            "-in.example",
                                            "in-.example",
                                            "in_example",
                                            std::string(63, 'd') + ".example",
                                            std::string(64, 'd') + ".example",
                                            "second.example",
                                            "deep.second.example",
                                            "[192.0.2.256]"};
  if (OneIn(12))
    return Pick(std::vector<std::string>{"postmaster", "PostMaster", "bob", "", "bob@", "@in.example", "a b@in.example",
                                         "@r.example:bob@in.example", "@r.example,@s.example:x@far.example",
                                         "@r.example,bob@in.example"});
  const bool usual = OneIn(2);
  const std::string local = usual ? "bob" : Pick(locals);
  return local + "@" + (usual || OneIn(2) ? domains[Below(8)] : Pick(domains));
}

config::v1::SimulateSessionRequest RandomSessions::Next() {
  config::v1::SimulateSessionRequest request;
  request.set_name("virtualServers/random");
  FillClient(request.mutable_client());
  VirtualServer* server = request.mutable_candidate();
  server->set_name(request.name());
  server->set_fqdn("mx.example");
  if (OneIn(2)) server->set_dialect(OneIn(2) ? VirtualServer::EXCHANGE : VirtualServer::RFC);
  if (OneIn(4)) server->set_banner_text("ESMTP of a test");
  config::v1::DomainEntry* local = server->add_local_domains();
  local->set_domain("in.example");
  local->set_include_subdomains(OneIn(2));
  if (OneIn(2)) {
    local = server->add_local_domains();
    local->set_domain("sub.in.example");
    local->set_include_subdomains(OneIn(2));
  }
  if (OneIn(2)) server->add_local_domains()->set_domain("second.example");
  Fill(server->mutable_connection_control());
  if (!OneIn(3)) server->mutable_reverse_lookup()->set_on_lookup_failure(OnFailure());
  Fill(server->mutable_authentication());
  Tls* tls = server->mutable_tls();
  tls->set_require_secure_channel(OneIn(6));
  if (OneIn(3)) tls->set_min_version(OneIn(2) ? Tls::TLS_1_3 : Tls::TLS_1_2);
  if (OneIn(3) && world_ == World::kAny) tls->set_min_cipher_bits(OneIn(2) ? 256 : 128);
  Fill(server->mutable_relay());
  if (OneIn(2)) Fill(server->mutable_filters());
  if (OneIn(4)) server->mutable_session_limits()->set_max_refused_recipients(static_cast<uint32_t>(1 + Below(2)));
  if (OneIn(4)) server->mutable_session_limits()->set_max_protocol_errors(static_cast<uint32_t>(1 + Below(2)));

  if (!OneIn(4)) {
    request.set_tls_mode(static_cast<Listener::TlsMode>(1 + Below(3)));
  }
  // A client below the floor of the version never ends its handshake with a real edge.
  const bool none = request.tls_mode() == Listener::NONE;
  // What nobody could use, validation refuses.
  if (none && world_ == World::kLoopback) tls->set_require_secure_channel(false);
  if (!none && (OneIn(2) || request.tls_mode() == Listener::IMPLICIT)) {
    const bool floor = world_ == World::kLoopback && tls->min_version() == Tls::TLS_1_3;
    request.mutable_tls()->set_version(!floor && OneIn(3) ? Tls::TLS_1_2 : Tls::TLS_1_3);
    request.mutable_tls()->set_cipher_bits(world_ == World::kAny && OneIn(3) ? 256 : 128);
  }
  if (OneIn(2)) {
    FillIdentity(request.mutable_identity());
    if (OneIn(3)) request.set_mechanism("LOGIN");
    if (world_ == World::kAny && OneIn(6)) request.set_mechanism(OneIn(2) ? "SCRAM-SHA-256" : "FOO");
  }
  request.set_sender(Sender());
  for (uint64_t i = 1 + Below(4); i > 0; --i) request.add_recipients(Recipient());
  return request;
}

}  // namespace gatepost::conformance
