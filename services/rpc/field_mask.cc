#include "services/rpc/field_mask.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/field_mask_util.h>

#include <algorithm>

#include "google/api/field_behavior.pb.h"
#include "services/base/strings.h"

namespace gatepost::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FieldMask;
using google::protobuf::Message;
using google::protobuf::util::FieldMaskUtil;

bool IsOutput(const FieldDescriptor* field) {
  const auto& behaviors = field->options().GetRepeatedExtension(google::api::field_behavior);
  return std::any_of(behaviors.begin(), behaviors.end(), [](int b) { return b == google::api::OUTPUT_ONLY; });
}

// Of the resource itself.
bool IsFixed(const FieldDescriptor* field) {
  return field->name() == "name" || field->name() == "etag" || IsOutput(field);
}

bool ChangesOutput(const Descriptor* descriptor, std::string_view path) {
  bool top = true;
  for (const std::string_view part : base::Split(path, '.')) {
    const FieldDescriptor* field = descriptor == nullptr ? nullptr : descriptor->FindFieldByName(std::string(part));
    if (field == nullptr) return false;
    if (top ? IsFixed(field) : IsOutput(field)) return true;
    top = false;
    descriptor = field->message_type();
  }
  return false;
}

void AddPopulated(const Message& wanted, FieldMask* mask) {
  std::vector<const FieldDescriptor*> fields;
  wanted.GetReflection()->ListFields(wanted, &fields);
  for (const FieldDescriptor* field : fields) {
    if (!IsFixed(field)) mask->add_paths(field->name());
  }
}

void AddAll(const Descriptor* descriptor, FieldMask* mask) {
  for (int i = 0; i < descriptor->field_count(); ++i) {
    if (!IsFixed(descriptor->field(i))) mask->add_paths(descriptor->field(i)->name());
  }
}

}  // namespace

std::vector<FieldViolation> ApplyMask(const FieldMask* mask, const Message& wanted, Message* stored) {
  const Descriptor* const descriptor = wanted.GetDescriptor();
  std::vector<FieldViolation> violations;
  FieldMask effective;
  if (mask == nullptr || mask->paths().empty()) {
    AddPopulated(wanted, &effective);
  } else {
    for (const std::string& path : mask->paths()) {
      if (path == "*") {
        AddAll(descriptor, &effective);
      } else if (base::StrCat('.', path, '.').find("..") != std::string::npos ||
                 !FieldMaskUtil::GetFieldDescriptors(descriptor, path, nullptr)) {
        violations.push_back({"update_mask", base::StrCat("no such field: ", path.substr(0, 200))});
      } else if (!ChangesOutput(descriptor, path)) {
        effective.add_paths(path);
      }
    }
  }
  FieldMaskUtil::MergeOptions options;
  options.set_replace_message_fields(true);
  options.set_replace_repeated_fields(true);
  FieldMaskUtil::MergeMessageTo(wanted, effective, options, stored);
  return violations;
}

bool MaskNames(const FieldMask* mask, const Message& wanted, std::string_view field) {
  if (mask == nullptr || mask->paths().empty()) {
    const FieldDescriptor* descriptor = wanted.GetDescriptor()->FindFieldByName(std::string(field));
    if (descriptor == nullptr) return false;
    return descriptor->is_repeated() ? wanted.GetReflection()->FieldSize(wanted, descriptor) > 0
                                     : wanted.GetReflection()->HasField(wanted, descriptor);
  }
  return std::any_of(mask->paths().begin(), mask->paths().end(), [&](std::string_view path) {
    return path == "*" || path == field ||
           (path.starts_with(field) && path.size() > field.size() && path[field.size()] == '.');
  });
}

}  // namespace gatepost::rpc
