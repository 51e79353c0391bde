#include "services/smtp/replies.h"

#include "services/base/strings.h"

namespace gatepost::smtp::replies {
namespace {

using base::StrCat;

// 421 in a session: the host's name comes behind the enhanced code.
Reply Goodbye(std::string_view enhanced, std::string_view fqdn, std::string_view why) {
  return {421, enhanced, StrCat(fqdn, ' ', why)};
}

// Instead of the greeting: no enhanced code.
Reply InsteadOfGreeting(int code, std::string_view fqdn, std::string_view why) {
  return {code, "", StrCat(fqdn, ' ', why)};
}

Reply ExchangeTemporaryError() { return {451, "4.7.0", "Temporary server error. Please try again later"}; }

}  // namespace

Reply Greeting(std::string_view fqdn, std::string_view banner) {
  return InsteadOfGreeting(220, fqdn, banner.empty() ? "ESMTP Gatepost" : banner);
}
Reply ConnectionRefused(std::string_view fqdn, std::string_view ip) {
  return InsteadOfGreeting(554, fqdn, StrCat("Connection refused: ", ip, " is not permitted"));
}
Reply ReverseLookupFailed(std::string_view fqdn) {
  return InsteadOfGreeting(421, fqdn, "Reverse lookup failed, try again later");
}
Reply TooManyConnections(std::string_view fqdn) { return InsteadOfGreeting(421, fqdn, "Too many connections"); }
Reply NotAccepting(std::string_view fqdn) { return InsteadOfGreeting(421, fqdn, "Not accepting connections"); }
Reply EarlyTalker(std::string_view fqdn) { return InsteadOfGreeting(554, fqdn, "Protocol error"); }

Reply HelloLine(std::string_view fqdn, std::string_view ip) { return {250, "", StrCat(fqdn, " Hello [", ip, ']')}; }

Reply SenderOk() { return {250, "2.1.0", "Sender OK"}; }
Reply RecipientOk() { return {250, "2.1.5", "Recipient OK"}; }
Reply Ok() { return {250, "2.0.0", "OK"}; }
Reply Help(std::string_view url) { return {214, "2.0.0", std::string(url)}; }
Reply CannotVerify() { return {252, "2.5.2", "Cannot VRFY, but will accept the message and attempt delivery"}; }
Reply Bye(std::string_view fqdn) { return {221, "2.0.0", StrCat(fqdn, " Closing")}; }
Reply StartMailInput() { return {354, "", "End data with <CR><LF>.<CR><LF>"}; }
Reply MessageAccepted(std::string_view message_id, std::string_view upstream_text) {
  std::string text = StrCat("Accepted ", message_id);
  if (!upstream_text.empty()) base::StrAppend(&text, ' ', upstream_text);
  return {250, "2.0.0", std::move(text)};
}
Reply ChunkAccepted(uint64_t octets) { return {250, "2.0.0", StrCat(octets, " octets received")}; }

Reply UnknownCommand() { return {500, "5.5.1", "Command not recognized"}; }
Reply NotImplemented() { return {502, "5.5.1", "Command not implemented"}; }
Reply BadSequence() { return {503, "5.5.1", "Bad sequence of commands"}; }
Reply NoValidRecipients() { return {554, "5.5.1", "No valid recipients"}; }
Reply BadArgument() { return {501, "5.5.4", "Syntax error in arguments"}; }
Reply UnknownParameter() { return {555, "5.5.4", "Parameter not recognized"}; }
Reply BadSender() { return {501, "5.1.7", "Bad sender address"}; }
Reply BadRecipient() { return {501, "5.1.3", "Bad recipient address"}; }
Reply NoBrackets() { return {501, "5.5.4", "Address must be in angle brackets"}; }
Reply SenderNotAscii() { return {550, "5.6.7", "Non-ASCII sender address not permitted"}; }
Reply RecipientNotAscii() { return {553, "5.6.7", "Non-ASCII recipient address not permitted"}; }
Reply BinaryNeedsChunking() { return {503, "5.5.1", "BINARYMIME needs BDAT"}; }
Reply BodyTypeNotOffered() { return {554, "5.6.3", "Body type not supported by the next hop"}; }
Reply SyntaxErrorClosing() { return {500, "5.5.2", "Syntax error"}; }
Reply LineTooLong() { return {500, "5.5.2", "Line too long"}; }
Reply LineFlood(std::string_view fqdn) { return Goodbye("4.7.0", fqdn, "Line too long"); }
Reply ProtocolErrorClosing() { return {554, "5.5.0", "Protocol error"}; }

Reply ForError(const CommandError& error) {
  switch (error.kind) {
    case CommandError::Kind::kBadArgument:
    case CommandError::Kind::kBadChunkSize:
    case CommandError::Kind::kBadChunk:
      return BadArgument();
    case CommandError::Kind::kUnknownParameter:
      return UnknownParameter();
    case CommandError::Kind::kNoBrackets:
      return NoBrackets();
    case CommandError::Kind::kBadSender:
      return BadSender();
    case CommandError::Kind::kBadRecipient:
      return BadRecipient();
    case CommandError::Kind::kSenderNotAscii:
      return SenderNotAscii();
    case CommandError::Kind::kRecipientNotAscii:
      return RecipientNotAscii();
    case CommandError::Kind::kBodyType:
      return BodyTypeNotOffered();
    case CommandError::Kind::kAuthTooLong:
      return AuthTooLong();
  }
  return BadArgument();
}

Reply UnableToRelay(std::string_view recipient) { return {550, "5.7.1", StrCat("Unable to relay for ", recipient)}; }
Reply AuthenticationRequired(Dialect dialect) {
  if (dialect == Dialect::kExchange) return {530, "5.7.1", "Client was not authenticated"};
  return {530, "5.7.0", "Authentication required"};
}
Reply MayNotSubmit(std::string_view login) { return {550, "5.7.1", StrCat(login, " may not submit here")}; }
Reply MayNotSendAs(std::string_view login, std::string_view address) {
  return {550, "5.7.1", StrCat(login, " may not send as ", address)};
}
Reply ListedBy(std::string_view ip, std::string_view zone) {
  return {550, "5.7.1", StrCat(ip, " is listed by ", zone)};
}
Reply ClientNameUnknown() { return {451, "4.4.3", "Reverse lookup failed, try again later"}; }
Reply BlockListsFailed() { return {451, "4.4.3", "Block list lookup failed, try again later"}; }
Reply BlockListsDenied() { return {550, "5.7.1", "Block list lookup failed"}; }
Reply NullSenderOneRecipient() { return {550, "5.5.3", "Only one recipient for the null sender"}; }
Reply TooManyRecipients() { return {452, "4.5.3", "Too many recipients"}; }
Reply OtherNextHop() { return {452, "4.5.3", "Recipient needs a transaction of its own"}; }

Reply TlsRequired() { return {530, "5.7.0", "Must issue a STARTTLS command first"}; }
Reply ReadyForTls() { return {220, "2.0.0", "Ready to start TLS"}; }
Reply TlsNotAvailable() { return {454, "4.7.0", "TLS not available"}; }
Reply EncryptionTooWeak() { return {554, "5.7.0", "Command refused due to lack of security"}; }

Reply AuthAccepted() { return {235, "2.7.0", "Authentication successful"}; }
Reply AuthRejected(Dialect dialect) {
  if (dialect == Dialect::kExchange) return {535, "5.7.3", "Authentication unsuccessful"};
  return {535, "5.7.8", "Authentication credentials invalid"};
}
Reply UnknownMechanism(Dialect dialect) {
  return {504, dialect == Dialect::kExchange ? "5.7.4" : "5.5.4", "Unrecognized authentication type"};
}
Reply MechanismNeedsTls() { return {538, "5.7.11", "Encryption required for requested authentication mechanism"}; }
Reply AuthUnavailable() { return {454, "4.7.0", "Temporary authentication failure"}; }
Reply AuthCancelled() { return {501, "5.7.0", "Authentication cancelled"}; }
Reply AuthMalformed() { return {501, "5.5.2", "Cannot decode the response"}; }
Reply AuthTooLong() { return {500, "5.5.6", "Authentication exchange line is too long"}; }
Reply NtlmSupported() { return {334, "", "ntlm supported"}; }
Reply Challenge(std::string_view base64) { return {334, "", std::string(base64)}; }

Reply MessageTooBig() { return {552, "5.3.4", "Message size exceeds fixed maximum message size"}; }
Reply TooManyHops() { return {554, "5.4.6", "Too many hops"}; }
Reply MessageMalformed(BodyDefect defect) {
  std::string_view why = "Message is malformed";
  switch (defect) {
    case BodyDefect::kNone:
      break;
    case BodyDefect::kBareCr:
      why = "Message contains a bare CR";
      break;
    case BodyDefect::kBareLf:
      why = "Message contains a bare LF";
      break;
    case BodyDefect::kNul:
      why = "Message contains a NUL";
      break;
    case BodyDefect::kLeadingBlank:
      why = "Message begins with a blank";
      break;
  }
  return {550, "5.6.0", std::string(why)};
}

Reply UpstreamUnreachable(Dialect dialect) {
  if (dialect == Dialect::kExchange) return ExchangeTemporaryError();
  return {451, "4.4.1", "Next hop does not answer, try again later"};
}
Reply UpstreamLost(Dialect dialect) {
  if (dialect == Dialect::kExchange) return ExchangeTemporaryError();
  return {451, "4.4.2", "Connection to the next hop was lost, try again later"};
}
Reply UpstreamTlsNotOffered() { return {451, "4.7.4", "Next hop does not offer the TLS it must"}; }
Reply UpstreamTlsFailed() { return {451, "4.7.5", "TLS to the next hop failed"}; }
Reply NoUpstreamConnection() { return {451, "4.3.2", "No connection to the next hop is free, try again later"}; }
Reply UpstreamMisconfigured() { return {451, "4.3.5", "Next hop misconfigured"}; }
Reply UpstreamRefused(int code, std::string_view enhanced, std::string_view text) {
  return {code, enhanced, std::string(text.empty() ? "Refused by the next hop" : text)};
}

Reply IdleTimeout(std::string_view fqdn) { return Goodbye("4.4.2", fqdn, "Idle for too long"); }
Reply CommandTimeout(std::string_view fqdn) { return Goodbye("4.4.2", fqdn, "Command took too long"); }
Reply DataTimeout(std::string_view fqdn) { return Goodbye("4.4.2", fqdn, "Message data came too slowly"); }
Reply SessionTimeout(std::string_view fqdn) { return Goodbye("4.4.2", fqdn, "Session lasted too long"); }
Reply Closing(std::string_view fqdn) { return Goodbye("4.3.2", fqdn, "Closing"); }
Reply LoginRevoked(std::string_view fqdn) { return Goodbye("4.7.0", fqdn, "Login revoked"); }
Reply TooManyErrors(std::string_view fqdn) { return Goodbye("4.7.0", fqdn, "Too many errors"); }
Reply TooManyIdleCommands(std::string_view fqdn) {
  return Goodbye("4.7.0", fqdn, "Too many commands without a transaction");
}
Reply TooManyRefusedRecipients(std::string_view fqdn) { return Goodbye("4.7.0", fqdn, "Too many refused recipients"); }
Reply TooManyMessages(std::string_view fqdn) { return Goodbye("4.7.0", fqdn, "Too many messages in a session"); }
Reply TooManyChunks(std::string_view fqdn) { return Goodbye("4.7.0", fqdn, "Too many chunks in a message"); }
Reply TooManyAuthFailures(std::string_view fqdn) { return Goodbye("4.7.0", fqdn, "Too many failed authentications"); }
Reply SessionTooBig(std::string_view fqdn) { return Goodbye("4.7.0", fqdn, "Session brought too many octets"); }

}  // namespace gatepost::smtp::replies
