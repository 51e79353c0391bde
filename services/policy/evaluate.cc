#include "services/policy/evaluate.h"

#include <algorithm>
#include <array>

#include "services/base/strings.h"

namespace gatepost::policy {
namespace {

using base::StrCat;

void Note(Trace* trace, std::string_view rule, bool matched) {
  if (trace != nullptr) trace->push_back({std::string(rule), matched});
}

Verdict Accept(Reason reason, std::string rule) { return {true, reason, std::move(rule)}; }
Verdict Refuse(Reason reason, std::string rule) { return {false, reason, std::move(rule)}; }

struct ListJudgement {
  bool admitted;
  std::string rule;  // the entry that matched, or the mode
};

// `name`: the path of the list's message in the API.
ListJudgement JudgeList(ListMode mode, const ClientSet& entries, const base::IpAddress& address, std::string_view name,
                        Trace* trace) {
  const std::optional<size_t> entry = entries.Find(address);
  std::string rule = entry ? StrCat(name, ".entries[", *entry, "]") : StrCat(name, ".mode");
  Note(trace, rule, true);
  return {entry.has_value() == (mode == ListMode::kOnlyList), std::move(rule)};
}

ListJudgement JudgeRelay(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity,
                         Trace* trace) {
  const Relay& relay = server.settings().relay;
  if (identity != nullptr) {
    const bool may = relay.authenticated_may_relay && identity->may_relay;
    Note(trace, "relay.authenticated_may_relay", may);
    if (may) return {true, "relay.authenticated_may_relay"};
  }
  return JudgeList(relay.list.mode, server.relay_entries(), client.address, "relay", trace);
}

struct Mechanism {
  std::string_view name;
  bool basic;  // the password itself is sent
};
// protocol.md 2. Those of later releases join here.
constexpr std::array<Mechanism, 2> kMechanisms = {{{"PLAIN", true}, {"LOGIN", true}}};

MechanismStanding Judge(const CompiledVirtualServer& server, const TlsFacts& tls,
                        const std::vector<std::string>& servable, const Mechanism& mechanism) {
  const Authentication& authentication = server.settings().authentication;
  if (!authentication.basic || std::find(servable.begin(), servable.end(), mechanism.name) == servable.end()) {
    return MechanismStanding::kUnknown;
  }
  if (!tls.active && !authentication.allow_clear_text_credentials) return MechanismStanding::kNeedsTls;
  return MechanismStanding::kOffered;
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
  }
  return "unknown";
}

Verdict JudgeConnection(const CompiledVirtualServer& server, const ClientFacts& client, Trace* trace) {
  ListJudgement list = JudgeList(server.settings().connection_control.mode, server.connection_entries(), client.address,
                                 "connection_control", trace);
  if (list.admitted) return Accept(Reason::kAllowed, std::move(list.rule));
  return Refuse(Reason::kClientNotPermitted, std::move(list.rule));
}

Verdict JudgeMail(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity,
                  Trace* trace) {
  const VirtualServer& settings = server.settings();
  const bool clear = settings.tls.require_secure_channel && !client.tls.active;
  Note(trace, "tls.require_secure_channel", clear);
  if (clear) return Refuse(Reason::kSecureChannelRequired, "tls.require_secure_channel");
  if (identity == nullptr) {
    Note(trace, "authentication.anonymous", true);
    if (!settings.authentication.anonymous) return Refuse(Reason::kAuthenticationRequired, "authentication.anonymous");
    return Accept(Reason::kAllowed, "authentication.anonymous");
  }
  Note(trace, "authentication.submit", true);
  if (!identity->may_submit) return Refuse(Reason::kMayNotSubmit, "authentication.submit");
  return Accept(Reason::kAllowed, "authentication.submit");
}

Verdict JudgeRecipient(const CompiledVirtualServer& server, const ClientFacts& client, const Identity* identity,
                       const Mailbox& recipient, Trace* trace) {
  // `<postmaster>` is ours by definition (RFC 5321 4.5.1); the grammar knows no other path without a domain.
  if (recipient.domain.empty() && base::EqualsIgnoreCase(recipient.local, "postmaster")) {
    Note(trace, "local_domains", true);
    return Accept(Reason::kLocalDomain, "local_domains");
  }
  const std::optional<size_t> local = server.local_domains().Find(recipient.domain);
  std::string local_rule = local ? StrCat("local_domains[", *local, "]") : "local_domains";
  Note(trace, local_rule, local.has_value());
  // A next hop may take % ! @ in a local part for a route to elsewhere (Postfix does by default): then it is relaying.
  const bool routed = recipient.local.find_first_of("%!@") != std::string_view::npos;
  if (local && !routed) return Accept(Reason::kLocalDomain, std::move(local_rule));
  ListJudgement relay = JudgeRelay(server, client, identity, trace);
  if (relay.admitted) return Accept(Reason::kRelayAllowed, std::move(relay.rule));
  return Refuse(local ? Reason::kRoutedLocalPart : Reason::kRelayDenied, std::move(relay.rule));
}

std::vector<std::string_view> OfferedMechanisms(const CompiledVirtualServer& server, const TlsFacts& tls,
                                                const std::vector<std::string>& servable) {
  std::vector<std::string_view> offered;
  for (const Mechanism& mechanism : kMechanisms) {
    if (Judge(server, tls, servable, mechanism) == MechanismStanding::kOffered) offered.push_back(mechanism.name);
  }
  return offered;
}

MechanismStanding JudgeMechanism(const CompiledVirtualServer& server, const TlsFacts& tls,
                                 const std::vector<std::string>& servable, std::string_view mechanism) {
  for (const Mechanism& known : kMechanisms) {
    if (base::EqualsIgnoreCase(known.name, mechanism)) return Judge(server, tls, servable, known);
  }
  return MechanismStanding::kUnknown;
}

}  // namespace gatepost::policy
