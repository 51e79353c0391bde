// What a next hop said in its answer to EHLO, as far as it concerns what we may offer and how we talk to it. A value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatepost::smtp {

struct Capabilities {
  bool pipelining = false;
  bool eight_bit_mime = false;
  bool enhanced_status_codes = false;
  bool starttls = false;
  bool dsn = false;
  bool smtputf8 = false;
  bool chunking = false;
  bool binary_mime = false;
  bool require_tls = false;
  // SIZE (RFC 1870): not offered, 0 (offered, no fixed limit), or the limit in octets.
  std::optional<uint64_t> size;
  // LIMITS (RFC 9422): MAILMAX, RCPTMAX, RCPTDOMAINMAX. None is 0.
  std::optional<uint64_t> transactions_max;
  std::optional<uint64_t> recipients_max;
  std::optional<uint64_t> recipient_domains_max;
  // XCLIENT's attributes, upper case (Postfix); empty: not offered.
  std::vector<std::string> xclient;

  // What is presumed of a next hop not yet seen: SIZE, PIPELINING, 8BITMIME, ENHANCEDSTATUSCODES.
  static Capabilities Unseen();
  // What both can do; of two limits the lesser one.
  static Capabilities Intersect(const Capabilities& a, const Capabilities& b);
  // From the lines of an answer to EHLO behind the first, without their code. Unknown and malformed ones are ignored.
  static Capabilities FromEhlo(const std::vector<std::string>& lines);

  bool operator==(const Capabilities&) const = default;
};

}  // namespace gatepost::smtp
