#include "services/ctl/output.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "services/ctl/yaml.h"

namespace gatepost::ctl {
namespace {

absl::StatusOr<std::string> Json(const google::protobuf::Message& resource) {
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(resource, &json);
  if (!status.ok()) return absl::InternalError("the answer cannot be shown as JSON: " + std::string(status.message()));
  return json;
}

// JSON, indented by two spaces. Protobuf's own pretty printer indents by one, and knows nothing of the kind.
std::string Indent(std::string_view json) {
  std::string out;
  size_t depth = 0;
  bool in_string = false;
  auto newline = [&] { out += '\n' + std::string(2 * depth, ' '); };
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      out += c;
      if (c == '\\' && i + 1 < json.size()) {
        out += json[++i];
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
      out += c;
    } else if ((c == '{' || c == '[') && i + 1 < json.size() && (json[i + 1] == '}' || json[i + 1] == ']')) {
      out += c;
      out += json[++i];
    } else if (c == '{' || c == '[') {
      out += c;
      ++depth;
      newline();
    } else if (c == '}' || c == ']') {
      --depth;
      newline();
      out += c;
    } else if (c == ',') {
      out += c;
      newline();
    } else if (c == ':') {
      out += ": ";
    } else if (c != ' ' && c != '\n') {
      out += c;
    }
  }
  return out;
}

// Characters, not octets: what a column is as wide as.
size_t Width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

absl::StatusOr<std::string> ResourceJson(const google::protobuf::Message& resource, bool pretty) {
  auto json = Json(resource);
  if (!json.ok()) return json.status();
  const std::string kind = "{\"kind\":\"" + resource.GetDescriptor()->name() + "\"";
  const std::string all = *json == "{}" ? kind + "}" : kind + "," + json->substr(1);
  return pretty ? Indent(all) : all;
}

absl::StatusOr<std::string> ResourceYaml(const google::protobuf::Message& resource) {
  auto json = ResourceJson(resource, /*pretty=*/false);
  if (!json.ok()) return json.status();
  return JsonToYaml(*json);
}

absl::Status PrintResource(Format format, const google::protobuf::Message& resource, std::ostream& out) {
  if (format == Format::kJson) {
    auto json = ResourceJson(resource, /*pretty=*/true);
    if (!json.ok()) return json.status();
    out << *json << '\n';
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> yaml;
  if (format == Format::kYaml) {
    yaml = ResourceYaml(resource);
  } else {
    auto json = Json(resource);
    if (!json.ok()) return json.status();
    yaml = JsonToYaml(*json);
  }
  if (!yaml.ok()) return yaml.status();
  out << *yaml;
  return absl::OkStatus();
}

absl::Status PrintList(Format format, const std::vector<const google::protobuf::Message*>& resources,
                       const Table& table, std::string_view empty, std::ostream& out) {
  if (format == Format::kText) {
    if (table.rows.empty()) {
      out << empty << '\n';
    } else {
      PrintTable(table, out);
    }
    return absl::OkStatus();
  }
  std::string array = "[";
  for (const google::protobuf::Message* resource : resources) {
    auto text = format == Format::kJson ? ResourceJson(*resource, /*pretty=*/false) : ResourceYaml(*resource);
    if (!text.ok()) return text.status();
    if (format == Format::kYaml) {
      out << "---\n" << *text;
    } else {
      array += (array.size() > 1 ? "," : "") + *text;
    }
  }
  if (format == Format::kJson) out << Indent(array + "]") << '\n';
  return absl::OkStatus();
}

void PrintTable(const Table& table, std::ostream& out) {
  std::vector<size_t> widths;
  auto measure = [&](const std::vector<std::string>& row) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  };
  measure(table.header);
  for (const auto& row : table.rows) measure(row);
  auto print = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < row.size(); ++i) {
      out << row[i];
      if (i + 1 < row.size()) out << std::string(widths[i] - Width(row[i]) + 2, ' ');
    }
    out << '\n';
  };
  print(table.header);
  for (const auto& row : table.rows) print(row);
}

std::string Printable(std::string_view text) {
  std::string out;
  for (unsigned char c : text) {
    if (c < 0x20 || c == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", c);
      out += escape;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

std::string IdOf(std::string_view name) {
  const size_t slash = name.rfind('/');
  return std::string(slash == std::string_view::npos ? name : name.substr(slash + 1));
}

std::string RelativeTime(int64_t seconds, int64_t now) {
  const int64_t distance = std::llabs(seconds - now);
  if (distance == 0) return "now";
  std::string amount;
  if (distance < 120) {
    amount = std::to_string(distance) + " s";
  } else if (distance < 120 * 60) {
    amount = std::to_string(distance / 60) + " min";
  } else if (distance < 48 * 3600) {
    amount = std::to_string(distance / 3600) + " h";
  } else {
    amount = std::to_string((distance + 43200) / 86400) + " days";  // the nearest: what was just made says what was asked for
  }
  return seconds >= now ? "in " + amount : amount + " ago";
}

}  // namespace gatepost::ctl
