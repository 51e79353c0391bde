// Updates by a field mask (AIP-134, AIP-161): what a request changes in what is stored.
#pragma once

#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

#include "services/rpc/status_details.h"

namespace gatepost::rpc {

// Copies from `wanted` into `*stored` what `mask` names: a path whose field is absent clears the field (it returns to
// its default), lists are replaced as a whole. nullptr or no paths: every field that is populated. `*`: every field.
// Fields that are OUTPUT_ONLY, `name` and `etag` are never changed, also where they are named. A path that is unknown,
// or leads through a list, is a violation of `update_mask`. The other paths are followed all the same, so that what
// they bring can be judged and all violations told at once: what has a violation is not to be stored.
std::vector<FieldViolation> ApplyMask(const google::protobuf::FieldMask* mask, const google::protobuf::Message& wanted,
                                      google::protobuf::Message* stored);

// True if `mask`, as ApplyMask reads it, names the top-level field.
bool MaskNames(const google::protobuf::FieldMask* mask, const google::protobuf::Message& wanted,
               std::string_view field);

}  // namespace gatepost::rpc
