// The fixtures are what Get-ReceiveConnector says of a server with default and added connectors: enums by name as a
// remote shell has them, and by number as the server's own shell does.
#include "services/ctl/exchange.h"

#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/base/file.h"
#include "services/ctl/cli.h"
#include "services/ctl/exchange_connector.h"
#include "services/ctl/output.h"

namespace gatepost::ctl {
namespace {

using config::v1::Listener;
using config::v1::VirtualServer;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string Fixture(const std::string& name) {
  const auto text = base::ReadFile("services/ctl/testdata/" + name);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.value_or("");
}

ExchangeImport Import(const std::string& json, const Shorthand& surroundings = {}) {
  auto import = ImportExchange(json, surroundings);
  EXPECT_TRUE(import.ok()) << import.status();
  return import.ok() ? *std::move(import) : ExchangeImport();
}

// A connector of these properties.
ImportedConnector One(const std::string& properties) {
  return Import("{Name: a, Fqdn: a.example, " + properties + "}").connectors.at(0);
}

std::vector<std::string> Listeners(const VirtualServer& server) {
  std::vector<std::string> listeners;
  for (const Listener& own : server.listeners())
    listeners.push_back(own.address() + " " + std::to_string(own.port()) + " " +
                        Listener::TlsMode_Name(own.tls_mode()));
  return listeners;
}

std::vector<std::string> Entries(const google::protobuf::RepeatedPtrField<config::v1::ClientEntry>& entries) {
  std::vector<std::string> texts;
  for (const auto& entry : entries) texts.push_back(entry.address() + entry.subnet() + entry.range());
  return texts;
}

TEST(ExchangeTest, TheFrontEndOfAServerIsMapped) {
  const ExchangeImport import = Import(Fixture("exchange_names.json"));
  ASSERT_EQ(import.connectors.size(), 3u);
  const ImportedConnector& connector = import.connectors[0];
  const VirtualServer& server = connector.server;
  EXPECT_EQ(connector.title, "MAIL01\\Default Frontend MAIL01");
  EXPECT_EQ(server.name(), "virtualServers/default-frontend-mail01");
  EXPECT_EQ(server.display_name(), "Default Frontend MAIL01");
  EXPECT_EQ(server.fqdn(), "mail01.example.com");
  EXPECT_THAT(Listeners(server), ElementsAre(":: 25 STARTTLS", "0.0.0.0 25 STARTTLS"));
  EXPECT_FALSE(server.has_connection_control()) << "everybody may connect";
  EXPECT_TRUE(server.authentication().anonymous());
  EXPECT_TRUE(server.authentication().basic().enabled());
  EXPECT_FALSE(server.authentication().basic().allow_clear_text_credentials());
  EXPECT_TRUE(server.authentication().integrated().enabled());
  EXPECT_FALSE(server.tls().require_secure_channel());
  EXPECT_EQ(server.relay().entries_size(), 0) << "anonymous clients do not relay";
  EXPECT_EQ(server.session_limits().max_duration().seconds(), 600);
  EXPECT_EQ(server.session_limits().idle_timeout().seconds(), 300);
  EXPECT_EQ(server.session_limits().data_timeout().seconds(), 300);
  EXPECT_EQ(server.session_limits().auth_failure_delay().seconds(), 5);
  EXPECT_EQ(server.session_limits().max_protocol_errors(), 5u);
  EXPECT_EQ(server.session_limits().max_auth_failures(), 3u);
  EXPECT_EQ(server.message_limits().max_message_octets(), 37'748'736u);
  EXPECT_EQ(server.message_limits().max_recipients(), 200u);
  EXPECT_EQ(server.message_limits().max_hops(), 60u);
  EXPECT_EQ(server.connection_limits().max_total(), 5'000u);
  EXPECT_EQ(server.connection_limits().max_per_source(), 20u);
  EXPECT_TRUE(server.logging().protocol_log());
  std::vector<std::string> properties;
  for (const std::string& note : connector.notes) properties.push_back(note.substr(0, note.find(':')));
  EXPECT_THAT(properties,
              ElementsAre("AuthMechanism", "BareLinefeedRejectionEnabled", "DomainSecureEnabled",
                          "MaxInboundConnectionPercentagePerSource", "MaxHeaderSize", "MaxLocalHopCount",
                          "PermissionGroups", "PermissionGroups", "RequireEHLODomain", "EnableAuthGSSAPI",
                          "ExtendedProtectionPolicy", "TarpitInterval", "AuthMechanism", "PermissionGroups"));
}

TEST(ExchangeTest, TheClientConnectorDemandsTls) {
  const ImportedConnector connector = Import(Fixture("exchange_names.json")).connectors[1];
  EXPECT_TRUE(connector.server.tls().require_secure_channel());
  EXPECT_FALSE(connector.server.authentication().anonymous());
  EXPECT_FALSE(connector.server.authentication().has_submit()) << "ExchangeUsers: everybody who logs in";
  EXPECT_EQ(connector.server.authentication().basic().default_domain(), "example.com");
  EXPECT_EQ(connector.server.connection_limits().max_per_source(), 0u);
  EXPECT_THAT(
      connector.notes,
      Contains("TlsCertificateName: the certificate is not in this file; import it, and name it in `certificates` "
               "(<I>CN=Example CA<S>CN=smtp.example.com)"));
  EXPECT_THAT(connector.notes, Contains(HasSubstr("MessageRateLimit: 5 messages a minute")));
}

TEST(ExchangeTest, NumbersAndObjectsSayWhatNamesSay) {
  const ImportedConnector connector = Import(Fixture("exchange_numbers.json")).connectors.at(0);
  const VirtualServer& server = connector.server;
  EXPECT_EQ(server.name(), "virtualServers/hub-01");
  EXPECT_EQ(server.fqdn(), "hub.example.com");
  EXPECT_EQ(server.authentication().basic().default_domain(), "example.com");
  EXPECT_TRUE(server.authentication().anonymous());
  EXPECT_TRUE(server.authentication().basic().enabled());
  EXPECT_FALSE(server.authentication().integrated().enabled());
  EXPECT_EQ(server.session_limits().max_duration().seconds(), 600);
  EXPECT_EQ(server.session_limits().idle_timeout().seconds(), 60);
  EXPECT_EQ(server.session_limits().auth_failure_delay().seconds(), 30);
  EXPECT_EQ(server.session_limits().max_auth_failure_delay().seconds(), 30) << "not below the delay";
  EXPECT_EQ(server.connection_limits().max_total(), 100u);
  EXPECT_EQ(server.connection_limits().max_per_source(), 0u);
  EXPECT_EQ(server.message_limits().max_message_octets(), 10'485'760u);
  EXPECT_EQ(server.connection_control().mode(), config::v1::ONLY_LIST);
  EXPECT_THAT(Entries(server.connection_control().entries()), ElementsAre("10.0.0.0/8", "2001:db8::/120", "192.0.2.1"));
  EXPECT_THAT(connector.notes, Contains("MaxHopCount: 5000 is beyond what messageLimits.maxHops takes: 1000 is used"));
  EXPECT_THAT(connector.notes,
              Contains("MaxRecipientsPerMessage: 50 is beyond what messageLimits.maxRecipients takes: 100 is used"));
  EXPECT_THAT(connector.notes, Contains("SizeEnabled: is 2, but SIZE is always offered, with its value"));
}

TEST(ExchangeTest, WhatIsDisabledListensNowhere) {
  const ImportedConnector connector = Import(Fixture("exchange_numbers.json")).connectors.at(0);
  EXPECT_THAT(Listeners(connector.server), IsEmpty());
  EXPECT_THAT(connector.notes, Contains(HasSubstr("(192.168.1.1:2525, [2001:db8::25]:2525)")));
  EXPECT_THAT(One("Enabled: perhaps, Bindings: '0.0.0.0:25'").server.listeners(), IsEmpty()) << "nobody knows";
}

TEST(ExchangeTest, WhomAConnectorTrustsMayRelayUnlessThatIsMoreThanOneNetwork) {
  const ImportedConnector connector = Import(Fixture("exchange_names.json")).connectors[2];
  EXPECT_TRUE(connector.server.authentication().anonymous());
  EXPECT_THAT(Entries(connector.server.relay().entries()),
              ElementsAre("10.1.2.3", "10.9.0.0/16", "192.0.2.10-192.0.2.20"));
  EXPECT_FALSE(connector.server.relay().allow_open_relay());
  EXPECT_THAT(connector.notes, Contains(HasSubstr("that would be an open relay: 0.0.0.0-127.255.255.255")));

  const VirtualServer everybody =
      One("AuthMechanism: ExternalAuthoritative, PermissionGroups: 'AnonymousUsers, Custom', "
          "RemoteIPRanges: ['0.0.0.0-255.255.255.255', '::/0']")
          .server;
  EXPECT_THAT(everybody.relay().entries(), IsEmpty());
  EXPECT_FALSE(everybody.relay().has_mode()) << "only the list";
}

TEST(ExchangeTest, OneAddressAndPortHasOneVirtualServer) {
  const ExchangeImport import = Import(Fixture("exchange_names.json"));
  EXPECT_THAT(Listeners(import.connectors[2].server), IsEmpty());
  EXPECT_THAT(import.connectors[2].notes,
              Contains(HasSubstr("0.0.0.0 port 25 is MAIL01\\Default Frontend MAIL01's too")));
  // Whatever comes first: the one for everybody keeps it.
  const ExchangeImport other = Import(
      "[{Name: few, Fqdn: a.example, Bindings: '192.0.2.1:25', RemoteIPRanges: 10.0.0.0/8}, {Name: all, Fqdn: "
      "a.example, "
      "Bindings: '0.0.0.0:25', RemoteIPRanges: 0.0.0.0-255.255.255.255}]");
  EXPECT_THAT(Listeners(other.connectors[0].server), IsEmpty());
  EXPECT_THAT(Listeners(other.connectors[1].server), ElementsAre("0.0.0.0 25 NONE"));
}

TEST(ExchangeTest, NoPropertyIsDroppedInSilence) {
  EXPECT_THAT(Import(Fixture("exchange_names.json")).connectors[2].notes,
              Contains(R"(Some Future Property: is not known here, not imported: {"A":[1,2,3]})"));
  std::set<std::string_view> known;
  for (const std::string_view property : KnownExchangeProperties())
    EXPECT_TRUE(known.insert(property).second) << property << " is there twice";
  EXPECT_GT(known.size(), 70u);
  // A known one whose value cannot be read.
  for (const std::string_view property : known) {
    const std::string name = property == "Name" ? "{Identity: a, '" : "{Name: a, '";
    const ImportedConnector connector = Import(name + std::string(property) + "': {Strange: true}}").connectors.at(0);
    const bool silent = std::none_of(connector.notes.begin(), connector.notes.end(), [&](const std::string& note) {
      return note.starts_with(std::string(property) + ":");
    });
    static const std::set<std::string_view> kSilent = {"DistinguishedName",
                                                       "ExchangeObjectId",
                                                       "ExchangeVersion",
                                                       "Guid",
                                                       "Id",
                                                       "Identity",
                                                       "IsValid",
                                                       "MaxAcknowledgementDelay",
                                                       "MessageRateSource",
                                                       "Name",
                                                       "ObjectCategory",
                                                       "ObjectClass",
                                                       "ObjectState",
                                                       "OrganizationId",
                                                       "OrganizationalUnitRoot",
                                                       "OriginatingServer",
                                                       "PSComputerName",
                                                       "PSShowComputerName",
                                                       "PSSourceJobInstanceId",
                                                       "RunspaceId",
                                                       "Server",
                                                       "SuppressXAnonymousTls",
                                                       "TransportRole",
                                                       "WhenChanged",
                                                       "WhenChangedUTC",
                                                       "WhenCreated",
                                                       "WhenCreatedUTC"};
    EXPECT_EQ(silent, kSilent.contains(property)) << property;
  }
}

TEST(ExchangeTest, WhatCannotBeReadPermitsLess) {
  EXPECT_EQ(One("RemoteIPRanges: [nowhere]").server.connection_control().mode(), config::v1::ONLY_LIST);
  EXPECT_TRUE(One("RequireTLS: maybe").server.tls().require_secure_channel());
  const VirtualServer server = One("AuthMechanism: Strange, PermissionGroups: Strange").server;
  EXPECT_FALSE(server.authentication().anonymous());
  EXPECT_FALSE(server.authentication().basic().enabled());
}

TEST(ExchangeTest, UsersWhoMayNotSubmitOnExchangeMayNotHere) {
  const VirtualServer server =
      One("AuthMechanism: 'Tls, BasicAuth, BasicAuthRequireTLS', PermissionGroups: AnonymousUsers").server;
  EXPECT_EQ(server.authentication().submit().mode(), config::v1::ONLY_LIST);
  EXPECT_FALSE(server.relay().authenticated_may_relay());
}

TEST(ExchangeTest, PasswordsInClearAreTakenOverAndSaid) {
  const ImportedConnector connector = One("AuthMechanism: BasicAuth, PermissionGroups: ExchangeUsers");
  EXPECT_TRUE(connector.server.authentication().basic().allow_clear_text_credentials());
  EXPECT_THAT(connector.notes, Contains(HasSubstr("passwords may be sent in clear")));
  EXPECT_FALSE(One("AuthMechanism: BasicAuth, PermissionGroups: ExchangeUsers, RequireTLS: true")
                   .server.authentication()
                   .basic()
                   .allow_clear_text_credentials());
}

TEST(ExchangeTest, IdsAreMadeOfNamesAndUnique) {
  const ExchangeImport import = Import(
      "[{Name: 'Édge  (1)', Fqdn: a}, {Name: '465', Fqdn: a}, {Name: '--', Fqdn: a}, {Name: A b, Fqdn: a}, {Name: a-B, "
      "Fqdn: a}, "
      "{Name: " +
      std::string(80, 'x') + ", Fqdn: a}, {Name: " + std::string(70, 'x') + ", Fqdn: a}]");
  std::vector<std::string> names;
  for (const auto& connector : import.connectors) names.push_back(IdOf(connector.server.name()));
  EXPECT_THAT(names, ElementsAre("dge-1", "connector-465", "connector", "a-b", "a-b-2", std::string(63, 'x'),
                                 std::string(61, 'x') + "-2"));
}

TEST(ExchangeTest, ACertificateStandsInUnlessOneIsNamed) {
  const ExchangeImport import = Import(Fixture("exchange_names.json"));
  ASSERT_TRUE(import.certificate.has_value());
  EXPECT_THAT(import.certificate->self_signed().dns_names(), ElementsAre("mail01.example.com", "smtp.example.com"));
  EXPECT_THAT(import.connectors[0].server.certificates(), ElementsAre("certificates/exchange-import"));
  EXPECT_THAT(import.connectors[2].server.certificates(), IsEmpty()) << "it has no listener";
  EXPECT_EQ(import.notes.size(), 3u);

  Shorthand surroundings;
  surroundings.certificates = {"mail"};
  surroundings.local_domains = {"example.com"};
  surroundings.next_hops = {"10.0.0.5:25"};
  const ExchangeImport own = Import(Fixture("exchange_names.json"), surroundings);
  EXPECT_FALSE(own.certificate.has_value());
  EXPECT_THAT(own.connectors[0].server.certificates(), ElementsAre("certificates/mail"));
  EXPECT_EQ(own.connectors[1].server.local_domains(0).domain(), "example.com");
  EXPECT_EQ(own.connectors[2].server.delivery().default_route().next_hops(0).host(), "10.0.0.5");
  EXPECT_THAT(own.notes, IsEmpty());
}

TEST(ExchangeTest, AServerWithoutANameForItselfHasItsHosts) {
  const ImportedConnector connector = Import("{Name: a, Server: MAIL01}").connectors.at(0);
  EXPECT_EQ(connector.server.fqdn(), "mail01");
  EXPECT_THAT(connector.notes, Contains(HasSubstr("Fqdn: is not there")));
  EXPECT_EQ(Import("{Name: a, Fqdn: 'under_score'}").connectors.at(0).server.fqdn(), "set-fqdn.invalid");
}

TEST(ExchangeTest, WindowsWritesUtf16) {
  std::string text = "\xff\xfe";
  for (const char c : Fixture("exchange_numbers.json")) text += {c, '\0'};
  EXPECT_EQ(Import(text).connectors.at(0).server.fqdn(), "hub.example.com");
}

TEST(ExchangeTest, WhatIsNoListOfConnectorsIsAMistake) {
  for (const char* text :
       {"", "[]", "{", "[1]", "text", "{Bindings: []}", "{Name: a, Name: b}", "{Name: a, Fqdn: &x [*x]}"}) {
    const auto import = ImportExchange(text, {});
    EXPECT_TRUE(IsUsageError(import.status())) << text;
  }
}

TEST(ExchangeTest, NotesCannotDriveATerminal) {
  for (const std::string& note : One(R"("Banner": "220 \u001b[2J", "Zed\u0007": 1)").notes)
    EXPECT_THAT(note, Not(Contains('\x1b'))) << note;
}

}  // namespace
}  // namespace gatepost::ctl
