#include "services/config/ticket_keys.h"

#include <charconv>
#include <chrono>
#include <span>
#include <utility>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/config/limits.h"

namespace gatepost::config {
namespace {

constexpr size_t kKeyNameOctets = 16;
constexpr size_t kSecretOctets = 32;
constexpr int kTries = 5;
constexpr size_t kBatch = 1'000;
constexpr size_t kBatchOctets = 4 << 20;

std::string RandomOctets(base::Random& random, size_t count) {
  std::string octets(count, '\0');
  random.Fill(std::span<uint8_t>(reinterpret_cast<uint8_t*>(octets.data()), count));
  return octets;
}

int64_t Seconds(base::WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

// The time in the record; zero if there is none or it cannot be read: then rotation is due.
absl::StatusOr<int64_t> LastRotation(store::View& view) {
  absl::StatusOr<store::Record> record = view.Get(kTicketKeyRotation);
  if (absl::IsNotFound(record.status())) return 0;
  GATEPOST_RETURN_IF_ERROR(record.status());
  int64_t seconds = 0;
  std::from_chars(record->value.data(), record->value.data() + record->value.size(), seconds);
  return seconds;
}

absl::StatusOr<bool> TryRotate(Repository& repository, int64_t now, base::Random& random) {
  store::Transaction transaction;
  {
    GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, repository.store().Read());
    GATEPOST_ASSIGN_OR_RETURN(const int64_t last, LastRotation(*view));
    // A last time in the future is a clock that was wrong: rotate then, too.
    if (now >= last && now - last < std::chrono::seconds(kTicketKeyLifetime).count()) return false;
    transaction.store_revision = view->revision();
    std::string after;
    bool more = true;
    while (more) {
      GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> records,
                                view->List(kTicketKeys, after, kBatch, kBatchOctets, &more));
      for (const store::Record& record : records) {
        GATEPOST_ASSIGN_OR_RETURN(v1::TicketKeys keys, repository.TicketKeysOf(record));
        Rotate(&keys, random);
        transaction.writes.push_back(
            {record.key, repository.SealTicketKeys(IdOf(record.key), keys), store::Condition::At(record.revision)});
      }
      if (!records.empty()) after = records.back().key;
    }
  }
  transaction.writes.push_back({std::string(kTicketKeyRotation), std::to_string(now), store::Condition::None()});
  GATEPOST_RETURN_IF_ERROR(repository.store().Commit(transaction).status());
  return true;
}

}  // namespace

v1::TicketKey NewTicketKey(base::Random& random) {
  v1::TicketKey key;
  key.set_key_name(RandomOctets(random, kKeyNameOctets));
  key.set_hmac_key(RandomOctets(random, kSecretOctets));
  key.set_aes_key(RandomOctets(random, kSecretOctets));
  return key;
}

void Rotate(v1::TicketKeys* keys, base::Random& random) {
  v1::TicketKeys rotated;
  *rotated.add_keys() = NewTicketKey(random);
  for (int i = 0; i < keys->keys_size() && rotated.keys_size() < kTicketKeyGenerations; ++i)
    rotated.add_keys()->Swap(keys->mutable_keys(i));
  keys->mutable_keys()->Swap(rotated.mutable_keys());
}

absl::StatusOr<bool> RotateIfDue(Repository& repository, const base::Clock& clock, base::Random& random) {
  absl::StatusOr<bool> rotated;
  for (int i = 0; i < kTries; ++i) {
    rotated = TryRotate(repository, Seconds(clock.WallNow()), random);
    if (!absl::IsFailedPrecondition(rotated.status())) break;
  }
  return rotated;
}

}  // namespace gatepost::config
