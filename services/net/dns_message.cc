#include "services/net/dns_message.h"

#include <algorithm>
#include <array>

#include "services/base/strings.h"

namespace gatepost::net {
namespace {

constexpr uint16_t kCname = 5;
constexpr uint16_t kInternet = 1;
constexpr size_t kHeader = 12;
constexpr size_t kMostNameOctets = 253;  // as text, without the final dot (RFC 1035 3.1: 255 on the wire)
constexpr size_t kMostLabelOctets = 63;
constexpr int kMostAliases = 8;
// Of the answer section; a resolver's answer in a datagram holds fewer.
constexpr size_t kMostScanned = 256;

// Octets of a message, read in order; a read beyond the end makes it bad for good and yields zeros.
class Cursor {
 public:
  Cursor(std::string_view message, size_t at) : message_(message), at_(at) {}

  bool bad() const { return bad_; }
  size_t at() const { return at_; }
  uint16_t Read16() {
    if (!Need(2)) return 0;
    at_ += 2;
    return static_cast<uint16_t>(Octet(at_ - 2) << 8 | Octet(at_ - 1));
  }
  uint32_t Read32() {
    const uint32_t high = Read16();
    return high << 16 | Read16();
  }
  void Skip(size_t octets) {
    if (Need(octets)) at_ += octets;
  }
  // A domain name in its wire form (length, label, ..., without the root), letters in lower case, so that names are
  // compared by their octets: an alias may hold any (RFC 2317).
  std::string ReadName() {
    std::string name;
    size_t at = at_;
    bool jumped = false;
    size_t lowest = message_.size();  // a pointer leads backwards from where the last one led: there is no loop
    while (at < message_.size()) {
      const uint8_t length = Octet(at);
      if (length == 0) {
        if (!jumped) at_ = at + 1;
        return name;
      }
      if (length >= 0xc0) {
        if (at + 1 >= message_.size()) break;
        const size_t target = static_cast<size_t>(length & 0x3f) << 8 | Octet(at + 1);
        if (!jumped) {
          at_ = at + 2;
          lowest = at;
        }
        jumped = true;
        if (target >= lowest) break;
        lowest = at = target;
        continue;
      }
      if (length > kMostLabelOctets || at + 1 + length > message_.size() ||
          name.size() + 1 + length > kMostNameOctets + 1)
        break;
      for (size_t i = at; i <= at + length; ++i) name.push_back(i == at ? message_[i] : base::ToLower(message_[i]));
      at += 1 + length;
    }
    bad_ = true;
    return {};
  }

 private:
  uint8_t Octet(size_t at) const { return static_cast<uint8_t>(message_[at]); }
  bool Need(size_t octets) {
    if (bad_ || message_.size() - at_ < octets) bad_ = true;
    return !bad_;
  }

  const std::string_view message_;
  size_t at_;
  bool bad_ = false;
};

struct Record {
  std::string owner;
  uint16_t type;
  uint32_t ttl;
  size_t data;
  size_t length;
};

// The wire form of a name that we ask for; see ReadName.
std::string ToWire(std::string_view name) {
  std::string wire;
  for (const std::string_view label : base::Split(name, '.')) {
    wire.push_back(static_cast<char>(label.size()));
    wire += base::AsciiLower(label);
  }
  return wire;
}

// The text of a wire form; empty where it is no host name. (A label that holds a dot must not pass for two.)
std::string ToHostName(std::string_view wire) {
  std::string text;
  while (!wire.empty()) {
    const size_t length = static_cast<uint8_t>(wire.front());
    const std::string_view label = wire.substr(1, length);
    if (label.find('.') != std::string_view::npos) return {};
    if (!text.empty()) text.push_back('.');
    text += label;
    wire.remove_prefix(1 + length);
  }
  return IsHostName(text) ? text : std::string();
}

// The question is repeated (c-ares has compared it).
std::optional<std::vector<Record>> ReadAnswerSection(std::string_view message, bool* more) {
  Cursor cursor(message, 4);
  const uint16_t questions = cursor.Read16();
  const uint16_t answers = cursor.Read16();
  cursor.Skip(kHeader - 8);
  for (uint16_t i = 0; i < questions && !cursor.bad(); ++i) {
    cursor.ReadName();
    cursor.Skip(4);
  }
  std::vector<Record> records;
  for (uint16_t i = 0; i < answers && !cursor.bad(); ++i) {
    if (i == kMostScanned) {
      *more = true;
      break;
    }
    Record record;
    record.owner = cursor.ReadName();
    record.type = cursor.Read16();
    const uint16_t record_class = cursor.Read16();
    record.ttl = cursor.Read32();
    record.length = cursor.Read16();
    record.data = cursor.at();
    cursor.Skip(record.length);
    if (!cursor.bad() && record_class == kInternet) records.push_back(std::move(record));
  }
  if (cursor.bad()) return std::nullopt;
  return records;
}

// False: malformed.
bool AddRecord(std::string_view message, const Record& record, DnsType type, DnsRecords* records) {
  const std::string_view data = message.substr(record.data, record.length);
  if (type == DnsType::kPtr) {
    Cursor cursor(message, record.data);
    const std::string wire = cursor.ReadName();
    if (cursor.bad() || cursor.at() != record.data + record.length) return false;
    if (std::string name = ToHostName(wire); !name.empty()) records->names.push_back(std::move(name));
    return true;
  }
  if (data.size() != (type == DnsType::kA ? 4u : 16u)) return false;
  std::array<uint8_t, 16> octets{};
  std::copy(data.begin(), data.end(), octets.begin());
  if (type == DnsType::kA) {
    records->addresses.push_back(base::IpAddress::V4(static_cast<uint32_t>(octets[0]) << 24 |
                                                     static_cast<uint32_t>(octets[1]) << 16 |
                                                     static_cast<uint32_t>(octets[2]) << 8 | octets[3]));
  } else {
    records->addresses.push_back(base::IpAddress::V6(octets));
  }
  return true;
}

bool IsHostLabel(std::string_view label) {
  return !label.empty() && label.size() <= kMostLabelOctets && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), [](char c) { return base::IsAlnum(c) || c == '-'; });
}

// The nibbles of a list of octets, last first, a dot behind each.
std::string ReversedNibbles(const base::IpAddress& address) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (auto octet = address.octets().rbegin(); octet != address.octets().rend(); ++octet) {
    base::StrAppend(&out, kDigits[*octet & 0x0f], '.', kDigits[*octet >> 4], '.');
  }
  return out;
}

std::string ReversedOctets(const base::IpAddress& address) {
  const uint32_t v4 = address.v4();
  return base::StrCat(v4 & 0xff, '.', v4 >> 8 & 0xff, '.', v4 >> 16 & 0xff, '.', v4 >> 24, '.');
}

}  // namespace

std::optional<DnsRecords> ParseDnsAnswer(std::string_view message, std::string_view name, DnsType type) {
  DnsRecords records;
  if (message.size() < kHeader) return std::nullopt;
  const std::optional<std::vector<Record>> section = ReadAnswerSection(message, &records.more);
  if (!section) return std::nullopt;

  std::string owner = ToWire(name);
  uint32_t ttl = UINT32_MAX;
  const auto is_alias = [&owner](const Record& record) { return record.type == kCname && record.owner == owner; };
  int aliases = 0;
  for (auto alias = std::find_if(section->begin(), section->end(), is_alias); alias != section->end();
       alias = std::find_if(section->begin(), section->end(), is_alias)) {
    if (++aliases > kMostAliases) return DnsRecords{};
    Cursor cursor(message, alias->data);
    std::string target = cursor.ReadName();
    if (cursor.bad() || cursor.at() != alias->data + alias->length) return std::nullopt;
    ttl = std::min(ttl, alias->ttl);
    owner = std::move(target);
  }
  size_t taken = 0;
  for (const Record& record : *section) {
    if (record.type != static_cast<uint16_t>(type) || record.owner != owner) continue;
    if (taken++ == kMostDnsRecords) {
      records.more = true;
      break;
    }
    if (!AddRecord(message, record, type, &records)) return std::nullopt;
    ttl = std::min(ttl, record.ttl);
  }
  if (taken > 0) records.ttl = std::chrono::seconds(ttl);
  return records;
}

bool IsHostName(std::string_view name) {
  if (name.size() > kMostNameOctets) return false;
  const std::vector<std::string_view> labels = base::Split(name, '.');
  return std::all_of(labels.begin(), labels.end(), IsHostLabel) &&
         !std::all_of(labels.back().begin(), labels.back().end(), base::IsDigit);
}

std::string ReverseName(const base::IpAddress& address) {
  return address.is_v4() ? base::StrCat(ReversedOctets(address), "in-addr.arpa")
                         : base::StrCat(ReversedNibbles(address), "ip6.arpa");
}

std::string BlockListName(const base::IpAddress& address, std::string_view zone) {
  return base::StrCat(address.is_v4() ? ReversedOctets(address) : ReversedNibbles(address), zone);
}

}  // namespace gatepost::net
