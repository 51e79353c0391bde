#include "services/ctl/yaml.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <set>
#include <sstream>
#include <utility>

namespace gatepost::ctl {
namespace {

constexpr int kMaxDepth = 64;
constexpr size_t kMaxJson = 16u << 20;

absl::Status Invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

std::string Where(const YAML::Mark& mark) {
  if (mark.is_null()) return "";
  return "line " + std::to_string(mark.line + 1) + ": ";
}

void AppendJsonString(std::string_view text, std::string* out) {
  *out += '"';
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += static_cast<char>(c);
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '\t') {
      *out += "\\t";
    } else if (c < 0x20 || c == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      *out += escape;
    } else {
      *out += static_cast<char>(c);
    }
  }
  *out += '"';
}

// RFC 8259 section 6.
bool IsJsonNumber(std::string_view s) {
  size_t i = 0;
  auto digits = [&] {
    const size_t begin = i;
    while (i < s.size() && s[i] >= '0' && s[i] <= '9') ++i;
    return i - begin;
  };
  if (i < s.size() && s[i] == '-') ++i;
  const size_t integer = i;
  const size_t count = digits();
  if (count == 0 || (count > 1 && s[integer] == '0')) return false;
  if (i < s.size() && s[i] == '.') {
    ++i;
    if (digits() == 0) return false;
  }
  if (i < s.size() && (s[i] == 'e' || s[i] == 'E')) {
    ++i;
    if (i < s.size() && (s[i] == '+' || s[i] == '-')) ++i;
    if (digits() == 0) return false;
  }
  return i == s.size();
}

bool IsNull(std::string_view s) { return s.empty() || s == "~" || s == "null" || s == "Null" || s == "NULL"; }
bool IsTrue(std::string_view s) { return s == "true" || s == "True" || s == "TRUE"; }
bool IsFalse(std::string_view s) { return s == "false" || s == "False" || s == "FALSE"; }

// yaml-cpp marks a quoted or block scalar with the tag "!".
bool IsString(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return true;
  return !IsNull(text) && !IsTrue(text) && !IsFalse(text) && !IsJsonNumber(text);
}

absl::Status AppendJson(const YAML::Node& node, int depth, std::string* out) {
  if (depth > kMaxDepth)
    return Invalid(Where(node.Mark()) + "nested deeper than " + std::to_string(kMaxDepth) + " levels");
  if (out->size() > kMaxJson) return Invalid("the document is larger than 16 MiB");
  const std::string& tag = node.Tag();
  if (!tag.empty() && tag != "!" && tag != "?")
    return Invalid(Where(node.Mark()) + "the tag " + tag + " is not supported");
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      *out += "null";
      return absl::OkStatus();
    case YAML::NodeType::Scalar: {
      const std::string& text = node.Scalar();
      if (IsString(node)) {
        AppendJsonString(text, out);
      } else if (IsNull(text)) {
        *out += "null";
      } else if (IsTrue(text)) {
        *out += "true";
      } else if (IsFalse(text)) {
        *out += "false";
      } else {
        *out += text;
      }
      return absl::OkStatus();
    }
    case YAML::NodeType::Sequence: {
      *out += '[';
      bool first = true;
      for (const YAML::Node& element : node) {
        if (!std::exchange(first, false)) *out += ',';
        if (absl::Status status = AppendJson(element, depth + 1, out); !status.ok()) return status;
      }
      *out += ']';
      return absl::OkStatus();
    }
    case YAML::NodeType::Map: {
      *out += '{';
      std::set<std::string> keys;
      for (const auto& entry : node) {
        if (!entry.first.IsScalar()) return Invalid(Where(entry.first.Mark()) + "a key must be a plain name");
        const std::string& key = entry.first.Scalar();
        if (!keys.insert(key).second) return Invalid(Where(entry.first.Mark()) + "'" + key + "' is there twice");
        if (keys.size() > 1) *out += ',';
        AppendJsonString(key, out);
        *out += ':';
        if (absl::Status status = AppendJson(entry.second, depth + 1, out); !status.ok()) return status;
      }
      *out += '}';
      return absl::OkStatus();
    }
  }
  return Invalid("unknown node");
}

// What may stand without quotes and is read as the same string again.
bool IsPlainSafe(std::string_view s) {
  if (IsNull(s) || IsTrue(s) || IsFalse(s) || IsJsonNumber(s)) return false;
  // An IPv4 address or subnet cannot be a number.
  if (s.find_first_not_of("0123456789./") == std::string_view::npos) return std::count(s.begin(), s.end(), '.') == 3;
  if (!std::isalpha(static_cast<unsigned char>(s[0])) && s[0] != '/' && s[0] != '_') return false;
  for (char c : s) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && std::string_view("-_./@+").find(c) == std::string_view::npos)
      return false;
  }
  // What YAML 1.1 readers take for booleans.
  static const std::set<std::string_view> kWords = {"yes", "Yes", "YES", "no",  "No", "NO", "on", "On",
                                                    "ON",  "off", "Off", "OFF", "y",  "Y",  "n",  "N"};
  return kWords.find(s) == kWords.end();
}

bool IsBlockSafe(std::string_view s) {
  if (s.find('\n') == std::string_view::npos || s[0] == ' ' || s[0] == '\n') return false;
  for (unsigned char c : s) {
    if ((c < 0x20 && c != '\n') || c == 0x7f) return false;
  }
  return true;
}

void AppendYamlScalar(const YAML::Node& node, int indent, std::string* out) {
  if (!node.IsScalar()) {
    *out += "null\n";
    return;
  }
  const std::string& text = node.Scalar();
  if (!IsString(node) || IsPlainSafe(text)) {
    *out += text;
  } else if (IsBlockSafe(text)) {
    *out += text.back() == '\n' ? "|" : "|-";
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      *out += '\n';
      if (!line.empty()) *out += std::string(indent, ' ') + line;
    }
    // Trailing empty lines need the "keep" indicator; nothing that we print has them.
  } else {
    AppendJsonString(text, out);
  }
  *out += '\n';
}

void AppendYaml(const YAML::Node& node, int indent, std::string* out);

// The value behind "key:" or "-".
void AppendYamlValue(const YAML::Node& value, int indent, bool in_sequence, std::string* out) {
  if (value.IsMap() && value.size() > 0 && in_sequence) {
    std::string nested;
    AppendYaml(value, indent, &nested);
    *out += ' ' + nested.substr(indent);
  } else if ((value.IsMap() || value.IsSequence()) && value.size() > 0) {
    *out += '\n';
    AppendYaml(value, indent, out);
  } else if (value.IsMap()) {
    *out += " {}\n";
  } else if (value.IsSequence()) {
    *out += " []\n";
  } else {
    *out += ' ';
    AppendYamlScalar(value, indent, out);
  }
}

void AppendYaml(const YAML::Node& node, int indent, std::string* out) {
  if (node.IsMap() && node.size() > 0) {
    for (const auto& entry : node) {
      const std::string& key = entry.first.Scalar();
      *out += std::string(indent, ' ');
      if (IsPlainSafe(key)) {
        *out += key;
      } else {
        AppendJsonString(key, out);
      }
      *out += ':';
      AppendYamlValue(entry.second, indent + 2, /*in_sequence=*/false, out);
    }
  } else if (node.IsSequence() && node.size() > 0) {
    for (const YAML::Node& element : node) {
      *out += std::string(indent, ' ') + "-";
      AppendYamlValue(element, indent + 2, /*in_sequence=*/true, out);
    }
  } else if (node.IsMap()) {
    *out += "{}\n";
  } else if (node.IsSequence()) {
    *out += "[]\n";
  } else {
    AppendYamlScalar(node, indent, out);
  }
}

}  // namespace

absl::StatusOr<std::vector<YAML::Node>> LoadStream(std::string_view text) {
  std::vector<YAML::Node> documents;
  try {
    for (const YAML::Node& document : YAML::LoadAll(std::string(text))) {
      if (document.IsSequence()) {
        for (const YAML::Node& element : document) documents.push_back(element);
      } else if (!document.IsNull()) {
        documents.push_back(document);
      }
    }
  } catch (const YAML::Exception& e) {
    return Invalid(Where(e.mark) + e.msg);
  }
  return documents;
}

absl::StatusOr<std::string> ToJson(const YAML::Node& node) {
  std::string json;
  try {
    if (absl::Status status = AppendJson(node, 0, &json); !status.ok()) return status;
  } catch (const YAML::Exception& e) {
    return Invalid(Where(e.mark) + e.msg);
  }
  return json;
}

absl::StatusOr<std::string> JsonToYaml(std::string_view json) {
  try {
    std::string yaml;
    AppendYaml(YAML::Load(std::string(json)), 0, &yaml);
    return yaml;
  } catch (const YAML::Exception& e) {
    return Invalid(Where(e.mark) + e.msg);
  }
}

absl::Status SetPath(YAML::Node root, std::string_view path, const YAML::Node& value) {
  try {
    YAML::Node at = root;
    while (true) {
      const size_t dot = path.find('.');
      const std::string part(path.substr(0, dot));
      if (part.empty()) return Invalid("a path is made of field names with dots between them, like relay.mode");
      if (!at.IsMap() && !at.IsNull())
        return Invalid("'" + part + "': what lies above it is no message (lists are set as a whole)");
      if (dot == std::string_view::npos) {
        at[part] = value;
        return absl::OkStatus();
      }
      if (!at[part] || at[part].IsNull()) at[part] = YAML::Node(YAML::NodeType::Map);
      at.reset(at[part]);
      path.remove_prefix(dot + 1);
    }
  } catch (const YAML::Exception& e) {
    return Invalid(Where(e.mark) + e.msg);
  }
}

}  // namespace gatepost::ctl
