// The limits of a session that are fixed in code, with their units; the design's table of limits is the source, RFC
// 5321 4.5.3 that of most figures. What an administrator sets is in policy::Limits; this is what nobody sets.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace gatepost::smtp::limits {

// Octets of a command line with its CR LF. RFC 5321 4.5.3.1.4 asks for 512 and what extensions add.
inline constexpr size_t kCommandLine = 2048;
// Octets of the base64 of an initial response, or of a response line without its CR LF (RFC 4954 4).
inline constexpr size_t kAuthResponse = 12288;
// Octets of the line AUTH with its initial response and CR LF.
inline constexpr size_t kAuthLine = kAuthResponse + 64;
// Octets without CR LF after which a client is not talking SMTP.
inline constexpr size_t kLineFlood = 65536;

// Octets: of a local part, of a path with its brackets, of the argument of EHLO (RFC 5321 4.5.3.1.1 to 4.5.3.1.3).
inline constexpr size_t kLocalPart = 64;
inline constexpr size_t kPath = 256;
inline constexpr size_t kDomain = 255;
// Characters of ENVID and of ORCPT, encoded (RFC 3461 4.4, 4.2).
inline constexpr size_t kEnvelopeId = 100;
inline constexpr size_t kOriginalRecipient = 500;

// Octets of a reply line with its CR LF (RFC 5321 4.5.3.1.5).
inline constexpr size_t kReplyLine = 512;

// NOOP, RSET, VRFY, HELP, EHLO without a transaction between.
inline constexpr int kIdleCommands = 100;
// BDAT commands of one message.
inline constexpr int kBdatChunks = 10000;

// One command line, from its first octet.
inline constexpr std::chrono::seconds kCommandLineTime{60};
inline constexpr std::chrono::seconds kTlsHandshake{15};
// Replies that the client does not read: octets, and how long a write may take.
inline constexpr size_t kUnreadReplies = 65536;
inline constexpr std::chrono::seconds kClientWrite{60};
// After a refusal in the greeting, or for lack of encryption: how long QUIT is waited for.
inline constexpr std::chrono::seconds kRefusedSession{10};

// A command to a next hop, octets with CR LF, where its extension says so (XCLIENT).
inline constexpr size_t kUpstreamCommand = 512;
// A reply of the next hop: octets, lines; and what of its text is passed on, octets.
inline constexpr size_t kUpstreamReply = 4096;
inline constexpr int kUpstreamReplyLines = 50;
inline constexpr size_t kUpstreamText = 400;

// Octets by which the SIZE that we offer is less than the next hop's: room for our trace header.
inline constexpr uint64_t kTraceHeaderRoom = 4096;

}  // namespace gatepost::smtp::limits
