#include "services/smtp/verb.h"

namespace gatepost::smtp {

std::string_view VerbName(Verb verb) {
  switch (verb) {
    case Verb::kEhlo:
      return "EHLO";
    case Verb::kHelo:
      return "HELO";
    case Verb::kStartTls:
      return "STARTTLS";
    case Verb::kAuth:
      return "AUTH";
    case Verb::kMail:
      return "MAIL";
    case Verb::kRcpt:
      return "RCPT";
    case Verb::kData:
      return "DATA";
    case Verb::kBdat:
      return "BDAT";
    case Verb::kRset:
      return "RSET";
    case Verb::kNoop:
      return "NOOP";
    case Verb::kVrfy:
      return "VRFY";
    case Verb::kHelp:
      return "HELP";
    case Verb::kQuit:
      return "QUIT";
    case Verb::kOther:
      return "other";
  }
  return "other";
}

}  // namespace gatepost::smtp
