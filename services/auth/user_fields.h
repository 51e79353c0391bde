// What a user's fields may say. Pure.
#pragma once

#include "gatepost/auth/v1/user.pb.h"
#include "services/auth/field_checks.h"

namespace gatepost::auth {

// Fills in defaults, writes values in their canonical form, sorts groups; adds what is wrong. Groups need not exist.
void CheckUser(v1::User* user, Violations* violations);

// Whoever sends them.
void ClearOutputs(v1::User* user);

}  // namespace gatepost::auth
