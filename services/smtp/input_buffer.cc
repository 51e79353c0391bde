#include "services/smtp/input_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "services/base/check.h"
#include "services/base/wipe.h"

namespace gatepost::smtp {

InputBuffer::~InputBuffer() { Clear(); }

InputBuffer::InputBuffer(InputBuffer&& other) noexcept { *this = std::move(other); }

InputBuffer& InputBuffer::operator=(InputBuffer&& other) noexcept {
  Clear();
  data_ = std::move(other.data_);
  capacity_ = std::exchange(other.capacity_, 0);
  begin_ = std::exchange(other.begin_, 0);
  end_ = std::exchange(other.end_, 0);
  prepared_ = std::exchange(other.prepared_, 0);
  return *this;
}

std::span<char> InputBuffer::Prepare(size_t n) {
  GATEPOST_CHECK(n > 0);
  const size_t unread = end_ - begin_;
  if (capacity_ - end_ < n) {
    if (capacity_ - unread >= n) {
      std::memmove(data_.get(), data_.get() + begin_, unread);
      // The room behind is read into, but perhaps not to its end.
      base::Wipe(data_.get() + std::max(unread, begin_), end_ - std::max(unread, begin_));
    } else {
      // Half as much again, so that many small reads of one long line are not quadratic.
      const size_t grown = std::max(unread + n, unread == 0 ? n : capacity_ + capacity_ / 2);
      std::unique_ptr<char[]> larger(new char[grown]);
      if (unread > 0) std::memcpy(larger.get(), data_.get() + begin_, unread);
      base::Wipe(data_.get() + begin_, unread);
      data_ = std::move(larger);
      capacity_ = grown;
    }
    begin_ = 0;
    end_ = unread;
  }
  prepared_ = n;
  return {data_.get() + end_, n};
}

void InputBuffer::Commit(size_t n) {
  GATEPOST_CHECK(n <= prepared_);
  end_ += n;
  prepared_ = 0;
  if (empty()) Release();
}

void InputBuffer::Consume(size_t n) {
  GATEPOST_CHECK(n <= end_ - begin_);
  begin_ += n;
  if (empty()) Release();
}

void InputBuffer::Wipe(size_t n) {
  GATEPOST_CHECK(n <= end_ - begin_);
  base::Wipe(data_.get() + begin_, n);
  Consume(n);
}

void InputBuffer::Release() {
  data_.reset();
  capacity_ = begin_ = end_ = prepared_ = 0;
}

}  // namespace gatepost::smtp
