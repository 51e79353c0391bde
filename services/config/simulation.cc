#include "services/config/simulation.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/base/ip_address.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/config/domain_name.h"
#include "services/config/limits.h"
#include "services/config/validate.h"
#include "services/policy/snapshot.h"
#include "services/rpc/translate.h"

namespace gatepost::config {
namespace {

using base::StrCat;
using Texts = google::protobuf::RepeatedPtrField<std::string>;

void CheckTexts(const Texts& texts, size_t most, const std::string& path, Violations* violations) {
  for (int i = 0; i < texts.size(); ++i) CheckText(texts[i], most, StrCat(path, "[", i, "]"), violations);
}

// Whether a list is short enough to be looked at.
bool CheckCount(const Texts& texts, int most, const std::string& path, Violations* violations) {
  if (texts.size() <= most) return true;
  violations->Add(path, StrCat("must have at most ", most, " entries"));
  return false;
}

std::vector<std::string> Domains(const Texts& texts, const std::string& path, Violations* violations) {
  std::vector<std::string> domains;
  for (int i = 0; i < texts.size(); ++i) {
    absl::StatusOr<std::string> domain = CanonicalDomain(texts[i]);
    if (domain.ok()) {
      domains.push_back(*std::move(domain));
    } else {
      violations->Add(StrCat(path, "[", i, "]"), base::FromAbsl(domain.status().message()));
    }
  }
  return domains;
}

void ReadClient(const v1::SimulatedClient& client, smtp::SimulatedSession* session, Violations* violations) {
  absl::StatusOr<base::IpAddress> address = base::IpAddress::Parse(client.address());
  if (address.ok()) {
    session->client = *address;
  } else {
    violations->Add("client.address", base::FromAbsl(address.status().message()));
  }
  if (CheckCount(client.names(), kMaxSimulatedNames, "client.names", violations)) {
    session->name.names = Domains(client.names(), "client.names", violations);
  }
  using State = policy::ClientName::State;
  session->name.state = client.name_lookup_failed() ? State::kFailed
                        : client.names().empty()    ? State::kUnknown
                                                    : State::kConfirmed;
  if (client.name_lookup_failed() && !client.names().empty())
    violations->Add("client.name_lookup_failed", "contradicts client.names");
  if (CheckCount(client.listed_by(), kMaxBlockLists, "client.listed_by", violations))
    Domains(client.listed_by(), "client.listed_by", violations);
  if (client.block_lists_failed() && !client.listed_by().empty())
    violations->Add("client.block_lists_failed", "contradicts client.listed_by");
}

policy::TlsMode ReadTlsMode(const v1::SimulateSessionRequest& request) {
  switch (request.tls_mode()) {
    case v1::Listener::NONE:
      return policy::TlsMode::kNone;
    case v1::Listener::IMPLICIT:
      return policy::TlsMode::kImplicit;
    default:
      return policy::TlsMode::kStartTls;
  }
}

policy::TlsFacts ReadTls(const v1::SimulatedTls& tls, Violations* violations) {
  policy::TlsFacts facts;
  facts.active = true;
  facts.version = tls.version() == v1::Tls::TLS_1_2 ? policy::TlsVersion::kTls12 : policy::TlsVersion::kTls13;
  facts.cipher_bits = tls.has_cipher_bits() ? static_cast<int>(tls.cipher_bits()) : 128;
  if (tls.has_cipher_bits() && tls.cipher_bits() != 128 && tls.cipher_bits() != 256)
    violations->Add("tls.cipher_bits", "must be 128 or 256");
  return facts;
}

policy::Identity ReadIdentity(const v1::SimulatedIdentity& from, Violations* violations) {
  policy::Identity identity;
  if (from.login().empty()) violations->Add("identity.login", "is required");
  CheckText(from.login(), kMaxSimulatedLoginCharacters, "identity.login", violations);
  identity.login = from.login();
  if (!from.user().empty() && !IsResourceName(from.user(), "users/"))
    violations->Add("identity.user", "must be `users/{id}`");
  identity.user = from.user();
  if (CheckCount(from.groups(), kMaxSimulatedList, "identity.groups", violations)) {
    for (int i = 0; i < from.groups_size(); ++i) {
      if (!IsResourceName(from.groups(i), "groups/"))
        violations->Add(StrCat("identity.groups[", i, "]"), "must be `groups/{id}`");
    }
  }
  identity.groups = {from.groups().begin(), from.groups().end()};
  identity.may_submit = !from.has_may_submit() || from.may_submit();
  identity.may_relay = !from.has_may_relay() || from.may_relay();
  if (CheckCount(from.addresses(), kMaxSimulatedList, "identity.addresses", violations))
    CheckTexts(from.addresses(), kMaxSimulatedPathCharacters, "identity.addresses", violations);
  identity.addresses = {from.addresses().begin(), from.addresses().end()};
  if (CheckCount(from.senders(), kMaxSimulatedList, "identity.senders", violations))
    CheckTexts(from.senders(), kMaxSimulatedPathCharacters, "identity.senders", violations);
  identity.senders = {from.senders().begin(), from.senders().end()};
  return identity;
}

bool IsMechanism(std::string_view text) {
  return text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return base::IsAlpha(c) || base::IsDigit(c) || c == '-' || c == '_';
         });
}

// The first of the policy's block lists that has the client.
policy::BlockListing Listing(const policy::VirtualServer& server, const v1::SimulatedClient& client) {
  using State = policy::BlockListing::State;
  if (client.block_lists_failed()) return {State::kFailed, 0};
  const std::vector<policy::BlockList>& lists = server.filters.block_lists;
  for (size_t i = 0; i < lists.size(); ++i) {
    for (const std::string& zone : client.listed_by()) {
      const absl::StatusOr<std::string> canonical = CanonicalDomain(zone);
      if (canonical.ok() && *canonical == lists[i].zone) return {State::kListed, i};
    }
  }
  return {State::kNotListed, 0};
}

v1::SimulatedStep::Kind ToKind(smtp::SimulatedStep::Kind kind) {
  switch (kind) {
    case smtp::SimulatedStep::Kind::kConnect:
      return v1::SimulatedStep::CONNECT;
    case smtp::SimulatedStep::Kind::kTls:
      return v1::SimulatedStep::TLS;
    case smtp::SimulatedStep::Kind::kEhlo:
      return v1::SimulatedStep::EHLO;
    case smtp::SimulatedStep::Kind::kStartTls:
      return v1::SimulatedStep::STARTTLS;
    case smtp::SimulatedStep::Kind::kAuth:
      return v1::SimulatedStep::AUTH;
    case smtp::SimulatedStep::Kind::kMail:
      return v1::SimulatedStep::MAIL;
    case smtp::SimulatedStep::Kind::kRcpt:
      return v1::SimulatedStep::RCPT;
  }
  return v1::SimulatedStep::KIND_UNSPECIFIED;
}

void WriteStep(const smtp::SimulatedStep& from, v1::SimulatedStep* step) {
  step->set_kind(ToKind(from.kind));
  step->set_command(from.command);
  for (const std::string& line : from.replies) step->add_reply_lines(line);
  step->set_accepted(from.accepted);
  if (from.verdict) {
    step->set_reason(std::string(policy::ReasonName(from.verdict->reason)));
    step->set_rule(from.verdict->rule);
  }
  for (const policy::TraceStep& looked_at : from.trace) {
    v1::RuleTrace* rule = step->add_trace();
    rule->set_rule(looked_at.rule);
    rule->set_matched(looked_at.matched);
  }
}

}  // namespace

smtp::SimulatedSession ReadSession(const v1::SimulateSessionRequest& request, Violations* violations) {
  smtp::SimulatedSession session;
  v1::SimulateSessionRequest facts = request;
  facts.clear_candidate();
  RefuseUnknown(facts, "", violations);
  ReadClient(request.client(), &session, violations);
  session.tls_mode = ReadTlsMode(request);
  if (request.has_tls() && session.tls_mode == policy::TlsMode::kNone)
    violations->Add("tls", "must be absent: the listener's tls_mode is NONE");
  if (request.has_tls() || session.tls_mode == policy::TlsMode::kImplicit)
    session.tls = ReadTls(request.tls(), violations);
  if (request.has_identity()) session.identity = ReadIdentity(request.identity(), violations);
  if (!IsMechanism(request.mechanism()))
    violations->Add("mechanism", "must have at most 64 letters, digits, hyphens and underscores");
  if (!request.mechanism().empty()) session.mechanism = request.mechanism();
  CheckText(request.sender(), kMaxSimulatedPathCharacters, "sender", violations);
  session.sender = request.sender();
  if (CheckCount(request.recipients(), kMaxSimulatedRecipients, "recipients", violations))
    CheckTexts(request.recipients(), kMaxSimulatedPathCharacters, "recipients", violations);
  session.recipients = {request.recipients().begin(), request.recipients().end()};
  return session;
}

absl::StatusOr<v1::SimulateSessionResponse> Simulated(const v1::VirtualServer& server,
                                                      const v1::SimulatedClient& client,
                                                      smtp::SimulatedSession session) {
  absl::StatusOr<policy::VirtualServer> settings = rpc::Translate(server);
  if (!settings.ok()) return absl::InternalError(settings.status().message());
  session.listing = Listing(*settings, client);
  absl::StatusOr<std::shared_ptr<const policy::CompiledVirtualServer>> compiled =
      policy::CompiledVirtualServer::Compile(*std::move(settings));
  if (!compiled.ok()) return absl::InternalError(compiled.status().message());
  v1::SimulateSessionResponse response;
  for (const smtp::SimulatedStep& step : smtp::Simulate(**compiled, session).steps)
    WriteStep(step, response.add_steps());
  return response;
}

}  // namespace gatepost::config
