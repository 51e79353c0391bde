#include "services/smtp/verdict_reply.h"

#include "services/base/check.h"
#include "services/smtp/replies.h"

namespace gatepost::smtp {

Reply ReplyTo(const policy::Verdict& verdict, const VerdictSubject& subject) {
  switch (verdict.reason) {
    case policy::Reason::kClientNotPermitted:
      return replies::ConnectionRefused(subject.settings.fqdn, subject.client.address.ToString());
    case policy::Reason::kSecureChannelRequired:
      return replies::TlsRequired();
    case policy::Reason::kAuthenticationRequired:
      return replies::AuthenticationRequired(subject.settings.dialect);
    case policy::Reason::kMayNotSubmit:
      return replies::MayNotSubmit(subject.identity != nullptr ? std::string_view(subject.identity->login) : "");
    case policy::Reason::kRelayDenied:
    case policy::Reason::kRoutedLocalPart:
      return replies::UnableToRelay(subject.recipient);
    case policy::Reason::kAllowed:
    case policy::Reason::kLocalDomain:
    case policy::Reason::kRelayAllowed:
      break;
  }
  GATEPOST_CHECK(false);
}

}  // namespace gatepost::smtp
