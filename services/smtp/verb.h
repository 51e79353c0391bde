// The closed set of what a client can say; for metrics' labels and for errors.
#pragma once

#include <cstdint>
#include <string_view>

namespace gatepost::smtp {

enum class Verb : uint8_t {
  kEhlo,
  kHelo,
  kStartTls,
  kAuth,
  kMail,
  kRcpt,
  kData,
  kBdat,
  kRset,
  kNoop,
  kVrfy,
  kHelp,
  kQuit,
  kOther,  // unknown, not implemented, or not a command at all
};

// As on the wire, "EHLO"; "other".
std::string_view VerbName(Verb verb);

}  // namespace gatepost::smtp
