// What changed between two texts, line by line, for `apply --diff`.
#pragma once

#include <string>
#include <string_view>

namespace gatepost::ctl {

// Lines taken away begin with "- ", new ones with "+ ", two lines around each change with "  "; "..." stands for what
// is left out. Empty when the texts are equal. Texts that differ in more than 2,000 lines each are shown as one block.
std::string LineDiff(std::string_view before, std::string_view after);

}  // namespace gatepost::ctl
