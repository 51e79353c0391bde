#include "services/store/master_key.h"

#include <gtest/gtest.h>

#include <string>

#include "services/base/fake_clock.h"
#include "services/base/random.h"
#include "services/store/memory_store.h"

namespace gatepost::store {
namespace {
SealingKey Key(char fill) { return *SealingKey::FromBytes(std::string(SealingKey::kOctets, fill)); }

TEST(MasterKeyTest, ANewStoreTakesTheKeyAndNoOtherAfterIt) {
  base::FakeClock clock;
  base::SystemRandom random;
  MemoryStore store(clock, random);
  EXPECT_TRUE(CheckMasterKey(store, Key('k'), random).ok());
  EXPECT_TRUE(CheckMasterKey(store, Key('k'), random).ok());
  EXPECT_EQ(CheckMasterKey(store, Key('l'), random).code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace gatepost::store
