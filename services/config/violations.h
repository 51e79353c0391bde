// Everything that is wrong with a request, collected so that the caller learns of all of it at once.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/config/limits.h"

namespace gatepost::config {

struct Violation {
  std::string field;  // `virtual_server.listeners[2].port`
  std::string description;
};

class Violations {
 public:
  void Add(std::string field, std::string_view description) {
    if (list_.size() < kMaxViolations) {
      list_.push_back({std::move(field), std::string(description)});
    } else {
      ++omitted_;
    }
  }

  bool empty() const { return list_.empty(); }
  const std::vector<Violation>& list() const { return list_; }
  size_t omitted() const { return omitted_; }

 private:
  std::vector<Violation> list_;
  size_t omitted_ = 0;
};

}  // namespace gatepost::config
