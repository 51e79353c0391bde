#include "services/smtp/verdict_reply.h"

#include "services/base/check.h"
#include "services/smtp/replies.h"

namespace gatepost::smtp {

namespace {

std::string_view Login(const VerdictSubject& subject) {
  return subject.identity != nullptr ? std::string_view(subject.identity->login) : std::string_view();
}

}  // namespace

Reply ReplyTo(const policy::Verdict& verdict, const VerdictSubject& subject) {
  switch (verdict.reason) {
    case policy::Reason::kClientNotPermitted:
      return replies::ConnectionRefused(subject.settings.fqdn, subject.client.address.ToString());
    case policy::Reason::kReverseLookupFailed:
      return subject.address.empty() ? replies::ReverseLookupFailed(subject.settings.fqdn) : replies::ClientNameUnknown();
    case policy::Reason::kEncryptionTooWeak:
      return replies::EncryptionTooWeak();
    case policy::Reason::kMechanismUnknown:
      return replies::UnknownMechanism(subject.settings.dialect);
    case policy::Reason::kMechanismNeedsTls:
      return replies::MechanismNeedsTls();
    case policy::Reason::kSecureChannelRequired:
      return replies::TlsRequired();
    case policy::Reason::kAuthenticationRequired:
      return replies::AuthenticationRequired(subject.settings.dialect);
    case policy::Reason::kMayNotSubmit:
      return replies::MayNotSubmit(Login(subject));
    case policy::Reason::kMayNotSendAs:
      return replies::MayNotSendAs(Login(subject), subject.address);
    case policy::Reason::kRelayDenied:
    case policy::Reason::kRoutedLocalPart:
      return replies::UnableToRelay(subject.address);
    case policy::Reason::kBlockListed:
      return replies::ListedBy(subject.client.address.ToString(),
                               subject.settings.filters.block_lists[subject.client.listing.list].zone);
    case policy::Reason::kBlockListsFailed:
      return replies::BlockListsFailed();
    case policy::Reason::kBlockListsDenied:
      return replies::BlockListsDenied();
    case policy::Reason::kLimitReached:  // whoever counts has the reply
    case policy::Reason::kAllowed:
    case policy::Reason::kLocalDomain:
    case policy::Reason::kRelayAllowed:
      break;
  }
  GATEPOST_CHECK(false);
}

}  // namespace gatepost::smtp
