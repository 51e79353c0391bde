#include "services/auth/judgement.h"

namespace gatepost::auth {

Judgement JudgementOf(const Account& account) {
  Judgement judgement = Refused(account.reason);
  const v1::User& user = account.user;
  judgement.user = account.name;
  judgement.login = user.login();
  judgement.may_submit = user.may_submit();
  judgement.may_relay = user.may_relay();
  judgement.groups.assign(user.groups().begin(), user.groups().end());
  judgement.addresses.assign(user.addresses().begin(), user.addresses().end());
  judgement.senders.assign(account.credential.senders().begin(), account.credential.senders().end());
  judgement.credential = account.credential.name();
  return judgement;
}

Judgement Admitted(const Account& account) {
  Judgement judgement = JudgementOf(account);
  judgement.outcome = Outcome::kSuccess;
  judgement.reason = "";
  return judgement;
}

Judgement Throttled() {
  Judgement judgement;
  judgement.outcome = Outcome::kThrottled;
  judgement.reason = "throttled";
  return judgement;
}

Judgement Refused(std::string_view reason) {
  Judgement judgement;
  judgement.outcome = Outcome::kCredentials;
  judgement.reason = reason;
  return judgement;
}

}  // namespace gatepost::auth
