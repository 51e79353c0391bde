#include "services/auth/user_fields.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "services/auth/limits.h"
#include "services/auth/prepare.h"
#include "services/auth/user_records.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

bool IsSha256(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return base::IsDigit(c) || (c >= 'a' && c <= 'f'); });
}

void CheckGroups(v1::User* user, Violations* violations) {
  if (static_cast<size_t>(user->groups_size()) > kMostGroupsOfUser)
    return violations->push_back({"user.groups", StrCat("must be at most ", kMostGroupsOfUser, " groups")});
  for (int i = 0; i < user->groups_size(); ++i) {
    const std::string& group = user->groups(i);
    if (!group.starts_with(kGroups) || !IsResourceId(IdOf(group)))
      violations->push_back({StrCat("user.groups[", i, "]"), "must be `groups/{id}`"});
  }
  const std::set<std::string> sorted(user->groups().begin(), user->groups().end());
  user->clear_groups();
  for (const std::string& group : sorted) user->add_groups(group);
}

}  // namespace

void CheckUser(v1::User* user, Violations* violations) {
  if (!user->has_display_name()) user->set_display_name(std::string(IdOf(user->name())));
  if (!user->has_may_submit()) user->set_may_submit(true);
  if (!user->has_may_relay()) user->set_may_relay(true);
  CheckText(user->display_name(), kMostDisplayNameCharacters, /*line_feeds=*/false, "user.display_name", violations);
  if (static_cast<size_t>(user->certificates_size()) > kMostCertificates ||
      !std::all_of(user->certificates().begin(), user->certificates().end(), IsSha256)) {
    violations->push_back(
        {"user.certificates", StrCat("must be at most ", kMostCertificates,
                                     " SHA-256 fingerprints: 64 lower-case hexadecimal digits each")});
  }
  CheckGroups(user, violations);
  CheckSenders(user->mutable_addresses(), kMostAddresses, "user.addresses", violations);
  if (std::optional<std::string> login = PrepareLogin(user->login())) {
    user->set_login(*std::move(login));
  } else {
    violations->push_back(
        {"user.login",
         "must be 1 to 255 octets of UTF-8 without control characters, as prepared by SASLprep (RFC 4013)"});
  }
}

void ClearOutputs(v1::User* user) {
  user->clear_etag();
  user->clear_revision();
  user->clear_create_time();
  user->clear_update_time();
  user->clear_state();
  user->clear_password_set_time();
  user->clear_sessions_revoked_time();
  user->clear_last_login_time();
}

}  // namespace gatepost::auth
