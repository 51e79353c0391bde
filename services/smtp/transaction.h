// One mail transaction: its envelope, and how far it has come at the next hop. Plain data; Reset() is the only way back
// to "no transaction" (RSET, EHLO, STARTTLS, every end of DATA or BDAT, every failure).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "services/smtp/address.h"
#include "services/smtp/command.h"
#include "services/smtp/reply.h"

namespace gatepost::smtp {

struct Transaction {
  enum class Upstream {
    kNone,  // the next hop knows nothing of it, or has finished with it
    kOpen,  // it has accepted MAIL
    kData,  // it has said 354 and has not had its dot
  };

  // MAIL has been accepted.
  bool open = false;
  MailCommand mail;

  // Recipients that have been accepted, and ones that have not.
  int recipients = 0;
  int refused_recipients = 0;
  // The first accepted one, as it goes to the next hop; it is named in Received when it is the only one.
  std::string first_recipient;

  Upstream upstream = Upstream::kNone;
  // The next hop has refused MAIL, could not be reached or was lost: this is the answer to whatever asks for it.
  std::optional<Reply> upstream_failure;

  void Reset() { *this = Transaction(); }
};

}  // namespace gatepost::smtp
