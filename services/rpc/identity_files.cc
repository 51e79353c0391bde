#include "services/rpc/identity_files.h"

#include "services/base/file.h"
#include "services/base/strings.h"
#include "services/rpc/leaf_certificate.h"

namespace gatepost::rpc {
namespace {

constexpr size_t kMaxFile = 1 << 20;

absl::StatusOr<std::string> ReadPem(const std::string& path, std::string_view what, std::string_view label) {
  if (path.empty()) return absl::FailedPreconditionError(base::StrCat("no ", what, " was given"));
  absl::StatusOr<std::string> text = base::ReadFile(path, kMaxFile);
  if (!text.ok())
    return absl::FailedPreconditionError(base::StrCat(what, ": ", base::FromAbsl(text.status().message())));
  if (text->find(label) == std::string::npos)
    return absl::FailedPreconditionError(base::StrCat(what, ": ", path, ": not PEM"));
  return text;
}

}  // namespace

absl::StatusOr<OwnIdentity> ReadOwnIdentity(const IdentityFiles& files) {
  absl::StatusOr<std::string> cert = ReadPem(files.cert, "certificate", "-----BEGIN CERTIFICATE-----");
  if (!cert.ok()) return cert.status();
  if (auto key = ReadPem(files.key, "key", "PRIVATE KEY-----"); !key.ok()) return key.status();
  if (auto ca = ReadPem(files.ca, "CA bundle", "-----BEGIN CERTIFICATE-----"); !ca.ok()) return ca.status();
  const auto refuse = [&](std::string_view why) {
    return absl::FailedPreconditionError(base::StrCat("certificate: ", files.cert, ": ", why));
  };
  const absl::StatusOr<LeafFacts> leaf = ReadLeaf(*cert);
  if (!leaf.ok()) return refuse(base::FromAbsl(leaf.status().message()));
  if (leaf->uris.size() != 1) return refuse("it must have exactly one URI: the program's identity");
  absl::StatusOr<PeerIdentity> parsed = ParsePeerIdentity(leaf->uris[0]);
  if (leaf->is_ca) return refuse("it is a CA's; `gatepostctl pki issue` makes a program's");
  if (!parsed.ok()) return refuse(base::FromAbsl(parsed.status().message()));
  return OwnIdentity{*std::move(parsed), leaf->not_after};
}

double OwnExpirySeconds(const IdentityFiles& files) {
  const absl::StatusOr<std::string> cert = base::ReadFile(files.cert, kMaxFile);
  if (!cert.ok()) return 0;
  const absl::StatusOr<LeafFacts> leaf = ReadLeaf(*cert);
  return leaf.ok() ? std::chrono::duration<double>(leaf->not_after.time_since_epoch()).count() : 0;
}

}  // namespace gatepost::rpc
