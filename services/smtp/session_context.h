// What the parts of a session share: who the client is, how far it has come, and the conversation with it. Data; the
// rules are in the parts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "services/base/clock.h"
#include "services/base/strings.h"
#include "services/policy/facts.h"
#include "services/policy/snapshot.h"
#include "services/smtp/client_identity.h"
#include "services/smtp/conversation.h"
#include "services/smtp/server_session.h"
#include "services/smtp/transaction.h"

namespace gatepost::smtp {

struct SessionContext {
  explicit SessionContext(SessionOptions from)
      : options(std::move(from)),
        settings(options.virtual_server->settings()),
        conversation(settings, options.observer) {}

  const policy::Identity* who() const { return identity ? &*identity : nullptr; }
  bool tls_active() const { return options.client.tls.active; }
  bool needs_tls() const { return settings.tls.require_secure_channel && !tls_active(); }
  std::string MessageId() const { return base::StrCat(options.session_id, '.', transactions); }

  // 0: none. The lesser of ours and the next hop's, which has to hold our trace header too.
  uint64_t MessageSizeLimit() const;

  // The client, as the next hop may be told of it.
  ClientIdentity Client() const;

  // The one end of a transaction. What the next hop must be told; nothing if it knows nothing.
  std::optional<Action> ResetTransaction();

  // A handshake has succeeded; what was known of the client before it is forgotten (RFC 3207 4.2), and what was agreed
  // on is judged.
  void TakeTls(const policy::TlsFacts& tls);

  void Observe(const policy::Verdict& verdict) {
    if (options.observer != nullptr) options.observer->OnVerdict(verdict);
  }

  // A figure of the virtual server refuses; `rule`: its path.
  void ObserveLimit(std::string_view rule) { conversation.ObserveLimit(rule); }

  SessionOptions options;
  const policy::VirtualServer& settings;
  Conversation conversation;

  base::MonotonicTime now{};
  base::MonotonicTime started{};

  // TLS is below the floor: nothing but QUIT is served (RFC 3207 4.1).
  bool too_weak = false;

  // Since the last EHLO or HELO; STARTTLS forgets them.
  bool greeted = false;
  bool esmtp = false;
  std::string client_name;

  std::optional<policy::Identity> identity;
  int auth_failures = 0;

  Transaction transaction;
  int transactions = 0;         // MAILs accepted in this session
  uint64_t messages = 0;        // ends of data reached
  uint64_t session_octets = 0;  // of all messages so far
};

}  // namespace gatepost::smtp
