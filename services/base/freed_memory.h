// Finds in tests what is left of a secret in memory that is given back. It replaces the global operator new and delete:
// one file of a test program may include it.
#pragma once

#include <malloc.h>
#include <string.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string_view>

namespace gatepost::base {

// While there is one, everything that is freed is searched. One at a time.
class FreedMemory {
 public:
  // `sought` outlives it and does not lie in freed memory itself: a literal.
  explicit FreedMemory(std::string_view sought) {
    found_ = 0;
    size_ = sought.size();
    sought_ = sought.data();
  }
  ~FreedMemory() { sought_ = nullptr; }
  FreedMemory(const FreedMemory&) = delete;
  FreedMemory& operator=(const FreedMemory&) = delete;

  // How many pieces of memory held it when they were freed.
  int found() const { return found_; }

  static void Search(void* memory) {
    const char* sought = sought_;
    if (memory == nullptr || sought == nullptr) return;
    if (memmem(memory, malloc_usable_size(memory), sought, size_) != nullptr) ++found_;
  }

 private:
  static inline std::atomic<const char*> sought_{nullptr};
  static inline std::atomic<size_t> size_{0};
  static inline std::atomic<int> found_{0};
};

}  // namespace gatepost::base

void* operator new(size_t size) {
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  std::abort();
}
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept {
  gatepost::base::FreedMemory::Search(memory);
  std::free(memory);
}
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete(void* memory, size_t /*size*/) noexcept { operator delete(memory); }
void operator delete[](void* memory, size_t /*size*/) noexcept { operator delete(memory); }
