#include "services/auth/user_index.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "services/auth/prepare.h"
#include "services/auth/record_editor.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

using Set = std::set<std::string>;

Set ToSet(const Texts& texts) { return Set(texts.begin(), texts.end()); }

// Whether the entry names another user.
absl::StatusOr<bool> IsOfAnother(store::View& view, const std::string& key, const v1::User& user) {
  const absl::StatusOr<store::Record> record = view.Get(key);
  if (absl::IsNotFound(record.status())) return false;
  GATEPOST_RETURN_IF_ERROR(record.status());
  return record->value != IdOf(user.name());
}

void WriteLogin(const v1::User& before, const v1::User& after, store::Transaction* transaction) {
  const std::string old_key = LoginKey(before.login()), new_key = LoginKey(after.login());
  if (old_key == new_key) return;
  if (!old_key.empty())
    transaction->writes.push_back({StrCat(kLogins, old_key), std::nullopt, store::Condition::None()});
  if (!new_key.empty()) {
    transaction->writes.push_back(
        {StrCat(kLogins, new_key), std::string(IdOf(after.name())), store::Condition::Absent()});
  }
}

absl::Status WriteCertificates(const Set& before, const v1::User& after, store::View& view,
                               store::Transaction* transaction) {
  const Set wanted = ToSet(after.certificates());
  for (const std::string& certificate : before) {
    if (!wanted.contains(certificate))
      transaction->writes.push_back({StrCat(kCertificates, certificate), std::nullopt, store::Condition::None()});
  }
  for (const std::string& certificate : wanted) {
    if (before.contains(certificate)) continue;
    const std::string key = StrCat(kCertificates, certificate);
    GATEPOST_ASSIGN_OR_RETURN(const bool taken, IsOfAnother(view, key, after));
    if (taken)
      return rpc::Error(absl::StatusCode::kAlreadyExists, "CERTIFICATE_TAKEN", "another user has this certificate");
    transaction->writes.push_back({key, std::string(IdOf(after.name())), store::Condition::Absent()});
  }
  return absl::OkStatus();
}

absl::Status WriteMemberships(const Set& before, const v1::User& after, const Texts& asked_groups, store::View& view,
                              store::Transaction* transaction) {
  const Set wanted = ToSet(after.groups());
  const std::string_view user_id = IdOf(after.name());
  for (const std::string& group : before) {
    if (!wanted.contains(group))
      transaction->writes.push_back({MemberKey(IdOf(group), user_id), std::nullopt, store::Condition::None()});
  }
  Violations violations;
  for (const std::string& group : wanted) {
    if (before.contains(group)) continue;
    GATEPOST_ASSIGN_OR_RETURN(const bool exists, HasRecord(view, group));
    if (!exists) {
      // The record's groups are sorted; whoever asked knows them in their own order.
      const auto index = std::find(asked_groups.begin(), asked_groups.end(), group) - asked_groups.begin();
      violations.push_back({StrCat("user.groups[", index, "]"), StrCat(group, " does not exist")});
    }
    transaction->writes.push_back({MemberKey(IdOf(group), user_id), "", store::Condition::None()});
  }
  return violations.empty() ? absl::OkStatus() : rpc::InvalidFields(violations);
}

}  // namespace

std::string MemberKey(std::string_view group_id, std::string_view user_id) {
  return StrCat(kMembers, group_id, "/", user_id);
}

absl::Status WriteIndex(const v1::User& before, const v1::User& after, const Texts& asked_groups, store::View& view,
                        store::Transaction* transaction) {
  WriteLogin(before, after, transaction);
  GATEPOST_RETURN_IF_ERROR(WriteCertificates(ToSet(before.certificates()), after, view, transaction));
  return WriteMemberships(ToSet(before.groups()), after, asked_groups, view, transaction);
}

absl::Status CheckLoginIsFree(const v1::User& user, store::View& view) {
  GATEPOST_ASSIGN_OR_RETURN(const bool taken, IsOfAnother(view, StrCat(kLogins, LoginKey(user.login())), user));
  if (!taken) return absl::OkStatus();
  return rpc::Error(absl::StatusCode::kAlreadyExists, "LOGIN_TAKEN", "another user has this login");
}

}  // namespace gatepost::auth
