#include "services/auth/field_checks.h"

#include <absl/status/statusor.h>
#include <nettle/sha2.h>

#include <algorithm>
#include <optional>

#include "services/auth/limits.h"
#include "services/auth/user_records.h"
#include "services/base/ip_address.h"
#include "services/base/strings.h"
#include "services/smtp/address.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

constexpr std::string_view kIdForm = "must match ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$";

size_t Characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string At(std::string_view field, int index) { return StrCat(field, "[", index, "]"); }

// `@domain` for a domain, `user@domain` for a mailbox, as policy compares them.
std::optional<std::string> CanonicalSender(std::string_view text) {
  const size_t at = text.rfind('@');
  if (at == text.npos || at == 0) {
    const std::optional<std::string> domain = smtp::ParseDomain(text.substr(at == 0 ? 1 : 0), /*utf8=*/true);
    return domain ? std::optional(StrCat("@", *domain)) : std::nullopt;
  }
  const std::optional<smtp::Mailbox> mailbox = smtp::ParseMailbox(text, /*utf8=*/true);
  if (!mailbox || mailbox->is_literal()) return std::nullopt;
  return StrCat(mailbox->local, "@", mailbox->domain);
}

}  // namespace

absl::Status CheckName(std::string_view name, std::string_view collection, std::string_view field, rpc::Call* call) {
  call->resource = name.substr(0, 200);
  if (name.starts_with(collection) && IsResourceId(name.substr(collection.size()))) return absl::OkStatus();
  return rpc::InvalidFields({{std::string(field), StrCat("must be `", collection, "{id}`; the id ", kIdForm)}});
}

void CheckId(std::string_view id, std::string_view field, Violations* violations) {
  if (!IsResourceId(id)) violations->push_back({std::string(field), std::string(kIdForm)});
}

void CheckRequestId(std::string_view request_id, Violations* violations) {
  if (request_id.size() <= kMostRequestIdOctets && base::IsPrintableAscii(request_id)) return;
  violations->push_back({"request_id", StrCat("must be printable ASCII, at most ", kMostRequestIdOctets, " octets")});
}

std::string Fingerprint(std::string_view request) {
  sha256_ctx hash;
  sha256_init(&hash);
  sha256_update(&hash, request.size(), reinterpret_cast<const uint8_t*>(request.data()));
  std::string digest(SHA256_DIGEST_SIZE, '\0');
  sha256_digest(&hash, digest.size(), reinterpret_cast<uint8_t*>(digest.data()));
  return digest;
}

void CheckText(std::string_view text, size_t most_characters, bool line_feeds, std::string_view field,
               Violations* violations) {
  const auto is_control = [&](char c) {
    return (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) && !(line_feeds && c == '\n');
  };
  if (Characters(text) <= most_characters && std::none_of(text.begin(), text.end(), is_control)) return;
  violations->push_back(
      {std::string(field), StrCat("must be at most ", most_characters, " characters, without control characters",
                                  line_feeds ? " but line feeds" : "")});
}

void CheckNetworks(Texts* networks, std::string_view field, Violations* violations) {
  if (static_cast<size_t>(networks->size()) > kMostNetworks)
    return violations->push_back({std::string(field), StrCat("must be at most ", kMostNetworks, " networks")});
  for (int i = 0; i < networks->size(); ++i) {
    const absl::StatusOr<base::IpPrefix> prefix = base::IpPrefix::Parse(networks->Get(i));
    if (prefix.ok()) {
      *networks->Mutable(i) = prefix->ToString();
    } else {
      violations->push_back({At(field, i), StrCat("must be a network, `192.0.2.0/24`, or an address: ",
                                                  base::FromAbsl(prefix.status().message()))});
    }
  }
}

void CheckSenders(Texts* senders, size_t most, std::string_view field, Violations* violations) {
  if (static_cast<size_t>(senders->size()) > most)
    return violations->push_back({std::string(field), StrCat("must be at most ", most, " addresses")});
  for (int i = 0; i < senders->size(); ++i) {
    if (std::optional<std::string> canonical = CanonicalSender(senders->Get(i))) {
      *senders->Mutable(i) = *std::move(canonical);
    } else {
      violations->push_back({At(field, i), "must be an e-mail address, or a domain as `@example.com`"});
    }
  }
}

}  // namespace gatepost::auth
