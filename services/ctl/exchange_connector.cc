// Longer than a source should be: the tables of properties (what is mapped, what is known to mean nothing here, what has no
// counterpart) stand beside the code that reads them, so that one place says what becomes of each.
#include "services/ctl/exchange_connector.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "services/base/domain_name.h"
#include "services/base/strings.h"
#include "services/ctl/output.h"

namespace gatepost::ctl {
namespace {

using base::IpAddress;
using base::IpPrefix;
using base::IpRange;
using base::StrCat;
using config::v1::ClientEntry;
using config::v1::Listener;
using google::protobuf::util::TimeUtil;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Exchange's enums (their numbers are those of its management assembly).
constexpr uint32_t kTls = 1, kIntegrated = 2, kBasic = 4, kBasicRequiresTls = 8, kExchangeServer = 16,
                   kExternalAuthoritative = 32;
const FlagNames& Mechanisms() {
  static const FlagNames kNames = {{"None", 0},
                                   {"Tls", kTls},
                                   {"Integrated", kIntegrated},
                                   {"BasicAuth", kBasic},
                                   {"BasicAuthRequireTLS", kBasicRequiresTls},
                                   {"ExchangeServer", kExchangeServer},
                                   {"ExternalAuthoritative", kExternalAuthoritative}};
  return kNames;
}
constexpr uint32_t kAnonymous = 1, kUsers = 2, kServers = 4, kLegacyServers = 8, kPartners = 16, kCustom = 32;
const FlagNames& Groups() {
  static const FlagNames kNames = {{"None", 0},
                                   {"AnonymousUsers", kAnonymous},
                                   {"ExchangeUsers", kUsers},
                                   {"ExchangeServers", kServers},
                                   {"ExchangeLegacyServers", kLegacyServers},
                                   {"Partners", kPartners},
                                   {"Custom", kCustom}};
  return kNames;
}

// Properties that say who, when and where, or about Exchange's own inner life; nothing about clients.
constexpr std::string_view kIrrelevant[] = {"DistinguishedName",
                                            "ExchangeObjectId",
                                            "ExchangeVersion",
                                            "Guid",
                                            "Id",
                                            "Identity",
                                            "IsValid",
                                            "MaxAcknowledgementDelay",
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

// Switches that have no counterpart; they matter in one of their positions.
struct Switch {
  std::string_view property;
  bool as_here;  // the position that is what a virtual server does anyway
  std::string_view note;
};
constexpr Switch kSwitches[] = {
    {"AcceptConsumerMail", false, "has no counterpart"},
    {"AdvertiseClientSettings", false, "has no counterpart"},
    {"BareLinefeedRejectionEnabled", true, "is false, but messages with bare line feeds are always refused"},
    {"BinaryMimeEnabled", true, "is false, but BINARYMIME is offered wherever the next hop takes it"},
    {"ChunkingEnabled", true, "is false, but CHUNKING is always offered"},
    {"DeliveryStatusNotificationEnabled", true, "is false, but DSN is offered wherever the next hop takes it"},
    {"DomainSecureEnabled", false,
     "has no counterpart; partners can be made to show a certificate by tls.clientCertificates"},
    {"EightBitMimeEnabled", true, "is false, but 8BITMIME is always offered"},
    {"EnableAuthGSSAPI", true, "is false, but GSSAPI is one of the integrated mechanisms"},
    {"EnhancedStatusCodesEnabled", true, "is false, but ENHANCEDSTATUSCODES is always offered"},
    {"LiveCredentialEnabled", false, "has no counterpart"},
    {"LongAddressesEnabled", false, "has no counterpart: addresses are as long as RFC 5321 lets them be"},
    {"OrarEnabled", false, "has no counterpart"},
    {"PipeliningEnabled", true, "is false, but PIPELINING is always offered"},
    {"ProxyEnabled", false, "has no counterpart"},
    {"RejectReservedSecondLevelRecipientDomains", false, "has no counterpart"},
    {"RejectReservedTopLevelRecipientDomains", false, "has no counterpart"},
    {"RejectSingleLabelRecipientDomains", false, "has no counterpart"},
    {"RequireEHLODomain", true, "is false, but EHLO and HELO always need a domain"},
    {"SmtpUtf8Enabled", true, "is false, but SMTPUTF8 is offered wherever the next hop takes it"},
};

// Values that have no counterpart.
struct Without {
  std::string_view property;
  std::string_view note;
};
constexpr Without kWithout[] = {
    {"AdminDisplayName", "has no counterpart"},
    {"Comment", "has no counterpart"},
    {"MaxHeaderSize", "has no counterpart: the whole message is limited"},
    {"MaxInboundConnectionPercentagePerSource", "has no counterpart: connections are limited by numbers"},
    {"MaxLocalHopCount", "has no counterpart: messageLimits.maxHops counts all hops"},
    {"ServiceDiscoveryFqdn", "has no counterpart"},
    {"TlsCertificateName", "the certificate is not in this file; import it, and name it in `certificates`"},
    {"TlsDomainCapabilities", "has no counterpart"},
};

IpRange Everything(bool v4) {
  std::array<uint8_t, 16> last;
  last.fill(0xff);
  return v4 ? IpRange{IpAddress(), IpAddress::V4(0xffffffff)} : IpRange{*IpAddress::Parse("::"), IpAddress::V6(last)};
}

bool Covers(const std::vector<IpRange>& ranges, bool v4) {
  const IpRange all = Everything(v4);
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const IpRange& own) { return own.first == all.first && own.last == all.last; });
}

// The prefix that is exactly this range, if there is one.
std::optional<IpPrefix> AsPrefix(const IpRange& range) {
  // The narrowest one that has both ends.
  int length = range.first.bits();
  while (range.first.Masked(length) != range.last.Masked(length)) --length;
  const IpPrefix prefix{range.first.Masked(length), length};
  if (prefix.address != range.first) return std::nullopt;
  for (int bit = length; bit < range.first.bits(); ++bit)
    if (range.last.Masked(bit + 1) == range.last.Masked(bit)) return std::nullopt;  // a zero: it goes beyond the end
  return prefix;
}

void SetRange(const IpRange& range, ClientEntry* entry) {
  if (range.first == range.last) {
    entry->set_address(range.first.ToString());
  } else if (const std::optional<IpPrefix> prefix = AsPrefix(range)) {
    entry->set_subnet(prefix->ToString());
  } else {
    entry->set_range(range.ToString());
  }
}

// Of a size that one organisation has: whom a connector trusts as a whole.
bool IsOneNetwork(const IpRange& range) {
  for (const char* text : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7"}) {
    const IpPrefix own = *IpPrefix::Parse(text);
    if (own.Contains(range.first) && own.Contains(range.last)) return true;
  }
  const int length = range.first.is_v4() ? 16 : 48;
  return IpPrefix{range.first.Masked(length), length}.Contains(range.last);
}

}  // namespace

struct PropertyTable {
  using Handler = void (ExchangeConnector::*)(const std::string&, const YAML::Node&);
  struct Row {
    std::string_view property;
    Handler handler;
  };
  static constexpr Row kRows[] = {
      {"AuthMechanism", &ExchangeConnector::AuthMechanism},
      {"AuthTarpitInterval", &ExchangeConnector::Tarpit},
      {"Banner", &ExchangeConnector::Banner},
      {"Bindings", &ExchangeConnector::Bindings},
      {"ConnectionInactivityTimeout", &ExchangeConnector::ConnectionInactivityTimeout},
      {"ConnectionTimeout", &ExchangeConnector::ConnectionTimeout},
      {"DefaultDomain", &ExchangeConnector::DefaultDomain},
      {"Enabled", &ExchangeConnector::Enabled},
      {"ExtendedProtectionPolicy", &ExchangeConnector::ExtendedProtection},
      {"Fqdn", &ExchangeConnector::Fqdn},
      {"MaxHopCount", &ExchangeConnector::MaxHopCount},
      {"MaxInboundConnection", &ExchangeConnector::MaxInbound},
      {"MaxInboundConnectionPerSource", &ExchangeConnector::MaxInboundPerSource},
      {"MaxLogonFailures", &ExchangeConnector::MaxLogonFailures},
      {"MaxMessageSize", &ExchangeConnector::MaxMessageSize},
      {"MaxProtocolErrors", &ExchangeConnector::MaxProtocolErrors},
      {"MaxRecipientsPerMessage", &ExchangeConnector::MaxRecipients},
      {"MessageRateLimit", &ExchangeConnector::MessageRateLimit},
      {"MessageRateSource", nullptr},  // said with MessageRateLimit
      {"PermissionGroups", &ExchangeConnector::PermissionGroups},
      {"ProtocolLoggingLevel", &ExchangeConnector::ProtocolLoggingLevel},
      {"RemoteIPRanges", &ExchangeConnector::RemoteIpRanges},
      {"RequireTLS", &ExchangeConnector::RequireTls},
      {"SizeEnabled", &ExchangeConnector::SizeEnabled},
      {"TarpitInterval", &ExchangeConnector::Tarpit},
  };
};

std::vector<std::string_view> KnownExchangeProperties() {
  std::vector<std::string_view> known(std::begin(kIrrelevant), std::end(kIrrelevant));
  for (const PropertyTable::Row& row : PropertyTable::kRows) known.push_back(row.property);
  for (const Switch& row : kSwitches) known.push_back(row.property);
  for (const Without& row : kWithout) known.push_back(row.property);
  return known;
}

void ExchangeConnector::Note(const std::string& property, std::string_view text) {
  out_.notes.push_back(Printable(StrCat(property, ": ", text)));
}

void ExchangeConnector::Unread(const std::string& property, const YAML::Node& value) {
  Note(property, StrCat("cannot be read, not imported: ", Abridged(value)));
}

uint64_t ExchangeConnector::Bounded(const std::string& property, uint64_t value, uint64_t least, uint64_t most,
                                    const char* field) {
  const uint64_t bounded = std::clamp(value, least, most);
  if (bounded != value) Note(property, StrCat(value, " is beyond what ", field, " takes: ", bounded, " is used"));
  return bounded;
}

milliseconds ExchangeConnector::Bounded(const std::string& property, milliseconds value, milliseconds least,
                                        milliseconds most, const char* field) {
  const milliseconds bounded = std::clamp(value, least, most);
  if (bounded != value)
    Note(property,
         StrCat(value.count() / 1000, " s is beyond what ", field, " takes: ", bounded.count() / 1000, " s is used"));
  return bounded;
}

std::optional<uint64_t> ExchangeConnector::Count(const std::string& property, const YAML::Node& value) {
  const std::optional<Amount> amount = ReadCount(value);
  if (!amount) {
    Unread(property, value);
    return std::nullopt;
  }
  return amount->unlimited ? 0 : amount->value;
}

ImportedConnector ExchangeConnector::Convert() {
  out_.title = ReadText(Member(properties_, "Identity")).value_or("");
  if (out_.title.empty()) out_.title = ReadText(Member(properties_, "Name")).value_or("");
  for (const auto& entry : properties_) Read(entry.first.Scalar(), entry.second);
  FinishName();
  FinishListeners();
  FinishAuthentication();
  FinishClients();
  FinishRelay();
  return std::move(out_);
}

void ExchangeConnector::Read(const std::string& property, const YAML::Node& value) {
  if (std::find(std::begin(kIrrelevant), std::end(kIrrelevant), property) != std::end(kIrrelevant)) return;
  if (IsNothing(value)) return;
  for (const PropertyTable::Row& row : PropertyTable::kRows) {
    if (row.property != property) continue;
    if (row.handler != nullptr) (this->*row.handler)(property, value);
    return;
  }
  for (const Switch& row : kSwitches) {
    if (row.property != property) continue;
    const std::optional<bool> is = ReadSwitch(value);
    if (!is)
      Unread(property, value);
    else if (*is != row.as_here)
      Note(property, row.note);
    return;
  }
  for (const Without& row : kWithout) {
    if (row.property != property) continue;
    Note(property, StrCat(row.note, " (", Abridged(value), ")"));
    return;
  }
  Note(property, StrCat("is not known here, not imported: ", Abridged(value)));
}

void ExchangeConnector::AuthMechanism(const std::string& property, const YAML::Node& value) {
  const std::optional<uint32_t> flags = ReadFlags(value, Mechanisms());
  if (!flags) return Unread(property, value);
  mechanisms_ = *flags;
  constexpr uint32_t kKnown = (kExternalAuthoritative << 1) - 1;
  if ((*flags & ~kKnown) != 0) Note(property, StrCat("has flags that are not known here: ", Abridged(value)));
  if ((*flags & kExchangeServer) != 0)
    Note(property,
         "ExchangeServer has no counterpart: Exchange servers log in like other users, or are named in relay.entries");
}

void ExchangeConnector::PermissionGroups(const std::string& property, const YAML::Node& value) {
  const std::optional<uint32_t> flags = ReadFlags(value, Groups());
  if (!flags) return Unread(property, value);
  groups_ = *flags;
  constexpr uint32_t kKnown = (kCustom << 1) - 1;
  if ((*flags & ~kKnown) != 0) Note(property, StrCat("has flags that are not known here: ", Abridged(value)));
  for (const auto& [flag, name] :
       {std::pair{kServers, "ExchangeServers"}, std::pair{kLegacyServers, "ExchangeLegacyServers"},
        std::pair{kPartners, "Partners"}, std::pair{kCustom, "Custom"}}) {
    if ((*flags & flag) != 0)
      Note(property, StrCat(name, " has no counterpart: permissions are those of users and groups"));
  }
}

void ExchangeConnector::Banner(const std::string& property, const YAML::Node& value) {
  Note(property,
       StrCat("not imported, for a greeting begins with the FQDN and ESMTP; see bannerText (", Abridged(value), ")"));
}

void ExchangeConnector::Bindings(const std::string& property, const YAML::Node& value) {
  const auto add = [&](const YAML::Node& binding) {
    const std::optional<base::Endpoint> endpoint = ReadBinding(binding);
    if (!endpoint || endpoint->port == 0) return Unread(property, binding);
    if (std::find(bindings_.begin(), bindings_.end(), *endpoint) == bindings_.end()) bindings_.push_back(*endpoint);
  };
  if (!value.IsSequence()) return add(value);
  for (const YAML::Node& binding : value) add(binding);
}

void ExchangeConnector::RemoteIpRanges(const std::string& property, const YAML::Node& value) {
  const auto add = [&](const YAML::Node& node) {
    const std::optional<IpRange> range = ReadRange(node);
    if (!range) return Unread(property, node);
    const bool known = std::any_of(ranges_.begin(), ranges_.end(), [&](const IpRange& own) {
      return own.first == range->first && own.last == range->last;
    });
    if (!known) ranges_.push_back(*range);
  };
  // (What cannot be read must not leave the list looking empty.)
  for_everybody_ = false;
  if (!value.IsSequence()) return add(value);
  for (const YAML::Node& node : value) add(node);
}

void ExchangeConnector::ConnectionInactivityTimeout(const std::string& property, const YAML::Node& value) {
  const std::optional<milliseconds> time = ReadDuration(value);
  if (!time) return Unread(property, value);
  const milliseconds idle = Bounded(property, *time, seconds(10), hours(1), "sessionLimits.idleTimeout");
  *server_.mutable_session_limits()->mutable_idle_timeout() = TimeUtil::MillisecondsToDuration(idle.count());
  *server_.mutable_session_limits()->mutable_data_timeout() = TimeUtil::MillisecondsToDuration(idle.count());
}

void ExchangeConnector::ConnectionTimeout(const std::string& property, const YAML::Node& value) {
  const std::optional<milliseconds> time = ReadDuration(value);
  if (!time) return Unread(property, value);
  const milliseconds longest = Bounded(property, *time, minutes(1), hours(7 * 24), "sessionLimits.maxDuration");
  *server_.mutable_session_limits()->mutable_max_duration() = TimeUtil::MillisecondsToDuration(longest.count());
}

void ExchangeConnector::Tarpit(const std::string& property, const YAML::Node& value) {
  const std::optional<milliseconds> time = ReadDuration(value);
  if (!time) return Unread(property, value);
  const bool auth = property == "AuthTarpitInterval";
  if (!auth && time->count() > 0)
    Note(property, "is approximated: answers to failed logons are delayed, other refusals are not");
  if (!auth && auth_tarpit_) return;
  auth_tarpit_ = auth_tarpit_ || auth;
  const milliseconds delay = Bounded(property, *time, milliseconds(0), seconds(60), "sessionLimits.authFailureDelay");
  config::v1::SessionLimits* limits = server_.mutable_session_limits();
  *limits->mutable_auth_failure_delay() = TimeUtil::MillisecondsToDuration(delay.count());
  limits->clear_max_auth_failure_delay();
  if (delay > seconds(5)) *limits->mutable_max_auth_failure_delay() = limits->auth_failure_delay();
}

void ExchangeConnector::DefaultDomain(const std::string& property, const YAML::Node& value) {
  const std::optional<std::string> text = ReadText(value);
  if (!text || !base::CanonicalDomain(*text, 253).ok()) return Unread(property, value);
  server_.mutable_authentication()->mutable_basic()->set_default_domain(*text);
}

void ExchangeConnector::Enabled(const std::string& property, const YAML::Node& value) {
  const std::optional<bool> is = ReadSwitch(value);
  if (!is) Unread(property, value);
  enabled_ = is.value_or(false);
}

void ExchangeConnector::ExtendedProtection(const std::string& property, const YAML::Node& value) {
  const std::optional<uint32_t> policy = ReadFlags(value, {{"None", 0}, {"Allow", 1}, {"Require", 2}});
  if (!policy) return Unread(property, value);
  if (*policy == 0) Note(property, "is None, but a channel binding is verified where the client sends one");
  if (*policy > 1) Note(property, "is not imported; see authentication.integrated.ntlm.channelBinding");
}

void ExchangeConnector::Fqdn(const std::string& property, const YAML::Node& value) {
  const std::optional<std::string> text = ReadText(value);
  if (!text || !base::CanonicalDomain(*text, 253).ok()) return Unread(property, value);
  server_.set_fqdn(*text);
}

void ExchangeConnector::MaxHopCount(const std::string& property, const YAML::Node& value) {
  if (const std::optional<uint64_t> count = Count(property, value))
    server_.mutable_message_limits()->set_max_hops(
        static_cast<uint32_t>(Bounded(property, *count, 1, 1'000, "messageLimits.maxHops")));
}

void ExchangeConnector::MaxInbound(const std::string& property, const YAML::Node& value) {
  if (const std::optional<uint64_t> count = Count(property, value))
    server_.mutable_connection_limits()->set_max_total(
        static_cast<uint32_t>(Bounded(property, *count, 0, 1'000'000, "connectionLimits.maxTotal")));
}

void ExchangeConnector::MaxInboundPerSource(const std::string& property, const YAML::Node& value) {
  if (const std::optional<uint64_t> count = Count(property, value))
    server_.mutable_connection_limits()->set_max_per_source(
        static_cast<uint32_t>(Bounded(property, *count, 0, 1'000'000, "connectionLimits.maxPerSource")));
}

void ExchangeConnector::MaxLogonFailures(const std::string& property, const YAML::Node& value) {
  const std::optional<Amount> amount = ReadCount(value);
  if (!amount) return Unread(property, value);
  server_.mutable_session_limits()->set_max_auth_failures(static_cast<uint32_t>(
      Bounded(property, amount->unlimited ? UINT32_MAX : amount->value, 1, 10, "sessionLimits.maxAuthFailures")));
}

void ExchangeConnector::MaxMessageSize(const std::string& property, const YAML::Node& value) {
  const std::optional<Amount> amount = ReadOctets(value);
  if (!amount) return Unread(property, value);
  server_.mutable_message_limits()->set_max_message_octets(
      amount->unlimited ? 0 : Bounded(property, amount->value, 1, uint64_t{1} << 40, "messageLimits.maxMessageOctets"));
}

void ExchangeConnector::MaxProtocolErrors(const std::string& property, const YAML::Node& value) {
  const std::optional<Amount> amount = ReadCount(value);
  if (!amount) return Unread(property, value);
  server_.mutable_session_limits()->set_max_protocol_errors(static_cast<uint32_t>(
      Bounded(property, amount->unlimited ? UINT32_MAX : amount->value, 1, 1'000, "sessionLimits.maxProtocolErrors")));
}

void ExchangeConnector::MaxRecipients(const std::string& property, const YAML::Node& value) {
  const std::optional<Amount> amount = ReadCount(value);
  if (!amount) return Unread(property, value);
  server_.mutable_message_limits()->set_max_recipients(static_cast<uint32_t>(
      Bounded(property, amount->unlimited ? UINT32_MAX : amount->value, 100, 100'000, "messageLimits.maxRecipients")));
}

void ExchangeConnector::MessageRateLimit(const std::string& property, const YAML::Node& value) {
  const std::optional<Amount> amount = ReadCount(value);
  if (!amount) return Unread(property, value);
  if (!amount->unlimited)
    Note(property, StrCat(amount->value,
                          " messages a minute have no counterpart; see connectionLimits.maxNewPerSourcePerMinute"));
}

void ExchangeConnector::ProtocolLoggingLevel(const std::string& property, const YAML::Node& value) {
  const std::optional<uint32_t> level = ReadFlags(value, {{"None", 0}, {"Verbose", 1}});
  if (!level) return Unread(property, value);
  if (*level != 0) server_.mutable_logging()->set_protocol_log(true);
}

void ExchangeConnector::RequireTls(const std::string& property, const YAML::Node& value) {
  const std::optional<bool> is = ReadSwitch(value);
  if (!is) Unread(property, value);
  require_tls_ = is.value_or(true);  // the stricter one
}

void ExchangeConnector::SizeEnabled(const std::string& property, const YAML::Node& value) {
  const std::optional<uint32_t> how = ReadFlags(value, {{"Disabled", 0}, {"Enabled", 1}, {"EnabledWithoutValue", 2}});
  if (!how) return Unread(property, value);
  if (*how != 1) Note(property, StrCat("is ", Abridged(value), ", but SIZE is always offered, with its value"));
}

void ExchangeConnector::FinishName() {
  const std::string name = ReadText(Member(properties_, "Name")).value_or(out_.title);
  server_.set_display_name(name);
  if (!server_.fqdn().empty()) return;
  // Exchange says the name of its server then.
  const std::optional<std::string> host = ReadText(Member(properties_, "Server"));
  if (host && base::CanonicalDomain(*host, 253).ok()) {
    server_.set_fqdn(base::AsciiLower(*host));
    Note("Fqdn", StrCat("is not there: the server's name, ", server_.fqdn(), ", is used"));
  } else {
    server_.set_fqdn("set-fqdn.invalid");
    Note("Fqdn", "is not there: set fqdn to the name that users type");
  }
}

void ExchangeConnector::FinishListeners() {
  const bool tls = require_tls_ || (mechanisms_ & kTls) != 0;
  if (require_tls_) server_.mutable_tls()->set_require_secure_channel(true);
  std::string left_out;
  for (const base::Endpoint& binding : bindings_) {
    if (!enabled_) {
      base::StrAppend(&left_out, left_out.empty() ? "" : ", ", binding.ToString());
      continue;
    }
    Listener* listener = server_.add_listeners();
    listener->set_address(binding.address.ToString());
    listener->set_port(binding.port);
    listener->set_tls_mode(tls ? Listener::STARTTLS : Listener::NONE);
  }
  if (!enabled_)
    Note("Enabled",
         StrCat("is false: a new virtual server begins to work at once, so it gets no listeners (", left_out, ")"));
}

void ExchangeConnector::FinishAuthentication() {
  config::v1::Authentication* authentication = server_.mutable_authentication();
  authentication->set_anonymous((groups_ & kAnonymous) != 0);
  authentication->mutable_basic()->set_enabled((mechanisms_ & kBasic) != 0);
  authentication->mutable_integrated()->set_enabled((mechanisms_ & kIntegrated) != 0);
  if ((mechanisms_ & kBasic) != 0 && (mechanisms_ & kBasicRequiresTls) == 0 && !require_tls_) {
    authentication->mutable_basic()->set_allow_clear_text_credentials(true);
    Note("AuthMechanism",
         "BasicAuth without BasicAuthRequireTLS: passwords may be sent in clear, here too; "
         "clear authentication.basic.allowClearTextCredentials where no client needs it");
  }
  if ((mechanisms_ & kIntegrated) != 0 && !require_tls_)
    Note("AuthMechanism", "Integrated is approximated: it is offered under TLS alone");
  if ((groups_ & kUsers) == 0 && (mechanisms_ & (kBasic | kIntegrated)) != 0) {
    authentication->mutable_submit()->set_mode(config::v1::ONLY_LIST);
    server_.mutable_relay()->set_authenticated_may_relay(false);
    Note("PermissionGroups",
         "has no ExchangeUsers: who logs in may not submit, until authentication.submit names somebody");
  }
}

void ExchangeConnector::FinishClients() {
  // Where nothing says on which addresses it listens, it may be on those of either family.
  const bool unknown = bindings_.empty();
  const bool v4 =
      unknown || std::any_of(bindings_.begin(), bindings_.end(), [](const auto& own) { return own.address.is_v4(); });
  const bool v6 =
      unknown || std::any_of(bindings_.begin(), bindings_.end(), [](const auto& own) { return own.address.is_v6(); });
  for_everybody_ =
      for_everybody_ || ((!v4 || Covers(ranges_, true)) && (!v6 || Covers(ranges_, false)) && !ranges_.empty());
  if (for_everybody_) return;
  config::v1::ConnectionControl* control = server_.mutable_connection_control();
  control->set_mode(config::v1::ONLY_LIST);
  for (const IpRange& range : ranges_) SetRange(range, control->add_entries());
}

void ExchangeConnector::FinishRelay() {
  if ((groups_ & kAnonymous) != 0)
    Note("PermissionGroups",
         "AnonymousUsers may send to the local domains alone; whether they may relay "
         "(ms-Exch-SMTP-Accept-Any-Recipient) is not in this file: name those who may in relay.entries");
  if ((mechanisms_ & kExternalAuthoritative) == 0) return;
  // Who connects is trusted: they relay without logging in, if they are few enough to be trusted.
  server_.mutable_authentication()->set_anonymous(true);
  std::string left_out;
  for (const IpRange& range : ranges_) {
    if (IsOneNetwork(range)) {
      SetRange(range, server_.mutable_relay()->add_entries());
    } else {
      base::StrAppend(&left_out, left_out.empty() ? "" : ", ", range.ToString());
    }
  }
  Note("AuthMechanism",
       "ExternalAuthoritative is approximated: clients of RemoteIPRanges need not log in and may relay; "
       "nothing else is taken on trust from them");
  if (!left_out.empty())
    Note("AuthMechanism",
         StrCat("ExternalAuthoritative: more than one network may not relay without logging in, that would "
                "be an open relay: ",
                left_out));
}

}  // namespace gatepost::ctl
