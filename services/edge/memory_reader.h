// How much memory the edge may use, and does: of its control group (version 1 or 2), or as --memory-limit says.
//
// Of the groups above this process that have a limit the one with the least is watched, chosen at start. What the
// kernel takes back before it kills anybody, the file cache, is not counted as used. With a limit of its own making the
// process's resident memory counts.
//
// The files are opened once: reading costs three short system calls, no descriptor and no memory, so that it goes on
// when there is none left of either. Thread rule: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "services/edge/overload.h"

namespace gatepost::edge {

class MemoryReader {
 public:
  struct Options {
    uint64_t limit = 0;  // octets, of this process; 0: the control group's
    std::string root;    // where /proc and the control groups are seen; tests have their own
  };
  explicit MemoryReader(const Options& options);
  ~MemoryReader();
  MemoryReader(const MemoryReader&) = delete;
  MemoryReader& operator=(const MemoryReader&) = delete;

  // limit 0: none is known, or it could not be read.
  MemoryUse Read() const;
  // Whose limit it is, for the log: a control group's folder, "--memory-limit", or nothing.
  std::string_view source() const { return source_; }

 private:
  void FindGroup(const std::string& root);

  const uint64_t own_limit_;
  std::string source_;
  bool unified_ = false;  // a control group of version 2
  // Descriptors, -1: none.
  int statm_ = -1;
  int limit_ = -1;
  int usage_ = -1;
  int stat_ = -1;
};

}  // namespace gatepost::edge
