// Update by a field mask (AIP-134): what a request changes in what is stored.
#pragma once

#include "absl/status/status.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/message.h"
#include "services/config/violations.h"

namespace gatepost::config {

// Copies from `wanted` into `*stored` what `mask` names: a path whose field is absent clears the field, lists are replaced
// as a whole. No mask, or an empty one: every field that is populated. `*`: every field. Outputs (OUTPUT_ONLY), `name` and
// `etag` are never changed, also where the mask names them. INVALID_ARGUMENT with a violation of `update_mask` for each
// path that is unknown, or leads through a list.
absl::Status Merge(const google::protobuf::FieldMask* mask, const google::protobuf::Message& wanted,
                   google::protobuf::Message* stored, Violations* violations);

}  // namespace gatepost::config
