// Users from a table: comma-separated values as RFC 4180 has them, in UTF-8, a header first. Pure.
//
// Columns, in any order: `login` (required); `id` (without it: the part of the login before its @, in lower case, other
// characters than a-z and 0-9 as hyphens); `display_name`; `password`; `groups` and `addresses`, with spaces between;
// `may_submit`, `may_relay`, `ntlm` (yes or no). An empty cell is as an absent column.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gatepost/auth/v1/user.pb.h"

namespace gatepost::ctl {

struct UserRow {
  int line = 0;  // in the file, from 1
  auth::v1::User user;
  bool id_from_login = false;  // the table gives none: another user may have it
};

// INVALID_ARGUMENT (a usage error): every line that is wrong, each with its number, 20 of them at most.
absl::StatusOr<std::vector<UserRow>> ParseUserTable(std::string_view text);

}  // namespace gatepost::ctl
