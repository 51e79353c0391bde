// One receive connector: its properties, one after the other, into a virtual server; what has no counterpart into
// notes. Private to exchange.cc and its test of the table.
#pragma once

#include <string>
#include <vector>

#include "gatepost/config/v1/virtual_server.pb.h"
#include "services/base/ip_address.h"
#include "services/ctl/exchange.h"
#include "services/ctl/exchange_values.h"

namespace gatepost::ctl {

class ExchangeConnector {
 public:
  // `properties` is a map.
  explicit ExchangeConnector(const YAML::Node& properties) : properties_(properties) {}

  // The virtual server without a name; everything but what depends on other connectors.
  ImportedConnector Convert();

  // Whether it takes clients from everywhere: of several on one address such a one is the one to keep.
  bool for_everybody() const { return for_everybody_; }

 private:
  friend struct PropertyTable;

  // Handlers of properties. Each gets a value that says something.
  void AuthMechanism(const std::string& property, const YAML::Node& value);
  void Banner(const std::string& property, const YAML::Node& value);
  void Bindings(const std::string& property, const YAML::Node& value);
  void ConnectionInactivityTimeout(const std::string& property, const YAML::Node& value);
  void ConnectionTimeout(const std::string& property, const YAML::Node& value);
  void DefaultDomain(const std::string& property, const YAML::Node& value);
  void Enabled(const std::string& property, const YAML::Node& value);
  void ExtendedProtection(const std::string& property, const YAML::Node& value);
  void Fqdn(const std::string& property, const YAML::Node& value);
  void MaxHopCount(const std::string& property, const YAML::Node& value);
  void MaxInbound(const std::string& property, const YAML::Node& value);
  void MaxInboundPerSource(const std::string& property, const YAML::Node& value);
  void MaxLogonFailures(const std::string& property, const YAML::Node& value);
  void MaxMessageSize(const std::string& property, const YAML::Node& value);
  void MaxProtocolErrors(const std::string& property, const YAML::Node& value);
  void MaxRecipients(const std::string& property, const YAML::Node& value);
  void MessageRateLimit(const std::string& property, const YAML::Node& value);
  void PermissionGroups(const std::string& property, const YAML::Node& value);
  void ProtocolLoggingLevel(const std::string& property, const YAML::Node& value);
  void RemoteIpRanges(const std::string& property, const YAML::Node& value);
  void RequireTls(const std::string& property, const YAML::Node& value);
  void SizeEnabled(const std::string& property, const YAML::Node& value);
  void Tarpit(const std::string& property, const YAML::Node& value);

  void Read(const std::string& property, const YAML::Node& value);
  void Note(const std::string& property, std::string_view text);
  void Unread(const std::string& property, const YAML::Node& value);
  // Within the bounds that the service has; a note if that changes it.
  uint64_t Bounded(const std::string& property, uint64_t value, uint64_t least, uint64_t most, const char* field);
  std::chrono::milliseconds Bounded(const std::string& property, std::chrono::milliseconds value,
                                    std::chrono::milliseconds least, std::chrono::milliseconds most, const char* field);
  // A count, 0 where there is no limit.
  std::optional<uint64_t> Count(const std::string& property, const YAML::Node& value);

  // What more than one property decides.
  void FinishName();
  void FinishListeners();
  void FinishAuthentication();
  void FinishClients();
  void FinishRelay();

  const YAML::Node properties_;
  ImportedConnector out_;
  config::v1::VirtualServer& server_ = out_.server;
  std::vector<base::Endpoint> bindings_;
  std::vector<base::IpRange> ranges_;
  uint32_t mechanisms_ = 0;
  uint32_t groups_ = 0;
  bool enabled_ = true;
  bool require_tls_ = false;
  bool auth_tarpit_ = false;
  bool for_everybody_ = true;
};

// Every property that is known, for the test that none is there twice.
std::vector<std::string_view> KnownExchangeProperties();

}  // namespace gatepost::ctl
