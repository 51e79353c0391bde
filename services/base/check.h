// GATEPOST_CHECK(condition): for what cannot be; in every build. Prints where and aborts. Never for what a peer can cause.
#pragma once

namespace gatepost::base {

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace gatepost::base

#define GATEPOST_CHECK(condition) \
  (__builtin_expect(static_cast<bool>(condition), 1) ? void() : ::gatepost::base::CheckFailed(__FILE__, __LINE__, #condition))
