#include "services/ctl/line_diff.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace gatepost::ctl {
namespace {

constexpr size_t kMaxCompared = 2000;
constexpr size_t kContext = 2;

struct Line {
  char mark;
  std::string_view text;
};

std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

// The middle of both texts, where they differ: the longest common subsequence stays.
void Compare(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b, std::vector<Line>* out) {
  if (a.size() > kMaxCompared || b.size() > kMaxCompared) {
    for (std::string_view line : a) out->push_back({'-', line});
    for (std::string_view line : b) out->push_back({'+', line});
    return;
  }
  const size_t width = b.size() + 1;
  std::vector<uint16_t> length((a.size() + 1) * width, 0);
  for (size_t i = a.size(); i-- > 0;) {
    for (size_t j = b.size(); j-- > 0;) {
      length[i * width + j] = a[i] == b[j] ? length[(i + 1) * width + j + 1] + 1
                                           : std::max(length[(i + 1) * width + j], length[i * width + j + 1]);
    }
  }
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      out->push_back({' ', a[i]});
      ++i;
      ++j;
    } else if (j == b.size() || (i < a.size() && length[(i + 1) * width + j] >= length[i * width + j + 1])) {
      out->push_back({'-', a[i++]});
    } else {
      out->push_back({'+', b[j++]});
    }
  }
}

}  // namespace

std::string LineDiff(std::string_view before, std::string_view after) {
  if (before == after) return "";
  std::vector<std::string_view> a = Split(before);
  std::vector<std::string_view> b = Split(after);
  size_t head = 0;
  while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
  size_t tail = 0;
  while (tail < a.size() - head && tail < b.size() - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;

  std::vector<Line> lines;
  for (size_t i = 0; i < head; ++i) lines.push_back({' ', a[i]});
  Compare({a.begin() + head, a.end() - tail}, {b.begin() + head, b.end() - tail}, &lines);
  for (size_t i = a.size() - tail; i < a.size(); ++i) lines.push_back({' ', a[i]});

  std::vector<bool> shown(lines.size(), false);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].mark == ' ') continue;
    for (size_t k = i - std::min(i, kContext); k < std::min(lines.size(), i + kContext + 1); ++k) shown[k] = true;
  }
  std::string out;
  bool gap = false;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!shown[i]) {
      if (!gap) out += "  ...\n";
      gap = true;
      continue;
    }
    gap = false;
    out += lines[i].mark;
    out += ' ';
    out += lines[i].text;
    out += '\n';
  }
  return out;
}

}  // namespace gatepost::ctl
