#include "services/auth/json.h"

#include <google/protobuf/util/json_util.h>

#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

const Value* Member(const Struct& object, const std::string& name) {
  const auto member = object.fields().find(name);
  return member == object.fields().end() ? nullptr : &member->second;
}

}  // namespace

std::optional<Struct> ParseJsonObject(std::string_view text, size_t most) {
  if (text.size() > most || !base::IsValidUtf8(text) || text.find('\0') != text.npos) return std::nullopt;
  Struct object;
  const google::protobuf::StringPiece piece(text.data(), text.size());
  if (!google::protobuf::util::JsonStringToMessage(piece, &object).ok()) return std::nullopt;
  return object;
}

std::string StringMember(const Struct& object, const std::string& name) {
  const Value* value = Member(object, name);
  return value != nullptr && value->kind_case() == Value::kStringValue ? value->string_value() : std::string();
}

std::vector<std::string> StringsMember(const Struct& object, const std::string& name) {
  const Value* value = Member(object, name);
  if (value == nullptr) return {};
  if (value->kind_case() == Value::kStringValue) return {value->string_value()};
  std::vector<std::string> strings;
  for (const Value& element : value->list_value().values()) {
    if (element.kind_case() != Value::kStringValue) return {};
    strings.push_back(element.string_value());
  }
  return strings;
}

std::optional<double> NumberMember(const Struct& object, const std::string& name) {
  const Value* value = Member(object, name);
  if (value == nullptr || value->kind_case() != Value::kNumberValue) return std::nullopt;
  return value->number_value();
}

bool HasMember(const Struct& object, const std::string& name) { return Member(object, name) != nullptr; }

}  // namespace gatepost::auth
