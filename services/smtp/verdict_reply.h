// What the client is told of a verdict. Pure; wire and Simulate use the same.
#pragma once

#include <string_view>

#include "services/policy/facts.h"
#include "services/policy/snapshot.h"
#include "services/policy/verdict.h"
#include "services/smtp/reply.h"

namespace gatepost::smtp {

struct VerdictSubject {
  const policy::VirtualServer& settings;
  const policy::ClientFacts& client;
  const policy::Identity* identity = nullptr;
  std::string_view address;  // canonical: the reverse-path of MAIL, the recipient of RCPT; empty: neither
};

// `verdict` is not an acceptance.
Reply ReplyTo(const policy::Verdict& verdict, const VerdictSubject& subject);

}  // namespace gatepost::smtp
