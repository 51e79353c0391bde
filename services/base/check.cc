#include "services/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace gatepost::base {

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: GATEPOST_CHECK(%s) failed\n", file, line, condition);
  std::abort();
}

}  // namespace gatepost::base
