// The compiled list against a scan of the entries: 300 random lists, each asked at every border and its neighbours.
#include "services/policy/client_set.h"

#include <gtest/gtest.h>

#include <random>

namespace gatepost::policy {
namespace {

using Number = unsigned __int128;

Number ToNumber(const base::IpAddress& address) {
  Number value = 0;
  for (uint8_t octet : address.octets()) value = value << 8 | octet;
  return value;
}

struct Bounds {
  Number first;
  Number last;
  bool v4;
};

Bounds BoundsOf(const ClientEntry& entry) {
  if (const auto* range = std::get_if<base::IpRange>(&entry))
    return {ToNumber(range->first), ToNumber(range->last), range->first.is_v4()};
  const auto& prefix = std::get<base::IpPrefix>(entry);
  const Number first = ToNumber(prefix.address);
  Number last = first;
  for (int bit = 0; bit < prefix.address.bits() - prefix.length; ++bit) last |= Number{1} << bit;
  return {first, last, prefix.address.is_v4()};
}

// Written without ClientSet's ways: the narrowest by a scan, the first among equals.
std::optional<size_t> Scan(const std::vector<ClientEntry>& entries, const base::IpAddress& address) {
  std::optional<size_t> best;
  Number narrowest = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Bounds bounds = BoundsOf(entries[i]);
    const Number value = ToNumber(address);
    if (bounds.v4 != address.is_v4() || value < bounds.first || value > bounds.last) continue;
    if (!best || bounds.last - bounds.first < narrowest) {
      best = i;
      narrowest = bounds.last - bounds.first;
    }
  }
  return best;
}

base::IpAddress FromNumber(Number value, bool v4) {
  if (v4) return base::IpAddress::V4(static_cast<uint32_t>(value));
  std::array<uint8_t, 16> octets;
  for (size_t i = 0; i < 16; ++i) octets[i] = static_cast<uint8_t>(value >> (120 - 8 * i));
  return base::IpAddress::V6(octets);
}

TEST(ClientSetTest, AgreesWithAScanAtEveryBorder) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 300; ++round) {
    std::vector<ClientEntry> entries;
    for (int i = 0; i < 40; ++i) {
      const bool v4 = random() % 2 == 0;
      // Few distinct bits, so that entries overlap and touch.
      const Number seed = v4 ? Number{random() & 0xff0000ff}
                             : (Number{0x20010db8} << 96 | Number{random() & 0xff} << 64 | (random() & 0xff));
      const base::IpAddress address = FromNumber(seed, v4);
      if (random() % 3 == 0) {
        const base::IpAddress other = FromNumber(seed | (random() & 0x3f), v4);
        entries.push_back(base::IpRange{std::min(address, other), std::max(address, other)});
      } else {
        const int length = static_cast<int>(random() % static_cast<unsigned>(address.bits() + 1));
        entries.push_back(base::IpPrefix{address.Masked(length), length});
      }
    }
    const ClientSet set(entries);
    for (const ClientEntry& entry : entries) {
      const Bounds bounds = BoundsOf(entry);
      for (Number probe :
           {bounds.first - 1, bounds.first, bounds.first + 1, bounds.last - 1, bounds.last, bounds.last + 1}) {
        const base::IpAddress address = FromNumber(probe, bounds.v4);
        EXPECT_EQ(set.Find(address), Scan(entries, address)) << address.ToString();
      }
    }
  }
}

TEST(ClientSetTest, WholeFamiliesAndTheLastAddressesAreReached) {
  const ClientSet set({*base::IpPrefix::Parse("0.0.0.0/0"), *base::IpPrefix::Parse("::/0")});
  EXPECT_EQ(set.Find(*base::IpAddress::Parse("255.255.255.255")), 0u);
  EXPECT_EQ(set.Find(*base::IpAddress::Parse("0.0.0.0")), 0u);
  EXPECT_EQ(set.Find(*base::IpAddress::Parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")), 1u);
}

}  // namespace
}  // namespace gatepost::policy
