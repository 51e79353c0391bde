#include "services/auth/cores.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace gatepost::auth {
namespace {

// Cores of a quota; 0: there is none.
int QuotaCores() {
  if (std::ifstream file("/sys/fs/cgroup/cpu.max"); file) {  // "max 100000", "150000 100000"
    std::string quota;
    double period = 0;
    if (file >> quota >> period && quota != "max" && period > 0)
      return static_cast<int>(std::max(1.0, std::stod(quota) / period));
    return 0;
  }
  std::ifstream quota_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), period_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double quota = 0, period = 0;
  if (quota_file >> quota && period_file >> period && quota > 0 && period > 0)
    return static_cast<int>(std::max(1.0, quota / period));
  return 0;
}

}  // namespace

int AvailableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int usable = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  int quota = 0;
  try {
    quota = QuotaCores();
  } catch (const std::exception&) {
    quota = 0;  // Not a number: as if there were none.
  }
  return std::max(1, quota > 0 ? std::min(usable, quota) : usable);
}

}  // namespace gatepost::auth
