// The compiled list of domains against a scan of the entries.
#include "services/policy/domain_set.h"

#include <gtest/gtest.h>

#include <random>

namespace gatepost::policy {
namespace {

bool Holds(const DomainEntry& entry, const std::string& domain) {
  if (domain == entry.domain) return true;
  const std::string suffix = "." + entry.domain;
  return entry.include_subdomains && domain.size() > suffix.size() &&
         domain.substr(domain.size() - suffix.size()) == suffix;
}

std::string RandomDomain(std::mt19937_64* random) {
  // Few labels, some of them ends of others, so that names meet.
  static constexpr const char* kLabels[] = {"a", "ba", "b", "aa"};
  std::string domain = kLabels[(*random)() % 4];
  for (uint64_t labels = (*random)() % 4; labels > 0; --labels) domain += std::string(".") + kLabels[(*random)() % 4];
  return domain;
}

TEST(DomainSetTest, AgreesWithAScanAndNamesTheLongestMatch) {
  std::mt19937_64 random(17);
  int matches = 0;
  for (int round = 0; round < 500; ++round) {
    std::vector<DomainEntry> entries;
    for (uint64_t count = random() % 8; count > 0; --count)
      entries.push_back({RandomDomain(&random), random() % 2 != 0});
    const DomainSet set(entries);
    for (int i = 0; i < 50; ++i) {
      const std::string domain = RandomDomain(&random);
      size_t longest = 0;
      for (const DomainEntry& entry : entries) {
        if (Holds(entry, domain)) longest = std::max(longest, entry.domain.size());
      }
      const std::optional<size_t> found = set.Find(domain);
      ASSERT_EQ(found.has_value(), longest > 0) << domain;
      if (found) {
        ++matches;
        ASSERT_EQ(entries[*found].domain.size(), longest) << domain;
      }
    }
  }
  EXPECT_GT(matches, 1'000);
}

// threats.md E4: not even an entry spelled like it.
TEST(DomainSetTest, ALiteralAndNoDomainMatchNothing) {
  const DomainSet set({{"[192.0.2.1]", true}, {"", true}, {"192.0.2.1]", true}});
  EXPECT_FALSE(set.Find("[192.0.2.1]").has_value());
  EXPECT_FALSE(set.Find("").has_value());
}

TEST(DomainSetTest, ASuffixCountsFromADot) {
  const DomainSet set({{"example.com", true}});
  EXPECT_TRUE(set.Find("example.com"));
  EXPECT_TRUE(set.Find("a.b.example.com"));
  for (const char* domain : {"notexample.com", "com", "example.com.evil.test", "xample.com", "example.org"})
    EXPECT_FALSE(set.Find(domain)) << domain;
}

}  // namespace
}  // namespace gatepost::policy
