// Runs of a session that are made from a source of numbers: of a random generator in the model test, of the fuzzer's
// input in the fuzz target. Each says what is wrong, or nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace gatepost::smtp {

// A number below `bound` (which is above 0); nothing left: 0.
using NumberSource = std::function<uint32_t(uint32_t bound)>;

// Up to `steps` steps of session and model side by side (threats P7): the same replies, the same messages at the next
// hop.
std::string RunAgainstModel(const NumberSource& next, int steps);

// A client that sends `octets` in segments of any size, to a session whose settings come from `next` (threats S9), in
// front of a next hop that has all `extensions`, or but the usual few: what the next hop was sent is well-formed and
// holds no recipient that policy refuses; bounded memory.
std::string RunOctets(std::string_view octets, const NumberSource& next, bool extensions);

}  // namespace gatepost::smtp
