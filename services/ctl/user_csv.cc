#include "services/ctl/user_csv.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <utility>

#include "services/base/strings.h"
#include "services/ctl/cli.h"
#include "services/ctl/output.h"

namespace gatepost::ctl {
namespace {

using auth::v1::User;

constexpr size_t kMostProblems = 20;

struct Line {
  int number = 0;
  std::vector<std::string> cells;
};

// RFC 4180 section 2; line ends may be LF alone.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  // nullopt: there is no other. Empty lines are skipped.
  std::optional<Line> Next(std::string* problem) {
    while (at_ < text_.size()) {
      Line line{number_, {}};
      do {
        line.cells.push_back(Cell(problem));
      } while (Take(','));
      if (!EndOfLine() && problem->empty()) *problem = "something follows a closing quote";
      SkipLine();
      if (line.cells.size() > 1 || !line.cells.front().empty() || !problem->empty()) return line;
    }
    return std::nullopt;
  }

 private:
  std::string Cell(std::string* problem) {
    std::string cell;
    if (!Take('"')) {
      while (at_ < text_.size() && text_[at_] != ',' && !EndOfLine()) cell += text_[at_++];
      if (cell.find('"') != std::string::npos) *problem = "a quote inside a cell that has none around it";
      return cell;
    }
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"' && (++at_ == text_.size() || text_[at_] != '"')) return cell;
      if (text_[at_] == '\n') ++number_;
      cell += text_[at_];
    }
    *problem = "a quote is not closed";
    return cell;
  }

  bool Take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool EndOfLine() const {
    const std::string_view rest = text_.substr(at_);
    return rest.empty() || rest.starts_with("\n") || rest.starts_with("\r\n");
  }
  void SkipLine() {
    at_ = std::min(text_.find('\n', at_), text_.size() - 1) + 1;
    ++number_;
  }

  std::string_view text_;
  size_t at_ = 0;
  int number_ = 1;
};

std::string IdFromLogin(std::string_view login) {
  std::string id;
  for (char c : login.substr(0, login.find('@'))) {
    const char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    id += (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ? lower : '-';
  }
  return id;
}

std::optional<bool> YesOrNo(std::string_view text) {
  for (std::string_view yes : {"yes", "true", "1"}) {
    if (base::EqualsIgnoreCase(text, yes)) return true;
  }
  for (std::string_view no : {"no", "false", "0"}) {
    if (base::EqualsIgnoreCase(text, no)) return false;
  }
  return std::nullopt;
}

void SplitInto(std::string_view text, std::string_view prefix, google::protobuf::RepeatedPtrField<std::string>* out) {
  for (std::string_view word : base::Split(text, ' ')) {
    if (!word.empty()) *out->Add() = word.starts_with(prefix) ? std::string(word) : base::StrCat(prefix, word);
  }
}

// The problem with it; empty: none.
std::string SetField(std::string_view column, const std::string& cell, User* user) {
  if (column == "id") {
    user->set_name(NameOf("users", cell));
  } else if (column == "login") {
    user->set_login(cell);
  } else if (column == "display_name") {
    user->set_display_name(cell);
  } else if (column == "password") {
    user->set_password(cell);
  } else if (column == "groups") {
    SplitInto(cell, "groups/", user->mutable_groups());
  } else if (column == "addresses") {
    SplitInto(cell, "", user->mutable_addresses());
  } else {
    const std::optional<bool> value = YesOrNo(cell);
    if (!value) return base::StrCat(column, " is yes or no, not '", Printable(cell), "'");
    if (column == "may_submit") user->set_may_submit(*value);
    if (column == "may_relay") user->set_may_relay(*value);
    if (column == "ntlm") user->set_ntlm(*value);
  }
  return "";
}

constexpr std::string_view kColumns[] = {"id",        "login",      "display_name", "password", "groups",
                                         "addresses", "may_submit", "may_relay",    "ntlm"};

std::string CheckHeader(const Line& header) {
  std::map<std::string_view, int> seen;
  for (const std::string& cell : header.cells) {
    bool known = false;
    for (std::string_view column : kColumns) known |= column == cell;
    if (!known) {
      return base::StrCat("there is no column '", Printable(cell),
                          "', only id, login, display_name, password, groups, addresses, may_submit, may_relay, ntlm");
    }
    if (++seen[cell] > 1) return base::StrCat("column ", cell, " is there twice");
  }
  return seen.count("login") == 0 ? "the first line names the columns, and `login` must be one" : "";
}

std::string ReadRow(const Line& header, const Line& line, UserRow* row) {
  User* const user = &row->user;
  if (line.cells.size() != header.cells.size()) {
    return base::StrCat("it has ", std::to_string(line.cells.size()), " cells, the header ",
                        std::to_string(header.cells.size()));
  }
  for (size_t i = 0; i < line.cells.size(); ++i) {
    if (line.cells[i].empty()) continue;
    if (!base::IsValidUtf8(line.cells[i])) return base::StrCat(header.cells[i], " is not UTF-8");
    if (std::string problem = SetField(header.cells[i], line.cells[i], user); !problem.empty()) return problem;
  }
  if (user->login().empty()) return "it has no login";
  row->id_from_login = user->name().empty();
  if (row->id_from_login) user->set_name(NameOf("users", IdFromLogin(user->login())));
  return "";
}

}  // namespace

absl::StatusOr<std::vector<UserRow>> ParseUserTable(std::string_view text) {
  Reader reader(text);
  std::string problem;
  const std::optional<Line> header = reader.Next(&problem);
  if (!header) return UsageError("it is empty: the first line names the columns");
  if (problem.empty()) problem = CheckHeader(*header);
  if (!problem.empty()) return UsageError(base::StrCat("line ", std::to_string(header->number), ": ", problem));

  std::vector<UserRow> rows;
  std::map<std::string, int> lines;  // where a user stands
  std::vector<std::string> problems;
  while (std::optional<Line> line = reader.Next(&problem)) {
    UserRow row;
    row.line = line->number;
    if (problem.empty()) problem = ReadRow(*header, *line, &row);
    if (problem.empty()) {
      const auto [at, added] = lines.emplace(row.user.name(), line->number);
      if (!added) problem = base::StrCat(row.user.name(), " stands in line ", std::to_string(at->second), " too");
    }
    if (problem.empty()) {
      rows.push_back(std::move(row));
    } else {
      problems.push_back(base::StrCat("line ", std::to_string(line->number), ": ", problem));
      problem.clear();
    }
  }
  if (problems.empty()) return rows;
  std::string all;
  for (size_t i = 0; i < problems.size() && i < kMostProblems; ++i)
    base::StrAppend(&all, i == 0 ? "" : "\n", problems[i]);
  if (problems.size() > kMostProblems)
    base::StrAppend(&all, "\nand ", std::to_string(problems.size() - kMostProblems), " more");
  return UsageError(all);
}

}  // namespace gatepost::ctl
