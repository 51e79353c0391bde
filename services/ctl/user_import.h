// gatepostctl user import: many users from a table (user_csv.h).
#pragma once

#include <string>

#include "absl/status/status.h"
#include "services/ctl/cli.h"

namespace gatepost::ctl {

struct UserImportOptions {
  std::string file;
  bool dry_run = false;
  // Users who are there already get the table's fields too, but for the password. Else they are left as they are, and
  // a row with another login than theirs is refused. It always is where its id is made of its login (user_csv.h).
  bool update = false;
};

// Goes on after a user whom the service refuses, and says at the end which; it can be run again with the same table.
absl::Status ImportUsers(Invocation* invocation, const UserImportOptions& options);

}  // namespace gatepost::ctl
