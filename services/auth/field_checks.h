// What users, groups and credentials have in common as resources: names, texts, addresses, request ids. A check adds
// what is wrong as violations, and writes values in their canonical form. Pure.
#pragma once

#include <absl/status/status.h>
#include <google/protobuf/repeated_field.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "services/rpc/call.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {

using Violations = std::vector<rpc::FieldViolation>;
using Texts = google::protobuf::RepeatedPtrField<std::string>;

// `collection`: "users/". Also says in the audit whom the call is about.
absl::Status CheckName(std::string_view name, std::string_view collection, std::string_view field, rpc::Call* call);
// The id of what is to be created.
void CheckId(std::string_view id, std::string_view field, Violations* violations);

void CheckRequestId(std::string_view request_id, Violations* violations);
// What a repetition is known by: SHA-256 of the request, which must hold no secret any more.
std::string Fingerprint(std::string_view request);

// `line_feeds`: allowed.
void CheckText(std::string_view text, size_t most_characters, bool line_feeds, std::string_view field,
               Violations* violations);
// Subnets and addresses, at most 100; each is written canonically.
void CheckNetworks(Texts* networks, std::string_view field, Violations* violations);
// `user@domain`, `@domain`, `domain`, at most `most`; each is written in the form in which policy compares it.
void CheckSenders(Texts* senders, size_t most, std::string_view field, Violations* violations);

}  // namespace gatepost::auth
