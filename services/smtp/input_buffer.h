// The octets read from one connection and not yet consumed. It grows on demand, keeps what is unread in one piece, and
// holds no memory while it is empty, so that an idle connection costs none.
//
// What is wiped is overwritten, also where it had lain before the buffer grew; what was never consumed is when it goes.
//
// It knows no bound: whoever reads decides how much may pile up. One thread; movable.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace gatepost::smtp {

class InputBuffer {
 public:
  InputBuffer() = default;
  ~InputBuffer();
  InputBuffer(InputBuffer&& other) noexcept;
  InputBuffer& operator=(InputBuffer&& other) noexcept;

  // Room for exactly `n` octets behind the unread ones (n > 0). Views that readable() gave become invalid.
  std::span<char> Prepare(size_t n);
  // The first `n` octets of that room have been filled; 0 is allowed, and gives the memory back if nothing is unread.
  void Commit(size_t n);

  // What is unread; valid until the next call that is not const.
  std::string_view readable() const { return {data_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  // The first `n` unread octets are done with (n <= readable().size()). Gives the memory back when nothing is left.
  void Consume(size_t n);
  // Likewise, and overwrites them: a line may hold credentials.
  void Wipe(size_t n);
  // Forgets everything unread.
  void Clear() { Wipe(readable().size()); }

  // Octets of memory held now.
  size_t capacity() const { return capacity_; }

 private:
  void Release();

  std::unique_ptr<char[]> data_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t prepared_ = 0;
};

}  // namespace gatepost::smtp
