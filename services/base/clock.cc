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
  // In every log line: no printf.
  const auto millis = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(millis);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(millis - day);
  std::string text;
  text.reserve(24);
  // `unit`: of the first digit.
  const auto append = [&](int value, int unit, char behind) {
    for (; unit > 0; unit /= 10) text.push_back(static_cast<char>('0' + value / unit % 10));
    text.push_back(behind);
  };
  append(static_cast<int>(date.year()), 1000, '-');
  append(static_cast<int>(static_cast<unsigned>(date.month())), 10, '-');
  append(static_cast<int>(static_cast<unsigned>(date.day())), 10, 'T');
  append(static_cast<int>(clock.hours().count()), 10, ':');
  append(static_cast<int>(clock.minutes().count()), 10, ':');
  append(static_cast<int>(clock.seconds().count()), 10, '.');
  append(static_cast<int>(clock.subseconds().count()), 100, 'Z');
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
