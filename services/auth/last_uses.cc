#include "services/auth/last_uses.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "services/auth/limits.h"
#include "services/auth/throttle.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

constexpr std::chrono::seconds kFlushEvery{5};
constexpr int kTries = 5;
// Of one commit.
constexpr size_t kBatch = 50;

struct Stamp {
  base::WallTime at;
  std::string network;
};

std::optional<Stamp> ParseStamp(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == text.npos) return std::nullopt;
  const std::optional<base::WallTime> at = FromMilliseconds(text.substr(0, space));
  if (!at) return std::nullopt;
  return Stamp{*at, std::string(text.substr(space + 1))};
}

absl::StatusOr<std::optional<Stamp>> Read(store::View& view, std::string_view key) {
  const absl::StatusOr<store::Record> record = view.Get(key);
  if (absl::IsNotFound(record.status())) return std::optional<Stamp>();
  GATEPOST_RETURN_IF_ERROR(record.status());
  return ParseStamp(record->value);
}

std::string LastUseKey(std::string_view user_id, std::string_view credential_id) {
  return StrCat(kLastUses, user_id, "/", credential_id);
}

// What must be there for a record to be worth writing: the user, or what the credential is held against.
absl::StatusOr<bool> IsOfSomething(store::View& view, std::string_view key) {
  const auto has = [&](const std::string& other) -> absl::StatusOr<bool> {
    const absl::Status status = view.Get(other).status();
    if (absl::IsNotFound(status)) return false;
    GATEPOST_RETURN_IF_ERROR(status);
    return true;
  };
  if (key.starts_with(kLastLogins)) return has(StrCat(kUsers, IdOf(key)));
  const std::string_view path = IdOf(key);
  const std::string_view user_id = path.substr(0, path.find('/'));
  const std::string_view credential_id = path.substr(path.find('/') + 1);
  for (const PasswordForm& form : kPasswordForms) {
    if (form.credential == credential_id) return has(StrCat(form.secrets, user_id));
  }
  return has(StrCat(kCredentials, path));
}

// Another was faster: a record, or the store, is not as it was read.
bool IsConflict(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsAborted(status) || absl::IsNotFound(status);
}

}  // namespace

LastUses::~LastUses() {
  if (!thread_.joinable()) return;
  stop_.Ring();
  thread_.join();
}

void LastUses::Start() {
  thread_ = std::thread([this] { Run(); });
}

void LastUses::Run() {
  bool failing = false;
  bool stop = false;
  while (!stop) {
    stop = stop_.Wait(kFlushEvery);
    const absl::Status status = Flush();
    // Said once: it is tried again with what comes next.
    if (!status.ok() && !std::exchange(failing, true))
      log_.Warning("last_uses_not_written", {{"error", base::FromAbsl(status.message())}});
    if (status.ok()) failing = false;
  }
}

void LastUses::Note(std::string_view user, std::string_view credential, const base::IpAddress& client) {
  if (!user.starts_with(kUsers)) return;
  const Use use{clock_.WallNow(), Throttle::NetworkOf(client)};
  const std::string_view user_id = IdOf(user);
  absl::MutexLock lock(&mutex_);
  NoteKey(StrCat(kLastLogins, user_id), use);
  if (!credential.empty()) NoteKey(LastUseKey(user_id, credential.substr(credential.rfind('/') + 1)), use);
}

void LastUses::NoteKey(std::string key, const Use& use) {
  const base::MonotonicTime now = clock_.Now();
  const auto noted = noted_.find(key);
  if (noted != noted_.end() && now - noted->second < kLastUseInterval) return;
  if (pending_.size() >= kMostLastUsesPending && !pending_.contains(key)) {
    metrics_.last_uses_dropped.Increment();
    return;
  }
  noted_[key] = now;
  pending_[std::move(key)] = use;
}

absl::Status LastUses::Flush() {
  std::map<std::string, Use> uses;
  {
    absl::MutexLock lock(&mutex_);
    uses.swap(pending_);
    const base::MonotonicTime now = clock_.Now();
    absl::erase_if(noted_, [&](const auto& entry) { return now - entry.second >= kLastUseInterval; });
  }
  absl::Status first_failure;
  while (!uses.empty()) {
    std::map<std::string, Use> batch;
    while (!uses.empty() && batch.size() < kBatch) batch.insert(uses.extract(uses.begin()));
    const absl::Status status = Write(batch);
    if (status.ok()) continue;
    first_failure.Update(status);
    // What others changed all the time, or cannot be written, does not keep the rest from it.
    if (IsConflict(status) || absl::IsInternal(status) || absl::IsDataLoss(status)) {
      metrics_.last_uses_dropped.Increment(static_cast<double>(batch.size()));
      continue;
    }
    uses.merge(batch);
    PutBack(uses);
    break;
  }
  return first_failure;
}

void LastUses::PutBack(const std::map<std::string, Use>& uses) {
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, use] : uses) {
    if (pending_.contains(key)) continue;  // It is later.
    if (pending_.size() < kMostLastUsesPending) {
      pending_[key] = use;
    } else {
      metrics_.last_uses_dropped.Increment();
    }
  }
}

absl::Status LastUses::Write(const std::map<std::string, Use>& uses) {
  absl::Status status;
  for (int i = 0; i < kTries; ++i) {
    store::Transaction transaction;
    {
      GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, store_.Read());
      for (const auto& [key, use] : uses) {
        const absl::StatusOr<store::Record> record = view->Get(key);
        const bool is_new = absl::IsNotFound(record.status());
        store::Condition condition = store::Condition::None();
        if (is_new) {
          GATEPOST_ASSIGN_OR_RETURN(const bool wanted, IsOfSomething(*view, key));
          if (!wanted) continue;
          // Whom it is of may be deleted meanwhile: only the store's revision tells.
          transaction.store_revision = view->revision();
        } else {
          GATEPOST_RETURN_IF_ERROR(record.status());
          // Another replica may have seen a later one.
          const std::optional<Stamp> stored = ParseStamp(record->value);
          if (stored && stored->at >= use.at) continue;
          // It is deleted with whom it is of.
          condition = store::Condition::At(record->revision);
        }
        transaction.writes.push_back({key, StrCat(ToMilliseconds(use.at), " ", use.network), condition});
      }
    }
    if (transaction.writes.empty()) return absl::OkStatus();
    status = store_.Commit(transaction).status();
    if (!IsConflict(status)) return status;
  }
  return status;
}

absl::Status ReadLastLogin(store::View& view, v1::User* user) {
  GATEPOST_ASSIGN_OR_RETURN(const std::optional<Stamp> stamp, Read(view, StrCat(kLastLogins, IdOf(user->name()))));
  if (stamp) *user->mutable_last_login_time() = ToTimestamp(stamp->at);
  return absl::OkStatus();
}

absl::Status ReadLastUse(store::View& view, v1::Credential* credential) {
  const std::string_view path = IdOf(credential->name());
  const std::string_view user_id = path.substr(0, path.find('/'));
  GATEPOST_ASSIGN_OR_RETURN(const std::optional<Stamp> stamp,
                            Read(view, LastUseKey(user_id, path.substr(path.rfind('/') + 1))));
  if (!stamp) return absl::OkStatus();
  *credential->mutable_last_use_time() = ToTimestamp(stamp->at);
  credential->set_last_use_network(stamp->network);
  return absl::OkStatus();
}

void ForgetLastLogin(std::string_view user_id, store::Transaction* transaction) {
  transaction->writes.push_back({StrCat(kLastLogins, user_id), std::nullopt, store::Condition::None()});
}

void ForgetLastUse(std::string_view user_id, std::string_view credential_id, store::Transaction* transaction) {
  transaction->writes.push_back({LastUseKey(user_id, credential_id), std::nullopt, store::Condition::None()});
}

}  // namespace gatepost::auth
