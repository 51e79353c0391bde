#include "services/smtp/testing/session_runs.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "services/base/strings.h"
#include "services/smtp/limits.h"
#include "services/smtp/testing/session_harness.h"
#include "services/smtp/testing/session_model.h"
#include "services/smtp/testing/upstream_check.h"

namespace gatepost::smtp {
namespace {

template <size_t n>
std::string_view Pick(const NumberSource& next, const std::array<std::string_view, n>& choices) {
  return choices[next(n)];
}

SessionSetup MakeSetup(const NumberSource& next) {
  SessionSetup setup;
  setup.settings.authentication.anonymous = next(4) != 0;
  setup.settings.authentication.allow_clear_text_credentials = next(2) != 0;
  setup.settings.tls.require_secure_channel = next(8) == 0;
  setup.settings.dialect = next(8) == 0 ? policy::Dialect::kExchange : policy::Dialect::kRfc;
  setup.settings.limits.message_size = 200;
  setup.settings.limits.session_size = next(6) == 0 ? 500 : 0;
  setup.settings.limits.messages = next(6) == 0 ? 3 : 0;
  setup.settings.limits.recipients = 100;
  setup.settings.limits.hops = 2;
  setup.segment = next(3) == 0 ? 1 + next(20) : 0;
  return setup;
}

const std::vector<std::string> kExtensions = {"PIPELINING", "8BITMIME",   "DSN",  "SMTPUTF8",
                                              "CHUNKING",   "BINARYMIME", "SIZE", "XCLIENT ADDR LOGIN"};

// A next hop that has all extensions, and perhaps turns out to have changed.
void OfferExtensions(const NumberSource& next, SessionSetup* setup) {
  setup->Offer(kExtensions);
  if (next(4) == 0) setup->settings.delivery.client_identity = policy::ClientIdentity::kXclient;
  const uint32_t changed = next(6);
  if (changed == 1) setup->extensions = {"PIPELINING"};
  if (changed == 2) setup->extensions = {"8BITMIME", "SMTPUTF8", "CHUNKING"};
}

// `plain`: no octet beyond ASCII.
std::string MakeContent(const NumberSource& next, bool plain) {
  static constexpr std::array<std::string_view, 13> kPieces = {
      "\xe9",
      "a",
      "\r\n",
      ".",
      "hello",
      "Received: x\r\n",
      "\r\n.\r\n",
      "\r\n\r\n",
      "\r",
      "\n",
      "Received: y\r\n",
      "\t",
      "0123456789012345678901234567890123456789012345678901234567890123456789"};
  std::string content;
  bool tame = next(3) != 0;
  for (uint32_t pieces = next(7); pieces > 0; --pieces) {
    std::string_view piece = Pick(next, kPieces);
    if (plain && piece == "\xe9") piece = "e";
    if (tame && (piece == "\r" || piece == "\n" || piece == "\t")) piece = "b";
    content += piece;
  }
  if (!tame && next(10) == 0) content += '\0';
  return content;
}

// What a client that means well says next.
StepKind NaturalKind(SessionModel::Progress progress, const NumberSource& next) {
  switch (progress) {
    case SessionModel::Progress::kNone:
      return StepKind::kMail;
    case SessionModel::Progress::kMail:
      return StepKind::kRcpt;
    case SessionModel::Progress::kRcpt:
      return next(3) == 0 ? StepKind::kData : StepKind::kBdat;
    case SessionModel::Progress::kChunks:
      return StepKind::kBdat;
  }
  __builtin_unreachable();
}

Step MakeStep(const SessionModel& model, const NumberSource& next) {
  static constexpr std::array<std::string_view, 18> kSenders = {
      "a",         "a",     "a",       "a",       "",         "mail550", "mail450", "mail421",  "unreachable",
      "refusedus", "notls", "data550", "data451", "datalost", "dot550",  "doubt",   "bodylost", "\u00fc"};
  static constexpr std::array<std::string_view, 12> kRecipients = {
      "c@in.example",   "c@in.example",     "d@in.example",     "c@ext.example",
      "v%x@in.example", "up550@in.example", "up450@in.example", "uplost@in.example",
      "postmaster",     "c@in.example",     "up421@in.example", "\u00fc@in.example"};
  static constexpr std::array<std::string_view, 5> kPasswords = {"good", "bad", "junk", "down", "good"};
  Step step;
  if (model.phase() != SessionModel::Phase::kCommand) {
    uint32_t choice = next(8);
    step.kind = choice == 0   ? StepKind::kResponseCancel
                : choice == 1 ? StepKind::kResponseMalformed
                              : StepKind::kResponse;
    step.text = Pick(next, kPasswords);
    step.last = model.phase() == SessionModel::Phase::kAuthPlain;
    return step;
  }
  // What makes a transaction comes more often than the rest; what ends a session less often.
  static constexpr std::array kOften = {StepKind::kEhlo, StepKind::kMail, StepKind::kRcpt,     StepKind::kData,
                                        StepKind::kBdat, StepKind::kRset, StepKind::kAuthPlain};
  uint32_t choice = next(6);
  if (choice < 3)
    step.kind = NaturalKind(model.progress(), next);
  else if (choice < 5)
    step.kind = kOften[next(kOften.size())];
  else
    step.kind = static_cast<StepKind>(next(kCommandKinds));
  bool ends = step.kind >= StepKind::kQuit || step.kind == StepKind::kBdatBad || step.kind == StepKind::kBdatHuge;
  if (ends && next(4) != 0) step.kind = StepKind::kNoop;
  switch (step.kind) {
    case StepKind::kMail:
      step.text = Pick(next, kSenders);
      if (next(4) == 0) step.size = next(3) == 0 ? 201 : next(201);
      if (next(3) == 0) step.body = next(3) == 0 ? BodyType::k8BitMime : BodyType::kBinaryMime;
      step.smtputf8 = next(4) == 0;
      step.dsn = next(8) == 0;
      break;
    case StepKind::kRcpt:
    case StepKind::kRcptMany:
      step.text = Pick(next, kRecipients);
      step.dsn = next(8) == 0;
      break;
    case StepKind::kData:
    case StepKind::kBdat:
    case StepKind::kBdatExtra:
      // Whether its connection is lost before an octet beyond ASCII is seen depends on how they come.
      step.content = MakeContent(next, model.sender() == "bodylost");
      step.last = next(2) != 0;
      break;
    case StepKind::kBdatHuge:
      step.size = 1'000'000;
      break;
    case StepKind::kAuthPlain:
      step.text = Pick(next, kPasswords);
      break;
    default:
      break;
  }
  return step;
}

// The client must wait for the answer.
bool EndsItsGroup(const Step& step) {
  switch (step.kind) {
    case StepKind::kEhlo:
    case StepKind::kHelo:
    case StepKind::kHeloBad:
    case StepKind::kStartTls:
    case StepKind::kStartTlsBad:
    case StepKind::kAuthPlain:
    case StepKind::kAuthPlainStart:
    case StepKind::kAuthLogin:
    case StepKind::kAuthMalformed:
    case StepKind::kAuthUnknown:
    case StepKind::kData:
    case StepKind::kDataBad:
      return true;
    default:
      return step.kind >= StepKind::kResponse;
  }
}

std::string Join(const std::vector<std::string>& codes) {
  std::string all;
  for (const std::string& code : codes) base::StrAppend(&all, all.empty() ? "" : ", ", code);
  return all;
}

std::string CheckUpstream(const SessionHarness& session) {
  size_t complete = 0;
  for (const UpstreamConnection& connection : session.upstream()) {
    UpstreamTranscript transcript = ReadUpstream(connection.octets);
    if (!transcript.fault.empty()) return base::StrCat("upstream: ", transcript.fault, "\n", connection.octets);
    if (transcript.in_message && session.closed() && !connection.dropped) return "upstream: left within a message";
    complete += transcript.messages.size();
  }
  if (complete < session.delivered().size()) return "upstream: a message was acknowledged that had no dot";
  return "";
}

}  // namespace

std::string RunAgainstModel(const NumberSource& next, int steps) {
  SessionSetup setup = MakeSetup(next);
  if (next(2) == 0) OfferExtensions(next, &setup);
  SessionHarness session(setup);
  SessionModel model(setup);
  session.Begin();
  std::string script, batch;
  std::vector<std::string> expected;
  auto differs = [&](std::string_view sent) -> std::string {
    std::string said = session.Send(sent);
    std::vector<std::string> codes = CodesOf(said);
    bool closed = model.phase() == SessionModel::Phase::kClosed;
    script += sent;
    if (codes == expected && closed == session.closed()) {
      expected.clear();
      return "";
    }
    return base::StrCat("script:\n", script, "\nmodel: ", Join(expected), closed ? " close" : "",
                        "\nsession: ", Join(codes), session.closed() ? " close" : "", "\n");
  };
  auto take = [&](std::vector<std::string> codes) {
    std::move(codes.begin(), codes.end(), std::back_inserter(expected));
  };
  for (int i = 0; i < steps && model.phase() != SessionModel::Phase::kClosed; ++i) {
    Step step = MakeStep(model, next);
    if (i == 0 && next(8) != 0) step.kind = StepKind::kEhlo;
    if (step.kind == StepKind::kPipelinedEhlo) {
      // What has not come yet cannot be seen to have come too early: both lines are to come at once.
      if (!batch.empty()) {
        if (std::string difference = differs(std::exchange(batch, std::string())); !difference.empty())
          return difference;
      }
      session.set_segment(0);
    }
    take(model.Take(step));
    batch += Render(step);
    if (!EndsItsGroup(step) && model.phase() == SessionModel::Phase::kCommand && next(3) != 0 && i + 1 < steps)
      continue;
    if (std::string difference = differs(std::exchange(batch, std::string())); !difference.empty()) return difference;
    if (model.phase() != SessionModel::Phase::kData) continue;
    take(model.Content(step));
    if (std::string difference = differs(RenderContent(step)); !difference.empty()) return difference;
  }
  if (!batch.empty()) {
    if (std::string difference = differs(batch); !difference.empty()) return difference;
  }
  if (!session.closed()) session.HangUp();
  bool same = session.delivered().size() == model.delivered().size();
  for (size_t i = 0; same && i < model.delivered().size(); ++i) {
    const DeliveredMessage& message = session.delivered()[i];
    same = SessionModel::Delivered{message.sender, message.recipients.size(), message.body} == model.delivered()[i];
  }
  if (!same) return base::StrCat("script:\n", script, "\nthe messages at the next hop differ\n");
  return CheckUpstream(session);
}

std::string RunOctets(std::string_view octets, const NumberSource& next, bool extensions) {
  SessionSetup setup = MakeSetup(next);
  if (extensions) setup.Offer(kExtensions);
  setup.settings.relay.authenticated_may_relay = false;
  SessionHarness session(setup);
  session.Begin();
  session.Send(octets);
  if (!session.closed()) session.HangUp();
  if (session.most_output() > limits::kUnreadReplies + 4096) return "too much output held";
  if (session.most_input() > 512 * 1024) return "too much input held";
  for (const UpstreamConnection& connection : session.upstream()) {
    for (const std::string& recipient : ReadUpstream(connection.octets).recipients) {
      bool local = recipient.ends_with("@in.example") || recipient.ends_with(".in.example") ||
                   base::EqualsIgnoreCase(recipient, "postmaster");
      if (!local || recipient.find_first_of("%!") != std::string::npos) return "recipient beyond policy: " + recipient;
    }
  }
  return CheckUpstream(session);
}

}  // namespace gatepost::smtp
