// Longer than a source should be: the model is one automaton, verb by verb, to be read against the RFCs in one go.
#include "services/smtp/testing/session_model.h"

#include <algorithm>

#include "services/base/base64.h"
#include "services/base/strings.h"

namespace gatepost::smtp {
namespace {

std::string AddressOf(std::string_view local) { return local.empty() ? "" : base::StrCat(local, "@b.example"); }

// A CR without its LF, an LF without its CR, a NUL, a blank at the start. `ended`: a CR at the end has no LF any more.
bool IsDefective(std::string_view octets, bool ended, bool binary) {
  if (!octets.empty() && (octets[0] == ' ' || octets[0] == '\t')) return true;
  if (binary) return false;
  for (size_t i = 0; i < octets.size(); ++i) {
    if (octets[i] == '\0') return true;
    if (octets[i] == '\n' && (i == 0 || octets[i - 1] != '\r')) return true;
    if (octets[i] != '\r') continue;
    if (i + 1 == octets.size() ? ended : octets[i + 1] != '\n') return true;
  }
  return false;
}

bool IsAscii(std::string_view octets) {
  return std::all_of(octets.begin(), octets.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

int CountReceived(std::string_view octets) {
  int count = 0;
  while (!octets.empty() && !octets.starts_with("\r\n")) {
    if (base::StartsWithIgnoreCase(octets, "received:")) ++count;
    const size_t end = octets.find("\r\n");
    octets.remove_prefix(end == std::string_view::npos ? octets.size() : end + 2);
  }
  return count;
}

}  // namespace

uint64_t SessionModel::limit() const {
  uint64_t size = setup_.settings.limits.message_size;
  uint64_t session = setup_.settings.limits.session_size;
  if (session == 0) return size;
  return std::min(size, session - std::min(session, session_octets_));
}

uint64_t SessionModel::bound() const { return limit() + setup_.settings.limits.message_size; }

SessionModel::Codes SessionModel::Say(std::string code) {
  static const std::vector<std::string> kErrors = {"500", "501", "502", "503", "504", "555"};
  bool error = std::find(kErrors.begin(), kErrors.end(), code.substr(0, 3)) != kErrors.end();
  if (error && ++errors_ > setup_.settings.limits.protocol_errors) return SayAndClose("421 4.7.0");
  return {std::move(code)};
}

SessionModel::Codes SessionModel::SayAndClose(std::string code) {
  phase_ = Phase::kClosed;
  return {std::move(code)};
}

SessionModel::Codes SessionModel::Idle(std::string code) {
  if (++idle_ > 100) return SayAndClose("421 4.7.0");
  return Say(std::move(code));
}

void SessionModel::ResetTransaction() {
  session_octets_ += octets_.size();
  open_ = chunks_ = smtputf8_ = mail_dsn_ = mail_there_ = false;
  body_.reset();
  sender_.clear();
  recipients_ = refused_here_ = 0;
  upstream_failure_.clear();
  octets_.clear();
}

SessionModel::Codes SessionModel::Take(const Step& step) {
  bool bdat = step.kind == StepKind::kBdat || step.kind == StepKind::kBdatHuge || step.kind == StepKind::kBdatExtra;
  uint64_t chunk = step.kind == StepKind::kBdatHuge ? *step.size : step.content.size();

  // A line of an AUTH exchange is no command.
  if (phase_ != Phase::kCommand) {
    bool user = phase_ == Phase::kAuthUser;
    phase_ = Phase::kCommand;
    if (step.kind == StepKind::kResponseCancel) return Say("501 5.7.0");
    if (step.kind == StepKind::kResponseMalformed) return Say("501 5.5.2");
    if (user) {
      phase_ = Phase::kAuthPassword;
      return {"334"};
    }
    return Authenticate(step.text);
  }

  // Before anything else.
  switch (step.kind) {
    case StepKind::kQuit:
      return SayAndClose("221 2.0.0");
    case StepKind::kPipelinedEhlo:
      return SayAndClose("554 5.5.0");
    case StepKind::kBareLf:
      return SayAndClose("500 5.5.2");
    case StepKind::kHttp:
      phase_ = Phase::kClosed;
      return {};
    case StepKind::kTooLong:
      return Say("500 5.5.2");
    case StepKind::kUnknown:
      return Say("500 5.5.1");
    case StepKind::kExpn:
      return Say("502 5.5.1");
    case StepKind::kRsetBad:
    case StepKind::kHeloBad:
      return Say("501 5.5.4");
    case StepKind::kNoop:
    case StepKind::kRset:
      if (step.kind == StepKind::kRset && idle_ < 100) ResetTransaction();
      return Idle("250 2.0.0");
    case StepKind::kNoopMany: {
      Codes all;
      for (int i = 0; i < 30 && phase_ == Phase::kCommand; ++i) all.push_back(Idle("250 2.0.0")[0]);
      return all;
    }
    case StepKind::kHelp:
      return Idle("214 2.0.0");
    case StepKind::kEhlo:
    case StepKind::kHelo:
      if (idle_ < 100) {
        ResetTransaction();
        greeted_ = true;
        esmtp_ = step.kind == StepKind::kEhlo;
      }
      return Idle("250");
    default:
      break;
  }

  // TLS where it is required, then the order of commands.
  bool starttls = step.kind == StepKind::kStartTls || step.kind == StepKind::kStartTlsBad;
  std::optional<std::string> refusal;
  bool vrfy = step.kind == StepKind::kVrfy;
  if (setup_.settings.tls.require_secure_channel && !tls_ && !starttls)
    refusal = "530 5.7.0";
  else if (!greeted_ && !vrfy)
    refusal = "503 5.5.1";
  if (bdat)
    return Chunk(step.content, chunk, step.last, step.kind == StepKind::kBdatExtra && !refusal ? "501 5.5.4" : refusal);
  if (step.kind == StepKind::kBdatBad) {
    Codes codes = SayAndClose(refusal.value_or("501 5.5.4"));
    return codes;
  }
  if (refusal) {
    if (step.kind != StepKind::kRcptMany) return Say(*refusal);
    Codes all;
    for (int i = 0; i < 40 && phase_ == Phase::kCommand; ++i) all.push_back(Say(*refusal)[0]);
    return all;
  }

  switch (step.kind) {
    case StepKind::kVrfy:
      return Idle("252 2.5.2");
    case StepKind::kStartTls:
    case StepKind::kStartTlsBad:
      if (tls_) return Say("503 5.5.1");
      if (step.kind == StepKind::kStartTlsBad) return Say("501 5.5.4");
      ResetTransaction();
      tls_ = true;
      greeted_ = esmtp_ = authenticated_ = false;
      return Say("220 2.0.0");
    case StepKind::kAuthPlain:
    case StepKind::kAuthPlainStart:
    case StepKind::kAuthLogin:
    case StepKind::kAuthMalformed:
    case StepKind::kAuthUnknown:
      if (open_ || authenticated_) return Say("503 5.5.1");
      if (step.kind == StepKind::kAuthUnknown) return Say(exchange() ? "504 5.7.4" : "504 5.5.4");
      if (!tls_ && !setup_.settings.authentication.allow_clear_text_credentials) return Say("538 5.7.11");
      if (step.kind == StepKind::kAuthMalformed) return Say("501 5.5.2");
      if (step.kind == StepKind::kAuthPlain) return Authenticate(step.text);
      phase_ = step.kind == StepKind::kAuthLogin ? Phase::kAuthUser : Phase::kAuthPlain;
      return {"334"};
    case StepKind::kMail:
    case StepKind::kMailBad:
    case StepKind::kMailUnknown:
      return Mail(step);
    case StepKind::kRcpt:
      return Rcpt(step.text, step.dsn);
    case StepKind::kRcptBad:
      if (!open_ || chunks_) return Say("503 5.5.1");
      return Say("501 5.1.3");
    case StepKind::kRcptMany: {
      Codes all;
      for (int i = 0; i < 40 && phase_ == Phase::kCommand; ++i) {
        for (std::string& code : Rcpt(step.text, step.dsn)) all.push_back(std::move(code));
      }
      return all;
    }
    case StepKind::kDataBad:
      return Say("501 5.5.4");
    case StepKind::kData: {
      if (chunks_) return Say("503 5.5.1");
      std::optional<std::string> no = NoBody();
      if (no && no->substr(0, 3) == "503") return Say(*no);
      if (no) {
        ResetTransaction();
        return Say(*no);
      }
      if (body_ == BodyType::kBinaryMime) return Say("503 5.5.1");
      if (sender_ == "data550") return EndMessage("550 5.7.9", true);
      if (sender_ == "data451") return EndMessage("451 4.7.9", true);
      if (sender_ == "datalost") return EndMessage(UpstreamFailure("451 4.4.1"), true);
      phase_ = Phase::kData;
      return {"354"};
    }
    default:
      return {"?"};
  }
}

SessionModel::Codes SessionModel::Authenticate(std::string_view password) {
  if (password == "good") {
    authenticated_ = true;
    return Say("235 2.7.0");
  }
  if (password == "junk") return Say("501 5.5.2");
  if (password == "down") return Say("454 4.7.0");
  Codes codes = Say(exchange() ? "535 5.7.3" : "535 5.7.8");
  if (++auth_failures_ == setup_.settings.limits.auth_failures) codes.push_back(SayAndClose("421 4.7.0")[0]);
  return codes;
}

SessionModel::Codes SessionModel::Mail(const Step& step) {
  if (open_) return Say("503 5.5.1");
  if (step.kind == StepKind::kMailBad) return Say("501 5.1.7");
  if (step.kind == StepKind::kMailUnknown) return Say("555 5.5.4");
  if (std::optional<std::string> refusal = NotOffered(step)) return Say(*refusal);
  const policy::Limits& limits = setup_.settings.limits;
  if (limits.messages != 0 && messages_ >= limits.messages) return SayAndClose("421 4.7.0");
  if (step.size && *step.size > limits.message_size) return Say("552 5.3.4");
  if (step.size && limits.session_size != 0 &&
      *step.size > limits.session_size - std::min(limits.session_size, session_octets_)) {
    SayAndClose("");
    return {"552 5.3.4", "421 4.7.0"};
  }
  if (!setup_.settings.authentication.anonymous && !authenticated_) return Say(exchange() ? "530 5.7.1" : "530 5.7.0");
  open_ = true;
  sender_ = step.text;
  body_ = step.body;
  smtputf8_ = step.smtputf8;
  mail_dsn_ = step.dsn;
  idle_ = 0;
  return Say("250 2.1.0");
}

std::optional<std::string> SessionModel::NotOffered(const Step& step) const {
  const Capabilities known = esmtp_ ? setup_.next_hop : Capabilities();
  const bool utf8_offered = known.smtputf8 && known.eight_bit_mime;
  if (!IsAscii(step.text) && !utf8_offered) return "550 5.6.7";
  if (step.size && !known.size) return "555 5.5.4";
  const bool binary_offered = known.binary_mime && known.chunking && known.eight_bit_mime;
  if (step.body == BodyType::k8BitMime && !known.eight_bit_mime) return "554 5.6.3";
  if (step.body == BodyType::kBinaryMime && !binary_offered) return "554 5.6.3";
  if (step.smtputf8 && !utf8_offered) return "555 5.5.4";
  if (step.dsn && !known.dsn) return "555 5.5.4";
  if (!IsAscii(step.text) && !step.smtputf8) return "550 5.6.7";
  return std::nullopt;
}

SessionModel::Codes SessionModel::RefuseRecipient(std::string code) {
  ++refused_here_;
  if (++refused_ > setup_.settings.limits.refused_recipients) return SayAndClose("421 4.7.0");
  return Say(std::move(code));
}

// What becomes of the transaction at the next hop, when it is asked for a recipient.
void SessionModel::AskNextHop(std::string_view path, bool dsn) {
  if (sender_ == "unreachable") upstream_failure_ = UpstreamFailure("451 4.4.1");
  if (sender_ == "refusedus") upstream_failure_ = "451 4.3.5";
  if (sender_ == "notls") upstream_failure_ = "451 4.7.4";
  if (!upstream_failure_.empty()) return;
  if (!mail_there_) {
    const bool xclient = setup_.settings.delivery.client_identity == policy::ClientIdentity::kXclient;
    const bool binary = body_ == BodyType::kBinaryMime;
    if (xclient && next_hop_.xclient.empty())
      upstream_failure_ = "451 4.3.5";
    else if (smtputf8_ && !next_hop_.smtputf8)
      upstream_failure_ = "553 5.6.7";
    else if (binary && !next_hop_.binary_mime)
      upstream_failure_ = "554 5.6.3";
    else if (body_ == BodyType::k8BitMime && !next_hop_.eight_bit_mime)
      upstream_failure_ = "554 5.6.3";
    else if ((mail_dsn_ || dsn) && !next_hop_.dsn)
      upstream_failure_ = "451 4.3.5";
    else if (sender_ == "mail550")
      upstream_failure_ = "550 5.7.9";
    else if (sender_ == "mail450")
      upstream_failure_ = "450 4.7.9";
    else if (sender_ == "mail421")
      upstream_failure_ = "451 4.7.9";
    if (!upstream_failure_.empty()) return;
    mail_there_ = true;
  } else if (dsn && !next_hop_.dsn) {
    return;
  }
  if (path.starts_with("up421@")) upstream_failure_ = "451 4.7.9";
  if (path.starts_with("uplost@")) upstream_failure_ = UpstreamFailure("451 4.4.1");
}

SessionModel::Codes SessionModel::Rcpt(std::string_view path, bool dsn) {
  if (!open_ || chunks_) return Say("503 5.5.1");
  if (!IsAscii(path) && !smtputf8_) return Say("553 5.6.7");
  if (dsn && !(esmtp_ && setup_.next_hop.dsn)) return Say("555 5.5.4");
  if (recipients_ >= setup_.settings.limits.recipients) {
    if (++excess_ > setup_.settings.limits.excess_recipients) return SayAndClose("421 4.7.0");
    return Say("452 4.5.3");
  }
  if (sender_.empty() && recipients_ > 0) return RefuseRecipient("550 5.5.3");
  bool local = path.ends_with("@in.example") || path == "postmaster";
  bool routed = path.find('%') != std::string_view::npos;
  if (!may_relay() && (!local || routed)) return RefuseRecipient("550 5.7.1");
  if (upstream_failure_.empty()) AskNextHop(path, dsn);
  if (!upstream_failure_.empty()) return RefuseRecipient(upstream_failure_);
  if (dsn && !next_hop_.dsn) return RefuseRecipient("451 4.3.5");
  if (path.starts_with("up550@")) return RefuseRecipient("550 5.7.9");
  if (path.starts_with("up450@")) return RefuseRecipient("450 4.7.9");
  ++recipients_;
  return Say("250 2.1.5");
}

std::optional<std::string> SessionModel::NoBody() const {
  if (!open_) return "503 5.5.1";
  if (recipients_ == 0) return refused_here_ == 0 ? "503 5.5.1" : "554 5.5.1";
  if (!upstream_failure_.empty()) return upstream_failure_;
  return std::nullopt;
}

// What is wrong with the message itself, as far as it has come.
std::optional<std::string> SessionModel::Fault(bool ended) const {
  if (octets_.size() > limit()) return "552 5.3.4";
  if (IsDefective(octets_, ended, body_ == BodyType::kBinaryMime)) return "550 5.6.0";
  if (CountReceived(octets_) > setup_.settings.limits.hops) return "554 5.4.6";
  return std::nullopt;
}

bool SessionModel::eight_bit_refused() const {
  return body_ != BodyType::kBinaryMime && !next_hop_.eight_bit_mime && !IsAscii(octets_);
}

// `counts`: its DATA or BDAT was in order.
SessionModel::Codes SessionModel::EndMessage(std::string code, bool counts) {
  phase_ = Phase::kCommand;
  messages_ += counts ? 1 : 0;
  bool session_full = code == "552 5.3.4" && limit() < setup_.settings.limits.message_size;
  ResetTransaction();
  Codes codes = Say(std::move(code));
  if (session_full && phase_ == Phase::kCommand) codes.push_back(SayAndClose("421 4.7.0")[0]);
  return codes;
}

SessionModel::Codes SessionModel::Content(const Step& step) {
  octets_ = step.content;
  if (octets_.size() < 2 || !octets_.ends_with("\r\n")) octets_ += octets_.empty() ? "" : "\r\n";
  if (octets_.size() > bound()) return SayAndClose("552 5.3.4");
  std::string verdict = "250 2.0.0";
  if (sender_ == "bodylost") verdict = UpstreamFailure("451 4.4.1");
  if (sender_ == "dot550") verdict = "550 5.7.9";
  if (sender_ == "dot451") verdict = "451 4.7.9";
  if (sender_ == "doubt") verdict = UpstreamFailure("451 4.4.2");
  if (eight_bit_refused()) verdict = "554 5.6.3";
  verdict = Fault(true).value_or(verdict);
  if (verdict == "250 2.0.0") delivered_.push_back({AddressOf(sender_), static_cast<size_t>(recipients_), octets_});
  return EndMessage(std::move(verdict), true);
}

SessionModel::Codes SessionModel::Chunk(std::string_view content, uint64_t size, bool last,
                                        std::optional<std::string> refusal) {
  bool counted = chunks_;
  if (!refusal) refusal = NoBody();
  if (octets_.size() + size > bound()) return SayAndClose(refusal.value_or("552 5.3.4"));
  bool first = !chunks_;
  octets_ += content;
  if (refusal) return EndMessage(*refusal, counted);
  if (std::optional<std::string> fault = Fault(last)) return EndMessage(*fault, true);
  // A binary message goes without DATA, and small as it is in one chunk at its end.
  const bool binary = body_ == BodyType::kBinaryMime;
  first = first && !binary;
  if (first && sender_ == "data550") return EndMessage("550 5.7.9", true);
  if (first && sender_ == "data451") return EndMessage("451 4.7.9", true);
  if (first && sender_ == "datalost") return EndMessage(UpstreamFailure("451 4.4.1"), true);
  // A CR at the end of a chunk waits for its LF.
  bool sent = last || (!binary && !content.empty() && content != "\r");
  if (eight_bit_refused()) return EndMessage("554 5.6.3", true);
  if (sender_ == "bodylost" && sent) return EndMessage(UpstreamFailure("451 4.4.1"), true);
  chunks_ = true;
  if (!last) return Say("250 2.0.0");
  if (sender_ == "dot550") return EndMessage("550 5.7.9", true);
  if (sender_ == "dot451") return EndMessage("451 4.7.9", true);
  if (sender_ == "doubt") return EndMessage(UpstreamFailure("451 4.4.2"), true);
  std::string body = octets_;
  if (!binary && !body.empty() && !body.ends_with("\r\n")) body += "\r\n";
  delivered_.push_back({AddressOf(sender_), static_cast<size_t>(recipients_), std::move(body)});
  return EndMessage("250 2.0.0", true);
}

std::string Render(const Step& step) {
  auto plain = [&] { return base::Base64Encode(base::StrCat('\0', "u", '\0', step.text)); };
  switch (step.kind) {
    case StepKind::kEhlo:
      return "EHLO client.example\r\n";
    case StepKind::kHelo:
      return "HELO client.example\r\n";
    case StepKind::kHeloBad:
      return "HELO\r\n";
    case StepKind::kStartTls:
      return "STARTTLS\r\n";
    case StepKind::kStartTlsBad:
      return "STARTTLS x\r\n";
    case StepKind::kAuthPlain:
      return base::StrCat("AUTH PLAIN ", plain(), "\r\n");
    case StepKind::kAuthPlainStart:
      return "AUTH PLAIN\r\n";
    case StepKind::kAuthLogin:
      return "AUTH LOGIN\r\n";
    case StepKind::kAuthMalformed:
      return "AUTH PLAIN !!!\r\n";
    case StepKind::kAuthUnknown:
      return "AUTH CRAM-MD5\r\n";
    case StepKind::kMail: {
      std::string line = base::StrCat("MAIL FROM:<", AddressOf(step.text), ">");
      if (step.size) base::StrAppend(&line, " SIZE=", *step.size);
      if (step.body) base::StrAppend(&line, step.body == BodyType::k8BitMime ? " BODY=8BITMIME" : " BODY=BINARYMIME");
      if (step.smtputf8) line += " SMTPUTF8";
      if (step.dsn) line += " ENVID=x+2By";
      return line + "\r\n";
    }
    case StepKind::kMailBad:
      return "MAIL FROM:<a@@b.example>\r\n";
    case StepKind::kMailUnknown:
      return "MAIL FROM:<a@b.example> XYZZY=1\r\n";
    case StepKind::kRcpt:
      return base::StrCat("RCPT TO:<", step.text, step.dsn ? "> NOTIFY=NEVER" : ">", "\r\n");
    case StepKind::kRcptBad:
      return "RCPT TO:<a..b@in.example>\r\n";
    case StepKind::kRcptMany: {
      std::string all;
      for (int i = 0; i < 40; ++i)
        all += base::StrCat("RCPT TO:<", step.text, step.dsn ? "> NOTIFY=NEVER" : ">", "\r\n");
      return all;
    }
    case StepKind::kData:
      return "DATA\r\n";
    case StepKind::kDataBad:
      return "DATA now\r\n";
    case StepKind::kBdat:
      return base::StrCat("BDAT ", step.content.size(), step.last ? " LAST\r\n" : "\r\n", step.content);
    case StepKind::kBdatHuge:
      return base::StrCat("BDAT ", *step.size, "\r\n");
    case StepKind::kBdatExtra:
      return base::StrCat("BDAT ", step.content.size(), " FIRST\r\n", step.content);
    case StepKind::kBdatBad:
      return "BDAT 0x10\r\n";
    case StepKind::kRset:
      return "RSET\r\n";
    case StepKind::kRsetBad:
      return "RSET x\r\n";
    case StepKind::kNoop:
      return "NOOP\r\n";
    case StepKind::kNoopMany: {
      std::string all;
      for (int i = 0; i < 30; ++i) all += "NOOP\r\n";
      return all;
    }
    case StepKind::kVrfy:
      return "VRFY someone\r\n";
    case StepKind::kHelp:
      return "HELP\r\n";
    case StepKind::kExpn:
      return "EXPN list\r\n";
    case StepKind::kUnknown:
      return "XYZZY\r\n";
    case StepKind::kTooLong:
      return std::string(2100, 'x') + "\r\n";
    case StepKind::kQuit:
      return "QUIT\r\nNOOP\r\n";
    case StepKind::kPipelinedEhlo:
      return "EHLO client.example\r\nNOOP\r\n";
    case StepKind::kBareLf:
      return "NOOP\n";
    case StepKind::kHttp:
      return "GET / HTTP/1.1\r\n";
    case StepKind::kResponse:
      return base::StrCat(step.last ? plain() : base::Base64Encode(step.text), "\r\n");
    case StepKind::kResponseMalformed:
      return "!!!\r\n";
    case StepKind::kResponseCancel:
      return "*\r\n";
  }
  __builtin_unreachable();
}

std::string RenderContent(const Step& step) {
  std::string stuffed;
  bool line_start = true, after_cr = false;
  for (char c : step.content) {
    if (line_start && c == '.') stuffed += '.';
    stuffed += c;
    line_start = after_cr && c == '\n';
    after_cr = c == '\r';
  }
  if (!line_start) stuffed += "\r\n";
  return stuffed + ".\r\n";
}

std::vector<std::string> CodesOf(std::string_view said) {
  std::vector<std::string> codes;
  for (std::string_view line : base::Split(said, '\n')) {
    if (line.size() < 4 || line[3] == '-') continue;
    size_t end = line.find_first_of(" \r", 4);
    bool enhanced = end != std::string_view::npos &&
                    line.substr(4, end - 4).find_first_not_of("0123456789.") == std::string_view::npos &&
                    base::Split(line.substr(4, end - 4), '.').size() == 3;
    codes.emplace_back(line.substr(0, enhanced ? end : 3));
  }
  return codes;
}

}  // namespace gatepost::smtp
