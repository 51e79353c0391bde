#include "services/config/update.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "google/api/field_behavior.pb.h"
#include "google/protobuf/descriptor.h"
#include "services/base/strings.h"

namespace gatepost::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

bool IsOutput(const FieldDescriptor* field) {
  if (field->name() == "name" || field->name() == "etag") return field->containing_type()->FindFieldByName("etag") != nullptr;
  const auto& behaviors = field->options().GetRepeatedExtension(google::api::field_behavior);
  return std::any_of(behaviors.begin(), behaviors.end(), [](int b) { return b == google::api::OUTPUT_ONLY; });
}

bool IsSubMessage(const FieldDescriptor* field) {
  // Of other packages only the well-known types appear, which are values.
  return !field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field->message_type()->file()->package() == field->containing_type()->file()->package();
}

bool IsPopulated(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  return field->is_repeated() ? reflection->FieldSize(message, field) > 0 : reflection->HasField(message, field);
}

// Replaces one field, whatever its type.
void CopyField(const Message& from, const FieldDescriptor* field, Message* to) {
  to->GetReflection()->ClearField(to, field);
  if (!IsPopulated(from, field)) return;
  const std::unique_ptr<Message> alone(from.New());
  alone->CopyFrom(from);
  std::vector<const FieldDescriptor*> others;
  from.GetReflection()->ListFields(from, &others);
  for (const FieldDescriptor* other : others)
    if (other != field) alone->GetReflection()->ClearField(alone.get(), other);
  alone->GetReflection()->MutableUnknownFields(alone.get())->Clear();
  to->MergeFrom(*alone);
}

void CopyPopulated(const Message& from, Message* to) {
  std::vector<const FieldDescriptor*> fields;
  from.GetReflection()->ListFields(from, &fields);
  for (const FieldDescriptor* field : fields) {
    if (IsOutput(field)) continue;
    if (IsSubMessage(field) && to->GetReflection()->HasField(*to, field)) {
      CopyPopulated(from.GetReflection()->GetMessage(from, field), to->GetReflection()->MutableMessage(to, field));
    } else {
      CopyField(from, field, to);
    }
  }
}

void CopyAll(const Message& from, Message* to) {
  const Descriptor* descriptor = from.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i)
    if (!IsOutput(descriptor->field(i))) CopyField(from, descriptor->field(i), to);
}

// False: no such path.
bool CopyPath(const Message& from, std::string_view path, Message* to) {
  const size_t dot = path.find('.');
  const FieldDescriptor* field = from.GetDescriptor()->FindFieldByName(std::string(path.substr(0, dot)));
  if (field == nullptr) return false;
  if (dot == path.npos) {
    if (!IsOutput(field)) CopyField(from, field, to);
    return true;
  }
  if (!IsSubMessage(field)) return false;
  const std::string_view rest = path.substr(dot + 1);
  // An output's parts are outputs; the path must still exist.
  if (IsOutput(field)) {
    const std::unique_ptr<Message> scratch(from.GetReflection()->GetMessage(from, field).New());
    return CopyPath(from.GetReflection()->GetMessage(from, field), rest, scratch.get());
  }
  return CopyPath(from.GetReflection()->GetMessage(from, field), rest, to->GetReflection()->MutableMessage(to, field));
}

}  // namespace

absl::Status Merge(const google::protobuf::FieldMask* mask, const Message& wanted, Message* stored,
                   Violations* violations) {
  if (mask == nullptr || mask->paths().empty()) {
    CopyPopulated(wanted, stored);
    return absl::OkStatus();
  }
  for (const std::string& path : mask->paths()) {
    if (path == "*") {
      CopyAll(wanted, stored);
    } else if (!CopyPath(wanted, path, stored)) {
      violations->Add("update_mask", base::StrCat("no such field: ", path.substr(0, 200)));
    }
  }
  return violations->empty() ? absl::OkStatus() : absl::InvalidArgumentError("unknown path in the update mask");
}

}  // namespace gatepost::config
