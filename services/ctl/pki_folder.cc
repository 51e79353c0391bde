#include "services/ctl/pki_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "services/base/file.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/tls/certificate.h"

namespace gatepost::ctl {
namespace {

using base::StrCat;

constexpr std::array<std::string_view, 6> kRoles = {"edge", "config", "auth", "admin", "operator", "viewer"};

// api.md: ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$
bool IsId(std::string_view text) {
  auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && text.size() <= 63 && lower(text.front()) && text.back() != '-' &&
         std::all_of(text.begin(), text.end(), [&](char c) { return lower(c) || base::IsDigit(c) || c == '-'; });
}

// SPIFFE-ID 2.1: lower-case letters, digits, dots, dashes, underscores.
bool IsTrustDomain(std::string_view text) {
  return !text.empty() && text.size() <= 255 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") == std::string_view::npos;
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

}  // namespace

absl::Status PkiFolder::WriteNew(std::string_view name, std::string_view content, unsigned mode) const {
  if (Exists(File(name))) return absl::AlreadyExistsError(StrCat(File(name), " is there already: nothing was changed"));
  return base::WriteFileAtomically(File(name), content, mode);
}

absl::Status PkiFolder::Init(std::string_view trust_domain) {
  if (!IsTrustDomain(trust_domain)) {
    return absl::InvalidArgumentError(
        StrCat("'", trust_domain, "' is no trust domain: lower-case letters, digits, dots, dashes"));
  }
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) return absl::FailedPreconditionError(StrCat("cannot make the folder ", path_, ": ", error.message()));
  for (std::string_view name : {"ca.crt", "ca.key", "trust-domain", "master.key", "snapshot.key"}) {
    if (Exists(File(name)))
      return absl::AlreadyExistsError(StrCat(File(name), " is there already: nothing was changed"));
  }
  if (chmod(path_.c_str(), 0700) != 0) {
    return absl::FailedPreconditionError(
        StrCat("cannot close the folder ", path_, " to others: ", std::generic_category().message(errno)));
  }
  GATEPOST_ASSIGN_OR_RETURN(const std::string key, tls::GenerateKey(tls::KeyType::kEcdsaP256));
  tls::CaOptions options;
  options.common_name = StrCat("Gatepost CA of ", trust_domain);
  options.days = kCaDays;
  options.now = clock_.WallNow();
  GATEPOST_ASSIGN_OR_RETURN(const std::string certificate, tls::MakeCa(key, options));

  for (std::string_view name : {"master.key", "snapshot.key"}) {
    std::array<uint8_t, 32> octets;
    random_.Fill(octets);
    GATEPOST_RETURN_IF_ERROR(
        WriteNew(name, std::string_view(reinterpret_cast<const char*>(octets.data()), octets.size()), 0600));
  }
  GATEPOST_RETURN_IF_ERROR(WriteNew("trust-domain", StrCat(trust_domain, "\n"), 0644));
  GATEPOST_RETURN_IF_ERROR(WriteNew("ca.key", key, 0600));
  // The certificate last: where it is, everything is.
  return WriteNew("ca.crt", certificate, 0644);
}

absl::StatusOr<std::string> PkiFolder::Issue(const Identity& identity) {
  if (std::find(kRoles.begin(), kRoles.end(), identity.role) == kRoles.end()) {
    return absl::InvalidArgumentError(
        StrCat("'", identity.role, "' is no role: edge, config, auth, admin, operator, viewer"));
  }
  if (!IsId(identity.name)) {
    return absl::InvalidArgumentError(
        StrCat("'", identity.name,
               "' is no name: lower-case letters, digits and dashes, beginning with a letter, 63 at most"));
  }
  if (!Exists(File("ca.crt")))
    return absl::FailedPreconditionError(StrCat("there is no CA in ", path_, ": gatepostctl pki init ", path_));
  GATEPOST_ASSIGN_OR_RETURN(const std::string ca_certificate, base::ReadFile(File("ca.crt")));
  GATEPOST_ASSIGN_OR_RETURN(const std::string ca_key, base::ReadFile(File("ca.key")));
  GATEPOST_ASSIGN_OR_RETURN(const std::string trust_domain, base::ReadFile(File("trust-domain")));
  GATEPOST_ASSIGN_OR_RETURN(const auto ca, tls::ParseChain(ca_certificate));
  if (ca.front().not_after <= clock_.WallNow())
    return absl::FailedPreconditionError("the CA has expired: make a new one in another folder");

  const std::string file = StrCat(identity.role, "-", identity.name);
  for (const std::string& name : {file + ".crt", file + ".key"}) {
    if (Exists(File(name)))
      return absl::AlreadyExistsError(StrCat(File(name), " is there already: nothing was changed"));
  }
  GATEPOST_ASSIGN_OR_RETURN(const std::string key, tls::GenerateKey(tls::KeyType::kEcdsaP256));
  tls::LeafOptions options;
  options.common_name = StrCat(identity.role, " ", identity.name);
  const std::string id =
      StrCat("spiffe://", base::Trim(std::string_view(trust_domain).substr(0, trust_domain.find('\n'))), "/gatepost/",
             identity.role, "/", identity.name);
  options.uris = {id};
  options.dns_names = identity.dns_names;
  options.addresses = identity.addresses;
  options.days = kLeafDays;
  options.now = clock_.WallNow();
  GATEPOST_ASSIGN_OR_RETURN(const std::string certificate, tls::IssueLeaf(ca_certificate, ca_key, key, options));
  GATEPOST_RETURN_IF_ERROR(WriteNew(file + ".key", key, 0600));
  GATEPOST_RETURN_IF_ERROR(WriteNew(file + ".crt", certificate, 0644));
  return id;
}

absl::StatusOr<std::vector<PkiFolder::Renewal>> PkiFolder::Renew() {
  GATEPOST_ASSIGN_OR_RETURN(const std::string ca_certificate, base::ReadFile(File("ca.crt")));
  GATEPOST_ASSIGN_OR_RETURN(const std::string ca_key, base::ReadFile(File("ca.key")));
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
    if (entry.path().extension() == ".crt") files.push_back(entry.path().stem().string());
  }
  if (error) return absl::FailedPreconditionError(StrCat("cannot list ", path_, ": ", error.message()));
  std::sort(files.begin(), files.end());

  const base::WallTime now = clock_.WallNow();
  std::vector<Renewal> renewals;
  for (const std::string& file : files) {
    GATEPOST_ASSIGN_OR_RETURN(const std::string certificate, base::ReadFile(File(file + ".crt")));
    GATEPOST_ASSIGN_OR_RETURN(const auto chain, tls::ParseChain(certificate));
    const tls::CertificateFacts& facts = chain.front();
    Renewal renewal{File(file + ".crt"), facts.not_after, false};
    const bool due = (facts.not_after - now) * 3 < facts.not_after - facts.not_before;
    if (file != "ca" && due && facts.uris.size() == 1) {
      // Our own identities alone: whatever else lies here was not issued by this CA.
      GATEPOST_RETURN_IF_ERROR(tls::SignedBy(certificate, ca_certificate));
      GATEPOST_ASSIGN_OR_RETURN(const std::string key, base::ReadFile(File(file + ".key")));
      GATEPOST_RETURN_IF_ERROR(tls::KeyMatches(certificate, key));
      tls::LeafOptions options;
      const size_t dash = file.find('-');
      options.common_name = StrCat(file.substr(0, dash), " ", dash == std::string::npos ? "" : file.substr(dash + 1));
      options.uris = facts.uris;
      options.dns_names = facts.dns_names;
      for (const std::string& address : facts.addresses) {
        GATEPOST_ASSIGN_OR_RETURN(const base::IpAddress parsed, base::IpAddress::Parse(address));
        options.addresses.push_back(parsed);
      }
      options.days = kLeafDays;
      options.now = now;
      GATEPOST_ASSIGN_OR_RETURN(const std::string fresh, tls::IssueLeaf(ca_certificate, ca_key, key, options));
      GATEPOST_RETURN_IF_ERROR(base::WriteFileAtomically(File(file + ".crt"), fresh, 0644));
      GATEPOST_ASSIGN_OR_RETURN(const auto renewed, tls::ParseChain(fresh));
      renewal.not_after = renewed.front().not_after;
      renewal.renewed = true;
    }
    renewals.push_back(renewal);
  }
  return renewals;
}

}  // namespace gatepost::ctl
