#include "services/auth/key_source.h"

#include <curl/curl.h>

#include <memory>
#include <string_view>
#include <utility>

#include "services/base/file.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

constexpr size_t kMostOctets = 1 << 20;
constexpr long kConnectMilliseconds = 2'000;
constexpr long kWholeMilliseconds = 5'000;
constexpr long kHttpOk = 200;

struct Cleanup {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

size_t Take(char* octets, size_t /*one*/, size_t size, void* out) {
  auto* text = static_cast<std::string*>(out);
  if (text->size() + size > kMostOctets) return 0;
  text->append(octets, size);
  return size;
}

absl::Status Unavailable(std::string_view why) { return absl::UnavailableError(base::ToAbsl(why)); }

}  // namespace

SystemKeySource::SystemKeySource(std::string ca_file) : ca_file_(std::move(ca_file)) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

absl::StatusOr<std::string> SystemKeySource::Fetch(const std::string& location) {
  if (location.starts_with('/')) return base::ReadFile(location, kMostOctets);
  const std::unique_ptr<CURL, Cleanup> curl(curl_easy_init());
  if (curl == nullptr) return Unavailable("no memory");
  std::string text;
  curl_easy_setopt(curl.get(), CURLOPT_URL, location.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT_MS, kConnectMilliseconds);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, kWholeMilliseconds);
  curl_easy_setopt(curl.get(), CURLOPT_USERAGENT, "gatepost-auth");
  if (!ca_file_.empty()) curl_easy_setopt(curl.get(), CURLOPT_CAINFO, ca_file_.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &Take);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &text);
  if (const CURLcode code = curl_easy_perform(curl.get()); code != CURLE_OK)
    return Unavailable(curl_easy_strerror(code));
  long http = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &http);
  if (http != kHttpOk) return Unavailable(base::StrCat("HTTP ", http));
  return text;
}

}  // namespace gatepost::auth
