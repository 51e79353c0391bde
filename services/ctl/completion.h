// Shell completion, made from the command tree itself, so that it cannot fall behind it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace gatepost::ctl {

// The script for `bash`, `zsh` or `fish`: noun, verb and options, file names behind options that take files.
// INVALID_ARGUMENT: another shell.
absl::StatusOr<std::string> CompletionScript(const CLI::App& root, std::string_view shell);

}  // namespace gatepost::ctl
