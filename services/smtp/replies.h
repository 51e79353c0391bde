// Every reply that we can say, once. Builders only: which one is due is decided elsewhere. Values that come from a
// client (addresses, logins) go in as they are: Reply::AppendTo() sees to it that they cannot end the line.
//
// `fqdn` is the virtual server's host name. The texts are a contract: clients and administrators match them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "services/policy/virtual_server.h"
#include "services/smtp/command.h"
#include "services/smtp/message_scanner.h"
#include "services/smtp/reply.h"

namespace gatepost::smtp::replies {

using policy::Dialect;

// --- the greeting, and instead of it
Reply Greeting(std::string_view fqdn, std::string_view banner);  // banner empty: "ESMTP Gatepost"
Reply ConnectionRefused(std::string_view fqdn, std::string_view ip);
Reply ReverseLookupFailed(std::string_view fqdn);
Reply TooManyConnections(std::string_view fqdn);
Reply NotAccepting(std::string_view fqdn);
// Octets before the greeting.
Reply EarlyTalker(std::string_view fqdn);

// --- EHLO, HELO
Reply HelloLine(std::string_view fqdn, std::string_view ip);  // its `more` are the extensions

// --- accepted
Reply SenderOk();
Reply RecipientOk();
Reply Ok();  // RSET, NOOP
Reply Help(std::string_view url);
Reply CannotVerify();
Reply Bye(std::string_view fqdn);
Reply StartMailInput();
// After the next hop's 250; its text may be empty. `message_id`: <session id>.<n>.
Reply MessageAccepted(std::string_view message_id, std::string_view upstream_text);
Reply ChunkAccepted(uint64_t octets);

// --- syntax and order
Reply UnknownCommand();
Reply NotImplemented();
Reply BadSequence();
// DATA or BDAT when every recipient was refused.
Reply NoValidRecipients();
Reply BadArgument();
Reply UnknownParameter();
Reply BadSender();
Reply BadRecipient();
Reply NoBrackets();
Reply SenderNotAscii();
Reply RecipientNotAscii();
// BINARYMIME with DATA.
Reply BinaryNeedsChunking();
// BODY= that the next hop cannot take.
Reply BodyTypeNotOffered();
Reply SyntaxErrorClosing();  // a control octet, bare CR or LF in a command
Reply LineTooLong();
Reply LineFlood(std::string_view fqdn);
Reply ProtocolErrorClosing();  // octets behind a command that ends its group
Reply ForError(const CommandError& error);

// --- policy
Reply UnableToRelay(std::string_view recipient);
Reply AuthenticationRequired(Dialect dialect);
Reply MayNotSubmit(std::string_view login);
Reply MayNotSendAs(std::string_view login, std::string_view address);
Reply ListedBy(std::string_view ip, std::string_view zone);
// The lookup that a decision at RCPT needs has failed.
Reply ClientNameUnknown();
Reply BlockListsFailed();
Reply BlockListsDenied();
Reply NullSenderOneRecipient();
Reply TooManyRecipients();
// A recipient of another next hop.
Reply OtherNextHop();

// --- TLS
Reply TlsRequired();
Reply ReadyForTls();
Reply TlsNotAvailable();
Reply EncryptionTooWeak();

// --- AUTH
Reply AuthAccepted();
Reply AuthRejected(Dialect dialect);
Reply UnknownMechanism(Dialect dialect);
Reply MechanismNeedsTls();
Reply AuthUnavailable();
Reply AuthCancelled();
Reply AuthMalformed();
Reply AuthTooLong();
// [MS-SMTPNTLM]: not base64.
Reply NtlmSupported();
// 334 and the base64 of a challenge (may be empty).
Reply Challenge(std::string_view base64);

// --- message
Reply MessageTooBig();
Reply TooManyHops();
Reply MessageMalformed(BodyDefect defect);

// --- the next hop
Reply UpstreamUnreachable(Dialect dialect);
Reply UpstreamLost(Dialect dialect);
Reply UpstreamTlsNotOffered();
Reply UpstreamTlsFailed();
Reply NoUpstreamConnection();
Reply UpstreamMisconfigured();
// The next hop's own refusal, when its text cannot be passed on: "Refused by the next hop".
Reply UpstreamRefused(int code, std::string_view enhanced, std::string_view text);

// --- the end of a session: 421, but for Bye() above
Reply IdleTimeout(std::string_view fqdn);
Reply CommandTimeout(std::string_view fqdn);
Reply DataTimeout(std::string_view fqdn);
Reply SessionTimeout(std::string_view fqdn);
Reply Closing(std::string_view fqdn);  // paused, stopping, draining
Reply LoginRevoked(std::string_view fqdn);
Reply TooManyErrors(std::string_view fqdn);
Reply TooManyIdleCommands(std::string_view fqdn);
Reply TooManyRefusedRecipients(std::string_view fqdn);
Reply TooManyMessages(std::string_view fqdn);
Reply TooManyChunks(std::string_view fqdn);
Reply TooManyAuthFailures(std::string_view fqdn);
Reply SessionTooBig(std::string_view fqdn);

}  // namespace gatepost::smtp::replies
