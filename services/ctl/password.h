// Where a password comes from: the terminal (asked twice, not shown), a file, or standard input. Never the command
// line, which every user of the machine can read.
#pragma once

#include <iosfwd>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gatepost::ctl {

struct PasswordSource {
  std::string file;
  bool from_stdin = false;
};

// The first line, without its line end. INVALID_ARGUMENT (a usage error): both sources, an empty password, no terminal
// to ask at, two different answers. FAILED_PRECONDITION: an unreadable file.
absl::StatusOr<std::string> ReadPassword(const PasswordSource& source, std::istream& in);

}  // namespace gatepost::ctl
