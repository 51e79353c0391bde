#include "services/base/clock.h"

#include <array>
#include <cstdio>
#include <ctime>

namespace gatepost::base {
namespace {

constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::tm Utc(std::chrono::sys_seconds seconds) {
  const std::time_t t = std::chrono::system_clock::to_time_t(seconds);
  std::tm parts{};
  gmtime_r(&t, &parts);
  return parts;
}

}  // namespace

std::string FormatRfc3339(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(time - seconds).count();
  const std::tm t = Utc(seconds);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                t.tm_hour, t.tm_min, t.tm_sec, static_cast<int>(millis));
  return text;
}

std::string FormatRfc5322(WallTime time) {
  const std::tm t = Utc(std::chrono::floor<std::chrono::seconds>(time));
  char text[64];
  std::snprintf(text, sizeof text, "%s, %d %s %04d %02d:%02d:%02d +0000", kDays[static_cast<size_t>(t.tm_wday)],
                t.tm_mday, kMonths[static_cast<size_t>(t.tm_mon)], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
  return text;
}

}  // namespace gatepost::base
