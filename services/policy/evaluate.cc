#include "services/policy/evaluate.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <variant>

#include "services/base/strings.h"

namespace gatepost::policy {
namespace {

using base::StrCat;

void Note(Trace* trace, std::string_view rule, bool matched) {
  if (trace != nullptr) trace->push_back({std::string(rule), matched});
}

constexpr std::string_view kOnLookupFailure = "reverse_lookup.on_lookup_failure";

Verdict Accept(Reason reason, std::string rule) { return {true, reason, std::move(rule)}; }
Verdict Refuse(Reason reason, std::string rule) { return {false, reason, std::move(rule)}; }

// How a list of clients decides.
struct ListJudgement {
  enum class Outcome { kAdmitted, kRefused, kUnasked, kFailed };
  Outcome outcome;
  std::string rule;  // the entry that matched, or the mode
};

// Of the entries that hold one of the names, the one with the longest domain, then the first.
std::optional<size_t> FindName(const ClientList& list, const DomainSet& domains, const std::vector<std::string>& names) {
  std::optional<size_t> best;
  for (const std::string& name : names) {
    const std::optional<size_t> entry = domains.Find(name);
    if (!entry) continue;
    const auto length = [&](size_t index) { return std::get<ClientDomain>(list.entries[index]).domain.size(); };
    if (!best || length(*entry) > length(*best) || (length(*entry) == length(*best) && *entry < *best)) best = entry;
  }
  return best;
}

// `path`: that of the list's message in the API.
ListJudgement JudgeList(const ClientList& list, const CompiledClientList& compiled, const ClientFacts& client,
                        std::string_view path, Trace* trace) {
  using Outcome = ListJudgement::Outcome;
  const auto decide = [&](std::optional<size_t> entry) -> ListJudgement {
    std::string rule = entry ? StrCat(path, ".entries[", *entry, "]") : StrCat(path, ".mode");
    Note(trace, rule, true);
    const bool admitted = entry.has_value() == (list.mode == ListMode::kOnlyList);
    return {admitted ? Outcome::kAdmitted : Outcome::kRefused, std::move(rule)};
  };
  const std::optional<size_t> by_address = compiled.addresses.Find(client.address);
  if (by_address || compiled.domains.empty()) return decide(by_address);
  switch (client.name.state) {
    case ClientName::State::kUnasked:
      return {Outcome::kUnasked, std::string(kOnLookupFailure)};
    case ClientName::State::kFailed:
      return {Outcome::kFailed, std::string(kOnLookupFailure)};
    case ClientName::State::kConfirmed:
    case ClientName::State::kUnknown:
      break;
  }
  return decide(FindName(list, compiled.domains, client.name.names));
}

// The first principal that is this user or one of its groups.
std::optional<size_t> FindPrincipal(const Permission& permission, const Identity& identity) {
  const auto is_identity = [&](const std::string& principal) {
    return principal == identity.user ||
           std::find(identity.groups.begin(), identity.groups.end(), principal) != identity.groups.end();
  };
  const auto found = std::find_if(permission.principals.begin(), permission.principals.end(), is_identity);
  if (found == permission.principals.end()) return std::nullopt;
  return static_cast<size_t>(found - permission.principals.begin());
}

struct PermissionJudgement {
  bool may;
  std::string rule;
};

// `own`: the user's own permission, which the list can only narrow. `own_path`: its path. `everybody`: the rule that
// grants it where no list narrows it.
PermissionJudgement JudgePermission(const Permission& permission, const Identity& identity, bool own,
                                    std::string_view own_path, std::string_view path, std::string_view everybody,
                                    Trace* trace) {
  if (!own) {
    Note(trace, own_path, true);
    return {false, std::string(own_path)};
  }
  if (permission.mode == ListMode::kAllExcept && permission.principals.empty()) return {true, std::string(everybody)};
  const std::optional<size_t> principal = FindPrincipal(permission, identity);
  std::string rule = principal ? StrCat(path, ".principals[", *principal, "]") : StrCat(path, ".mode");
  Note(trace, rule, true);
  return {principal.has_value() == (permission.mode == ListMode::kOnlyList), std::move(rule)};
}

// Whether a failed lookup, of a decision with this setting, lets the client pass; nothing: it has to come again.
std::optional<bool> AfterFailure(OnLookupFailure setting) {
  switch (setting) {
    case OnLookupFailure::kTempfail:
      return std::nullopt;
    case OnLookupFailure::kAllow:
      return true;
    case OnLookupFailure::kDeny:
      return false;
  }
  return std::nullopt;
}

// Whether `sender` is among `addresses` (`user@domain`, or `@domain`); local parts by their exact letters.
bool Covers(const std::vector<std::string>& addresses, const Mailbox& sender) {
  return std::any_of(addresses.begin(), addresses.end(), [&](std::string_view address) {
    const size_t at = address.rfind('@');
    if (at == std::string_view::npos || !base::EqualsIgnoreCase(address.substr(at + 1), sender.domain)) return false;
    return at == 0 || address.substr(0, at) == sender.local;
  });
}

Verdict JudgeSender(const Authentication& authentication, const Identity& identity, const Mailbox& sender,
                    std::string rule, Trace* trace) {
  // The null path names nobody (RFC 5321 4.5.5).
  if (sender.domain.empty() && sender.local.empty()) return Accept(Reason::kAllowed, std::move(rule));
  if (!identity.senders.empty()) {
    const bool bound = !Covers(identity.senders, sender);
    Note(trace, "credential.senders", bound);
    if (bound) return Refuse(Reason::kMayNotSendAs, "credential.senders");
  }
  if (authentication.send_as == SendAs::kOwnAddresses) {
    const std::vector<std::string> login{identity.login};
    const bool foreign = !Covers(identity.addresses.empty() ? login : identity.addresses, sender);
    Note(trace, "authentication.send_as", foreign);
    if (foreign) return Refuse(Reason::kMayNotSendAs, "authentication.send_as");
  }
  return Accept(Reason::kAllowed, std::move(rule));
}

Verdict JudgeRelay(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity,
                   Lookup* needed, Trace* trace) {
  const VirtualServer& settings = server.settings();
  if (identity != nullptr) {
    const bool may = settings.relay.authenticated_may_relay;
    Note(trace, "relay.authenticated_may_relay", may);
    if (may) {
      PermissionJudgement permission = JudgePermission(settings.relay.authenticated, *identity, identity->may_relay,
                                                       "user.may_relay", "relay.authenticated",
                                                       "relay.authenticated_may_relay", trace);
      if (permission.may) return Accept(Reason::kRelayAllowed, std::move(permission.rule));
    }
  }
  ListJudgement list = JudgeList(settings.relay.list, server.relay_list(), client, "relay", trace);
  switch (list.outcome) {
    case ListJudgement::Outcome::kAdmitted:
      return Accept(Reason::kRelayAllowed, std::move(list.rule));
    case ListJudgement::Outcome::kRefused:
      return Refuse(Reason::kRelayDenied, std::move(list.rule));
    case ListJudgement::Outcome::kUnasked:
      if (needed != nullptr) *needed = Lookup::kClientName;
      break;
    case ListJudgement::Outcome::kFailed:
      break;
  }
  Note(trace, list.rule, true);
  if (!AfterFailure(settings.reverse_lookup.on_lookup_failure))
    return Refuse(Reason::kReverseLookupFailed, std::move(list.rule));
  // Not knowing a name is never a reason to relay, in no mode of the list: whoever can make a lookup fail would gain.
  return Refuse(Reason::kRelayDenied, std::move(list.rule));
}

// `accepted`: by everything else.
Verdict JudgeBlockLists(const Filters& filters, const ClientFacts& client, Verdict accepted, Lookup* needed,
                        Trace* trace) {
  switch (client.listing.state) {
    case BlockListing::State::kNotListed:
      Note(trace, "filters.block_lists", false);
      return accepted;
    case BlockListing::State::kListed: {
      std::string rule = StrCat("filters.block_lists[", client.listing.list, "]");
      Note(trace, rule, true);
      return Refuse(Reason::kBlockListed, std::move(rule));
    }
    case BlockListing::State::kUnasked:
      if (needed != nullptr) *needed = Lookup::kBlockLists;
      break;
    case BlockListing::State::kFailed:
      break;
  }
  Note(trace, "filters.on_lookup_failure", true);
  const std::optional<bool> pass = AfterFailure(filters.on_lookup_failure);
  if (!pass) return Refuse(Reason::kBlockListsFailed, "filters.on_lookup_failure");
  if (*pass) return accepted;
  return Refuse(Reason::kBlockListsDenied, "filters.on_lookup_failure");
}

Verdict ConnectionVerdict(const CompiledVirtualServer& server, const ClientFacts& client, Lookup* needed,
                          Trace* trace) {
  const VirtualServer& settings = server.settings();
  ListJudgement list =
      JudgeList(settings.connection_control, server.connection_list(), client, "connection_control", trace);
  switch (list.outcome) {
    case ListJudgement::Outcome::kAdmitted:
      return Accept(Reason::kAllowed, std::move(list.rule));
    case ListJudgement::Outcome::kRefused:
      return Refuse(Reason::kClientNotPermitted, std::move(list.rule));
    case ListJudgement::Outcome::kUnasked:
      if (needed != nullptr) *needed = Lookup::kClientName;
      break;
    case ListJudgement::Outcome::kFailed:
      break;
  }
  Note(trace, list.rule, true);
  const std::optional<bool> pass = AfterFailure(settings.reverse_lookup.on_lookup_failure);
  if (!pass) return Refuse(Reason::kReverseLookupFailed, std::move(list.rule));
  if (*pass) return Accept(Reason::kAllowed, std::move(list.rule));
  return Refuse(Reason::kClientNotPermitted, std::move(list.rule));
}

Verdict RecipientVerdict(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity,
                         const Mailbox& recipient, Lookup* needed, Trace* trace) {
  const VirtualServer& settings = server.settings();
  const bool filtered = identity == nullptr && !settings.filters.block_lists.empty();
  const auto filter = [&](Verdict accepted) {
    return filtered ? JudgeBlockLists(settings.filters, client, std::move(accepted), needed, trace) : accepted;
  };
  // `<postmaster>` is ours by definition (RFC 5321 4.5.1); the grammar knows no other path without a domain.
  if (recipient.domain.empty() && base::EqualsIgnoreCase(recipient.local, "postmaster")) {
    Note(trace, "local_domains", true);
    return filter(Accept(Reason::kLocalDomain, "local_domains"));
  }
  const std::optional<size_t> local = server.local_domains().Find(recipient.domain);
  std::string local_rule = local ? StrCat("local_domains[", *local, "]") : "local_domains";
  Note(trace, local_rule, local.has_value());
  // A next hop may take % ! @ in a local part for a route to elsewhere (Postfix does by default): then it is relaying.
  const bool routed = recipient.local.find_first_of("%!@") != std::string_view::npos;
  if (local && !routed) return filter(Accept(Reason::kLocalDomain, std::move(local_rule)));
  Verdict relay = JudgeRelay(server, client, identity, needed, trace);
  if (relay.accepted) return filter(std::move(relay));
  if (local && relay.reason == Reason::kRelayDenied) relay.reason = Reason::kRoutedLocalPart;
  return relay;
}

// Which setting a mechanism belongs to.
enum class Family : uint8_t { kBasic, kScram, kIntegrated, kNtlm, kExternal, kToken };
struct Mechanism {
  std::string_view name;
  Family family;
};
// Offered where it has something to bind to.
constexpr std::string_view kScramPlus = "SCRAM-SHA-256-PLUS";
// protocol.md 2.
constexpr std::array<Mechanism, 9> kMechanisms = {{{kScramPlus, Family::kScram},
                                                   {"SCRAM-SHA-256", Family::kScram},
                                                   {"GSSAPI", Family::kIntegrated},
                                                   {"NTLM", Family::kNtlm},
                                                   {"EXTERNAL", Family::kExternal},
                                                   {"OAUTHBEARER", Family::kToken},
                                                   {"XOAUTH2", Family::kToken},
                                                   {"PLAIN", Family::kBasic},
                                                   {"LOGIN", Family::kBasic}}};

struct FamilySettings {
  bool enabled;
  bool in_clear;
  std::string_view enabled_path;
  std::string_view in_clear_path;
};

FamilySettings SettingsOf(Family family, const Authentication& authentication) {
  constexpr std::string_view kClear = "authentication.basic.allow_clear_text_credentials";
  constexpr std::string_view kIntegratedTls = "authentication.integrated.requires_tls";
  const bool clear = authentication.allow_clear_text_credentials;
  switch (family) {
    case Family::kBasic:
      return {authentication.basic, clear, "authentication.basic.enabled", kClear};
    case Family::kScram:
      return {authentication.scram, clear, "authentication.scram.enabled", kClear};
    case Family::kToken:
      return {authentication.token, clear, "authentication.token.enabled", kClear};
    case Family::kIntegrated:
      return {authentication.integrated, !authentication.integrated_requires_tls, "authentication.integrated.enabled",
              kIntegratedTls};
    case Family::kNtlm:
      return {authentication.integrated && authentication.ntlm, !authentication.integrated_requires_tls,
              authentication.integrated ? "authentication.integrated.ntlm.enabled" : "authentication.integrated.enabled",
              kIntegratedTls};
    case Family::kExternal:
      // Without TLS there is no certificate to go by.
      return {authentication.external, false, "authentication.external.enabled", "authentication.external.enabled"};
  }
  __builtin_unreachable();
}

Verdict JudgeKnown(const CompiledVirtualServer& server, const TlsFacts& tls, Family family, Trace* trace) {
  const FamilySettings settings = SettingsOf(family, server.settings().authentication);
  Note(trace, settings.enabled_path, settings.enabled);
  if (!settings.enabled) return Refuse(Reason::kMechanismUnknown, std::string(settings.enabled_path));
  if (tls.active) return Accept(Reason::kAllowed, std::string(settings.enabled_path));
  Note(trace, settings.in_clear_path, settings.in_clear);
  if (!settings.in_clear) return Refuse(Reason::kMechanismNeedsTls, std::string(settings.in_clear_path));
  return Accept(Reason::kAllowed, std::string(settings.in_clear_path));
}

// -PLUS needs something to bind to, EXTERNAL a certificate.
bool HasWhatItNeeds(const Mechanism& mechanism, const TlsFacts& tls) {
  if (mechanism.name == kScramPlus) return !tls.exporter.empty();
  return mechanism.family != Family::kExternal || tls.client_certificate != nullptr;
}

}  // namespace

std::string_view ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kAllowed:
      return "allowed";
    case Reason::kClientNotPermitted:
      return "client_not_permitted";
    case Reason::kSecureChannelRequired:
      return "secure_channel_required";
    case Reason::kAuthenticationRequired:
      return "authentication_required";
    case Reason::kMayNotSubmit:
      return "may_not_submit";
    case Reason::kLocalDomain:
      return "local_domain";
    case Reason::kRelayAllowed:
      return "relay_allowed";
    case Reason::kRelayDenied:
      return "relay_denied";
    case Reason::kRoutedLocalPart:
      return "routed_local_part";
    case Reason::kReverseLookupFailed:
      return "reverse_lookup_failed";
    case Reason::kEncryptionTooWeak:
      return "encryption_too_weak";
    case Reason::kMechanismUnknown:
      return "mechanism_unknown";
    case Reason::kMechanismNeedsTls:
      return "mechanism_needs_tls";
    case Reason::kMayNotSendAs:
      return "may_not_send_as";
    case Reason::kBlockListed:
      return "block_listed";
    case Reason::kBlockListsFailed:
      return "block_lists_failed";
    case Reason::kBlockListsDenied:
      return "block_lists_denied";
    case Reason::kLimitReached:
      return "limit_reached";
  }
  return "unknown";
}

Lookup LookupForConnection(const CompiledVirtualServer& server, const ClientFacts& client) {
  const bool annotate = server.settings().reverse_lookup.annotate_received;
  if ((!annotate && server.connection_list().domains.empty()) || client.name.state != ClientName::State::kUnasked) {
    return Lookup::kNone;
  }
  Lookup needed = Lookup::kNone;
  const Verdict verdict = ConnectionVerdict(server, client, &needed, nullptr);
  return needed == Lookup::kNone && annotate && verdict.accepted ? Lookup::kClientName : needed;
}

Lookup LookupForRecipient(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity,
                          const Mailbox& recipient) {
  if (server.relay_list().domains.empty() && server.settings().filters.block_lists.empty()) return Lookup::kNone;
  Lookup needed = Lookup::kNone;
  RecipientVerdict(server, client, identity, recipient, &needed, nullptr);
  return needed;
}

Verdict JudgeConnection(const CompiledVirtualServer& server, const ClientFacts& client, Trace* trace) {
  return ConnectionVerdict(server, client, nullptr, trace);
}

Verdict JudgeEncryption(const CompiledVirtualServer& server, const TlsFacts& tls, Trace* trace) {
  const TlsPolicy& floor = server.settings().tls;
  const bool old = tls.version < floor.min_version;
  Note(trace, "tls.min_version", old);
  if (old) return Refuse(Reason::kEncryptionTooWeak, "tls.min_version");
  const bool weak = tls.cipher_bits < floor.min_cipher_bits;
  Note(trace, "tls.min_cipher_bits", weak);
  if (weak) return Refuse(Reason::kEncryptionTooWeak, "tls.min_cipher_bits");
  return Accept(Reason::kAllowed, "tls.min_cipher_bits");
}

Verdict JudgeChannel(const CompiledVirtualServer& server, const TlsFacts& tls, Trace* trace) {
  const bool clear = server.settings().tls.require_secure_channel && !tls.active;
  Note(trace, "tls.require_secure_channel", clear);
  if (clear) return Refuse(Reason::kSecureChannelRequired, "tls.require_secure_channel");
  return Accept(Reason::kAllowed, "tls.require_secure_channel");
}

Verdict JudgeMail(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity,
                  const Mailbox& sender, Trace* trace) {
  const VirtualServer& settings = server.settings();
  Verdict channel = JudgeChannel(server, client.tls, trace);
  if (!channel.accepted) return channel;
  if (identity == nullptr) {
    Note(trace, "authentication.anonymous", true);
    if (!settings.authentication.anonymous) return Refuse(Reason::kAuthenticationRequired, "authentication.anonymous");
    return Accept(Reason::kAllowed, "authentication.anonymous");
  }
  PermissionJudgement permission = JudgePermission(settings.authentication.submit, *identity, identity->may_submit,
                                                   "user.may_submit", "authentication.submit",
                                                   "authentication.submit", trace);
  if (!permission.may) return Refuse(Reason::kMayNotSubmit, std::move(permission.rule));
  return JudgeSender(settings.authentication, *identity, sender, std::move(permission.rule), trace);
}

Verdict JudgeRecipient(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity,
                       const Mailbox& recipient, Trace* trace) {
  return RecipientVerdict(server, client, identity, recipient, nullptr, trace);
}

Verdict JudgeMechanism(const CompiledVirtualServer& server, const TlsFacts& tls, std::string_view mechanism,
                       Trace* trace) {
  for (const Mechanism& known : kMechanisms) {
    if (!base::EqualsIgnoreCase(known.name, mechanism)) continue;
    Verdict verdict = JudgeKnown(server, tls, known.family, trace);
    if (verdict.accepted && !HasWhatItNeeds(known, tls)) return Refuse(Reason::kMechanismUnknown, std::move(verdict.rule));
    return verdict;
  }
  Note(trace, "authentication", true);
  return Refuse(Reason::kMechanismUnknown, "authentication");
}

std::vector<std::string_view> OfferedMechanisms(const CompiledVirtualServer& server, const TlsFacts& tls,
                                                const std::vector<std::string>& servable) {
  std::vector<std::string_view> offered;
  for (const Mechanism& mechanism : kMechanisms) {
    if (std::find(servable.begin(), servable.end(), mechanism.name) == servable.end()) continue;
    if (!HasWhatItNeeds(mechanism, tls)) continue;
    if (JudgeKnown(server, tls, mechanism.family, nullptr).accepted) offered.push_back(mechanism.name);
  }
  return offered;
}

}  // namespace gatepost::policy
