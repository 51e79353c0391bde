#include "services/store/sealed_file.h"

#include "services/base/file.h"
#include "services/base/strings.h"

namespace gatepost::store {
namespace {

constexpr std::string_view kMagic = "gatepost-sealed-1\n";
constexpr size_t kSealOverhead = 64;

}  // namespace

absl::Status WriteSealedFile(const std::string& path, const SealingKey& key, std::string_view context,
                             std::string_view plain, base::Random& random) {
  return base::WriteFileAtomically(path, base::StrCat(kMagic, key.Seal(context, plain, random)), 0600);
}

absl::StatusOr<std::string> ReadSealedFile(const std::string& path, const SealingKey& key, std::string_view context,
                                           size_t max_octets) {
  absl::StatusOr<std::string> read = base::ReadFile(path, kMagic.size() + max_octets + kSealOverhead);
  if (absl::IsResourceExhausted(read.status())) return absl::DataLossError(base::StrCat(path, " is too large"));
  if (!read.ok()) return read.status();
  const std::string& bytes = *read;
  if (!bytes.starts_with(kMagic)) return absl::DataLossError(base::StrCat(path, " is not a sealed file"));
  return key.Open(context, std::string_view(bytes).substr(kMagic.size()));
}

}  // namespace gatepost::store
