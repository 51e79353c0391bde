// JSON of strangers' (RFC 8259) into protobuf's Struct: an object, bounded in size and depth. Thread-safe.
#pragma once

#include <google/protobuf/struct.pb.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatepost::auth {

// nullopt: not an object, or larger than `most` octets, or not UTF-8, or deeper than 100.
std::optional<google::protobuf::Struct> ParseJsonObject(std::string_view text, size_t most);

// The string of a member; empty: there is none, or it is something else.
std::string StringMember(const google::protobuf::Struct& object, const std::string& name);
// The strings of a member that is a string, or a list of strings; empty likewise.
std::vector<std::string> StringsMember(const google::protobuf::Struct& object, const std::string& name);
// The number of a member.
std::optional<double> NumberMember(const google::protobuf::Struct& object, const std::string& name);
bool HasMember(const google::protobuf::Struct& object, const std::string& name);

}  // namespace gatepost::auth
