#include "services/edge/memory_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

#include "services/base/file.h"
#include "services/base/strings.h"

namespace gatepost::edge {
namespace {

// As large as memory.stat gets, with room.
using Text = std::array<char, 16384>;

std::string_view ReadAll(int fd, Text& buffer) {
  if (fd < 0) return {};
  const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), 0);
  return n <= 0 ? std::string_view() : std::string_view(buffer.data(), static_cast<size_t>(n));
}

std::optional<uint64_t> Number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

// A limit in octets. Version 2 says "max" for none, version 1 the largest number of pages that there is.
std::optional<uint64_t> Limit(std::string_view text) {
  const std::optional<uint64_t> limit = Number(text);
  if (!limit || *limit >= uint64_t{1} << 60) return std::nullopt;
  return limit;
}

// The figure behind `name` in lines of "name figure"; 0 if there is none.
uint64_t Field(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ' ') {
      return Number(line.substr(name.size() + 1)).value_or(0);
    }
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return 0;
}

// A file of /proc or of a control group; empty: there is none.
std::string Contents(const std::string& path) { return base::ReadFile(path, 1 << 20).value_or(std::string()); }

struct Hierarchy {
  bool unified = false;
  std::string path;   // of our group, as /proc/self/cgroup has it
  std::string mount;  // where the hierarchy is seen
  std::string shown;  // what of it is mounted there
};

// The hierarchy that has the memory controller: on a machine with both versions it is the first version's.
std::optional<Hierarchy> FindHierarchy(const std::string& root) {
  Hierarchy found;
  bool known = false;
  const std::string groups = Contents(root + "/proc/self/cgroup");
  for (const std::string_view line : base::Split(groups, '\n')) {
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    bool has_memory = false;
    for (const std::string_view controller : base::Split(controllers, ','))
      has_memory = has_memory || controller == "memory";
    if (!has_memory && (known || !controllers.empty())) continue;
    found.path = line.substr(second + 1);
    found.unified = !has_memory;
    known = true;
    if (has_memory) break;
  }
  if (!known) return std::nullopt;
  const std::string mounts = Contents(root + "/proc/self/mountinfo");
  for (const std::string_view line : base::Split(mounts, '\n')) {
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const std::vector<std::string_view> before = base::Split(line.substr(0, dash), ' ');
    const std::vector<std::string_view> after = base::Split(line.substr(dash + 3), ' ');
    if (before.size() < 5 || after.size() < 3) continue;
    bool fits = after[0] == (found.unified ? "cgroup2" : "cgroup");
    if (fits && !found.unified) {
      fits = false;
      for (const std::string_view option : base::Split(after[2], ',')) fits = fits || option == "memory";
    }
    if (!fits) continue;
    found.shown = before[3];
    found.mount = before[4];
    return found;
  }
  return std::nullopt;
}

int Open(const std::string& path) { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }

}  // namespace

MemoryReader::MemoryReader(const Options& options) : own_limit_(options.limit) {
  statm_ = Open(options.root + "/proc/self/statm");
  if (own_limit_ != 0) {
    source_ = "--memory-limit";
  } else {
    FindGroup(options.root);
  }
}

MemoryReader::~MemoryReader() {
  for (const int fd : {statm_, limit_, usage_, stat_}) {
    if (fd >= 0) ::close(fd);
  }
}

void MemoryReader::FindGroup(const std::string& root) {
  const std::optional<Hierarchy> hierarchy = FindHierarchy(root);
  if (!hierarchy) return;
  unified_ = hierarchy->unified;
  // Below what is mounted; a path that is not there belongs to a namespace that we do not see: the mount is all.
  std::string below = hierarchy->path;
  const std::string shown = hierarchy->shown == "/" ? "" : hierarchy->shown;
  below = below.starts_with(shown) ? below.substr(shown.size()) : "";
  while (below.ends_with('/')) below.pop_back();
  const std::string limit_file = unified_ ? "/memory.max" : "/memory.limit_in_bytes";
  std::optional<uint64_t> least;
  std::string group;
  for (;;) {
    const std::string folder = root + hierarchy->mount + below;
    const std::optional<uint64_t> limit = Limit(Contents(folder + limit_file));
    if (limit && (!least || *limit < *least)) {
      least = limit;
      group = folder;
    }
    if (below.empty()) break;
    below.resize(below.rfind('/'));
  }
  if (!least) return;
  limit_ = Open(group + limit_file);
  usage_ = Open(group + (unified_ ? "/memory.current" : "/memory.usage_in_bytes"));
  stat_ = Open(group + "/memory.stat");
  source_ = group;
}

MemoryUse MemoryReader::Read() const {
  Text buffer;
  MemoryUse use;
  // statm: size, resident, ... in pages.
  const std::string_view statm = ReadAll(statm_, buffer);
  const size_t space = statm.find(' ');
  if (space != std::string_view::npos) {
    use.own = Number(statm.substr(space + 1)).value_or(0) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  if (own_limit_ != 0) {
    use.limit = own_limit_;
    use.used = use.own;
    return use;
  }
  use.limit = Limit(ReadAll(limit_, buffer)).value_or(0);
  use.used = Number(ReadAll(usage_, buffer)).value_or(0);
  const std::string_view stat = ReadAll(stat_, buffer);
  const uint64_t cache = unified_ ? Field(stat, "inactive_file") + Field(stat, "active_file")
                                  : Field(stat, "total_inactive_file") + Field(stat, "total_active_file");
  use.used -= std::min(use.used, cache);
  return use;
}

}  // namespace gatepost::edge
