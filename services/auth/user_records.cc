#include "services/auth/user_records.h"

#include <charconv>
#include <chrono>
#include <utility>

#include "services/base/strings.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {
namespace {

std::string Etag(std::string_view epoch, int64_t revision) { return base::StrCat(epoch, "-", revision); }

template <typename Resource>
std::string Serialize(Resource resource) {
  resource.clear_name();
  resource.clear_etag();
  resource.clear_revision();
  return resource.SerializeAsString();
}

template <typename Resource>
absl::StatusOr<Resource> Parse(const store::Record& record, std::string name, std::string_view epoch) {
  Resource resource;
  if (!resource.ParseFromString(record.value)) return absl::DataLossError("a stored record is damaged");
  resource.set_name(std::move(name));
  Complete(&resource, epoch, record.revision);
  return resource;
}

}  // namespace

std::string_view IdOf(std::string_view name) { return name.substr(name.find('/') + 1); }

std::string CredentialName(std::string_view user_id, std::string_view id) {
  return base::StrCat(kUsers, user_id, "/", kCredentials, id);
}

std::string DirectoryUserName(std::string_view directory, std::string_view login_key) {
  return base::StrCat(kDirectories, directory, "/", kUsers, login_key);
}

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
  user.clear_password();
  user.clear_last_login_time();
  return Serialize(std::move(user));
}
std::string Stored(v1::Group group) {
  group.clear_member_count();
  return Serialize(std::move(group));
}
std::string Stored(v1::Credential credential) {
  credential.clear_last_use_time();
  credential.clear_last_use_network();
  return Serialize(std::move(credential));
}

absl::StatusOr<v1::User> UserOf(const store::Record& record, std::string_view epoch) {
  return Parse<v1::User>(record, record.key, epoch);
}
absl::StatusOr<v1::Group> GroupOf(const store::Record& record, std::string_view epoch) {
  return Parse<v1::Group>(record, record.key, epoch);
}
absl::StatusOr<v1::Credential> CredentialOf(const store::Record& record, std::string name, std::string_view epoch) {
  return Parse<v1::Credential>(record, std::move(name), epoch);
}

void Complete(v1::User* user, std::string_view epoch, int64_t revision) {
  user->clear_password();
  user->set_revision(revision);
  user->set_etag(Etag(epoch, revision));
}
void Complete(v1::Group* group, std::string_view epoch, int64_t revision) {
  group->set_revision(revision);
  group->set_etag(Etag(epoch, revision));
}
void Complete(v1::Credential* credential, std::string_view epoch, int64_t revision) {
  credential->set_revision(revision);
  credential->set_etag(Etag(epoch, revision));
}

absl::Status CheckEtag(std::string_view etag, std::string_view epoch, int64_t revision) {
  if (etag.empty() || etag == Etag(epoch, revision)) return absl::OkStatus();
  return rpc::Error(absl::StatusCode::kAborted, "ETAG_NOT_CURRENT",
                    "the etag is not current: somebody else made a change meanwhile");
}

void RevokeSessions(v1::User* user, base::WallTime now, store::Transaction* transaction) {
  *user->mutable_sessions_revoked_time() = ToTimestamp(RevokeSessions(user->name(), now, transaction));
}

base::WallTime RevokeSessions(std::string_view name, base::WallTime now, store::Transaction* transaction) {
  // Rounded up: a session that began within the same millisecond ends with it.
  const base::WallTime since = std::chrono::ceil<std::chrono::milliseconds>(now);
  const std::string_view whose = name.starts_with(kDirectories) ? name : IdOf(name);
  transaction->writes.push_back({base::StrCat(kRevocations, whose), ToMilliseconds(since), store::Condition::None()});
  return since;
}

std::string RevokedUser(std::string_view key) {
  const std::string_view whose = IdOf(key);
  return whose.starts_with(kDirectories) ? std::string(whose) : base::StrCat(kUsers, whose);
}

}  // namespace gatepost::auth
