#include "services/auth/user_records.h"

#include <charconv>

#include "services/base/strings.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {
namespace {

std::string Etag(std::string_view epoch, int64_t revision) { return base::StrCat(epoch, "-", revision); }

}  // namespace

std::string_view IdOf(std::string_view name) { return name.substr(name.find('/') + 1); }

bool IsResourceId(std::string_view id) {
  if (id.empty() || id.size() > 63 || id.front() < 'a' || id.front() > 'z' || id.back() == '-') return false;
  for (const char c : id) {
    if (!(c >= 'a' && c <= 'z') && !base::IsDigit(c) && c != '-') return false;
  }
  return true;
}

google::protobuf::Timestamp ToTimestamp(base::WallTime time) {
  const auto since = time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(seconds.count());
  timestamp.set_nanos(
      static_cast<int32_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds).count()));
  return timestamp;
}

std::string ToMilliseconds(base::WallTime time) {
  return std::to_string(std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

std::optional<base::WallTime> FromMilliseconds(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > int64_t{1} << 52)
    return std::nullopt;
  return base::WallTime(std::chrono::milliseconds(value));
}

std::string Stored(v1::User user) {
  user.clear_name();
  user.clear_etag();
  user.clear_revision();
  user.clear_password();
  return user.SerializeAsString();
}

absl::StatusOr<v1::User> UserOf(const store::Record& record, std::string_view epoch) {
  v1::User user;
  if (!user.ParseFromString(record.value)) return absl::DataLossError("a stored user is damaged");
  user.set_name(record.key);
  Complete(&user, epoch, record.revision);
  return user;
}

void Complete(v1::User* user, std::string_view epoch, int64_t revision) {
  user->clear_password();
  user->set_revision(revision);
  user->set_etag(Etag(epoch, revision));
}

absl::Status CheckEtag(std::string_view etag, std::string_view epoch, int64_t revision) {
  if (etag.empty() || etag == Etag(epoch, revision)) return absl::OkStatus();
  return rpc::Error(absl::StatusCode::kAborted, "ETAG_NOT_CURRENT",
                    "the etag is not current: somebody else changed the user meanwhile");
}

}  // namespace gatepost::auth
