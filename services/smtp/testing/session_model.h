// A second, simple account of what a session must answer, written from the design's protocol and limits, not from the
// session: the tests compare the two over random sequences of commands. It knows steps, not octets: what a client means
// to say, and what the session harness's world does with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/smtp/capabilities.h"
#include "services/smtp/command.h"
#include "services/smtp/testing/session_harness.h"

namespace gatepost::smtp {

enum class StepKind : uint8_t {
  kEhlo,
  kHelo,
  kHeloBad,
  kStartTls,
  kStartTlsBad,
  kAuthPlain,
  kAuthPlainStart,
  kAuthLogin,
  kAuthMalformed,
  kAuthUnknown,
  kMail,
  kMailBad,
  kMailUnknown,
  kRcpt,
  kRcptBad,
  kRcptMany,
  kData,
  kDataBad,
  kBdat,
  kBdatHuge,
  kBdatExtra,
  kBdatBad,
  kRset,
  kRsetBad,
  kNoop,
  kNoopMany,
  kVrfy,
  kHelp,
  kExpn,
  kUnknown,
  kTooLong,
  kQuit,
  kPipelinedEhlo,
  kBareLf,
  kHttp,
  // While an AUTH exchange waits for a line.
  kResponse,
  kResponseMalformed,
  kResponseCancel,
};
inline constexpr int kCommandKinds = static_cast<int>(StepKind::kResponse);

struct Step {
  StepKind kind = StepKind::kNoop;
  std::string text;  // kMail: the sender's local part, empty: <>; kRcpt: the path; kAuthPlain, kResponse: the password
  std::optional<BodyType> body;  // kMail: BODY=
  bool smtputf8 = false;         // kMail
  bool dsn = false;              // kMail: ENVID=; kRcpt: NOTIFY=
  std::string content;           // kData, kBdat, kBdatExtra: unstuffed octets
  bool last = false;             // kBdat
  std::optional<uint64_t> size;  // kMail: SIZE=; kBdatHuge: the announced one
};

class SessionModel {
 public:
  explicit SessionModel(const SessionSetup& setup)
      : setup_(setup), next_hop_(Capabilities::FromEhlo(setup.extensions)) {}

  enum class Phase { kCommand, kData, kAuthPlain, kAuthUser, kAuthPassword, kClosed };
  Phase phase() const { return phase_; }
  // How far a transaction has come: none, MAIL, RCPT, BDAT.
  enum class Progress { kNone, kMail, kRcpt, kChunks };
  Progress progress() const {
    if (!open_) return Progress::kNone;
    if (chunks_) return Progress::kChunks;
    return recipients_ > 0 ? Progress::kRcpt : Progress::kMail;
  }

  // Of the transaction, its local part.
  const std::string& sender() const { return sender_; }

  // The codes that answer a step, e.g. "250 2.1.0"; EHLO's is "250". A DATA that gets 354 is to be followed by
  // Content().
  std::vector<std::string> Take(const Step& step);
  // The octets of DATA and its end.
  std::vector<std::string> Content(const Step& step);

  // Step by step: what must have reached the next hop as messages. Sender, number of recipients, body.
  struct Delivered {
    std::string sender;
    size_t recipients;
    std::string body;
    bool operator==(const Delivered&) const = default;
  };
  const std::vector<Delivered>& delivered() const { return delivered_; }

 private:
  using Codes = std::vector<std::string>;

  Codes Say(std::string code);
  Codes SayAndClose(std::string code);
  Codes Idle(std::string code);
  Codes Mail(const Step& step);
  Codes Rcpt(std::string_view path, bool dsn);
  void AskNextHop(std::string_view path, bool dsn);
  // A parameter of MAIL that is not offered.
  std::optional<std::string> NotOffered(const Step& step) const;
  Codes RefuseRecipient(std::string code);
  Codes Chunk(std::string_view content, uint64_t size, bool last, std::optional<std::string> refusal);
  Codes Authenticate(std::string_view password);
  Codes EndMessage(std::string code, bool counts);
  std::optional<std::string> NoBody() const;
  std::optional<std::string> Fault(bool ended) const;
  bool eight_bit_refused() const;
  std::string UpstreamFailure(std::string_view rfc) const { return exchange() ? "451 4.7.0" : std::string(rfc); }
  bool exchange() const { return setup_.settings.dialect == policy::Dialect::kExchange; }
  bool may_relay() const { return authenticated_; }
  uint64_t limit() const;
  uint64_t bound() const;
  void ResetTransaction();

  SessionSetup setup_;
  Capabilities next_hop_;  // what it really has
  Phase phase_ = Phase::kCommand;
  bool tls_ = false, greeted_ = false, esmtp_ = false, authenticated_ = false;
  int errors_ = 0, idle_ = 0, refused_ = 0, excess_ = 0, auth_failures_ = 0;
  uint64_t messages_ = 0, session_octets_ = 0;

  bool open_ = false;
  std::string sender_;
  std::optional<BodyType> body_;
  bool smtputf8_ = false, mail_dsn_ = false;
  bool mail_there_ = false;  // the next hop has accepted MAIL
  int recipients_ = 0, refused_here_ = 0;
  std::string upstream_failure_;
  bool chunks_ = false;  // a BDAT has been accepted
  std::string octets_;   // of the message so far
  std::vector<Delivered> delivered_;
};

// What the client sends for a step: the line(s), and the content of BDAT. Of DATA the line alone.
std::string Render(const Step& step);
// The octets of DATA, stuffed, with the end.
std::string RenderContent(const Step& step);

// The codes of what a session said, in the form of Take().
std::vector<std::string> CodesOf(std::string_view said);

}  // namespace gatepost::smtp
