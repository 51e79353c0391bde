// Octets that are wiped when they go, and lie in one place until then: moving a Secret moves a pointer, whereas moving a
// short std::string copies its octets and leaves the old ones.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "services/base/wipe.h"

namespace gatepost::base {

class Secret {
 public:
  Secret() = default;
  // A copy of `octets`, which stay the caller's to wipe.
  explicit Secret(std::string_view octets) : Secret(octets.size()) {
    if (!octets.empty()) std::memcpy(octets_.get(), octets.data(), octets.size());
  }
  // Room for `size` octets, all zero, to be filled through data().
  explicit Secret(size_t size) : octets_(std::make_unique<char[]>(size)), size_(size) {}
  Secret(Secret&& other) noexcept : octets_(std::move(other.octets_)), size_(std::exchange(other.size_, 0)) {}
  Secret& operator=(Secret&& other) noexcept {
    if (this == &other) return *this;
    Wipe();
    octets_ = std::move(other.octets_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  ~Secret() { Wipe(); }

  // Holds until the secret is wiped, assigned or destroyed; also while it is moved.
  std::string_view view() const { return {octets_.get(), size_}; }
  char* data() { return octets_.get(); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Before its end. It is empty afterwards.
  void Wipe() {
    base::Wipe(octets_.get(), size_);
    octets_.reset();
    size_ = 0;
  }

 private:
  std::unique_ptr<char[]> octets_;
  size_t size_ = 0;
};

}  // namespace gatepost::base
