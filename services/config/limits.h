// Limits and defaults of the config service, once. What administrators set per virtual server is said in the proto's
// comments too.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace gatepost::config {

// Resources.
inline constexpr int64_t kMaxVirtualServers = 10'000;
inline constexpr int64_t kMaxCertificates = 10'000;
inline constexpr size_t kMaxVirtualServerOctets = 1 << 20;
inline constexpr int kMaxListeners = 32;
inline constexpr int kMaxListEntries = 10'000;
inline constexpr int kMaxBlockLists = 32;
inline constexpr int kMaxBlockListAnswers = 256;
inline constexpr int kMaxLocalDomains = 10'000;
inline constexpr int kMaxPools = 100;
inline constexpr int kMaxRealms = 1'000;
inline constexpr size_t kMaxRealmOctets = 255;
inline constexpr size_t kMaxNtlmTargetOctets = 15;
inline constexpr int kMaxTokenIssuers = 100;
inline constexpr size_t kMaxTokenIssuerOctets = 100;
inline constexpr int kMaxNextHops = 32;
inline constexpr int kMaxDnsServers = 16;
inline constexpr size_t kMaxDisplayNameCharacters = 100;
inline constexpr size_t kMaxCommentCharacters = 200;
inline constexpr size_t kMaxBannerOctets = 200;
inline constexpr size_t kMaxCaBundleOctets = 256 << 10;
inline constexpr size_t kMaxChainOctets = 64 << 10;
inline constexpr size_t kMaxKeyOctets = 32 << 10;
inline constexpr int kMaxSelfSignedNames = 100;
inline constexpr size_t kMaxCommonNameOctets = 64;  // X.520's, as the attributes of Subject (RFC 5280 appendix A).
inline constexpr size_t kMaxOrganizationCharacters = 64;
inline constexpr size_t kMaxPlaceCharacters = 128;
inline constexpr uint32_t kDefaultSelfSignedDays = 397;
inline constexpr uint32_t kMaxSelfSignedDays = 3'650;
inline constexpr size_t kMaxRequestIdOctets = 64;

// More violations than this in one request are counted, not listed: an answer has its own limit.
inline constexpr size_t kMaxViolations = 100;

// An anonymous relay for more public addresses than these is an open relay: more than any one organisation's network.
inline constexpr int kOpenRelayIpv4Prefix = 8;
inline constexpr int kOpenRelayIpv6Prefix = 32;

// DNS for administrators. Both fit into the ten seconds of a unary call.
inline constexpr std::chrono::seconds kDnsCheckTime{8};
inline constexpr std::chrono::seconds kHostLookupTime{5};
inline constexpr size_t kMaxHostNames = 100;  // Looked up for one request, each once.
inline constexpr size_t kMaxDnsCallers = 16;  // At once.

// A simulated session.
inline constexpr int kMaxSimulatedNames = 10;
inline constexpr int kMaxSimulatedRecipients = 100;
inline constexpr int kMaxSimulatedList = 1'000;  // Groups, addresses, senders of its identity.
inline constexpr size_t kMaxSimulatedLoginCharacters = 255;
inline constexpr size_t kMaxSimulatedPathCharacters = 1'000;

// Lists; their lengths are rpc/page_token's.
inline constexpr size_t kMaxPageOctets = 2 << 20;

// The watch.
inline constexpr size_t kMaxUnitOctets = 2 << 20;
inline constexpr std::chrono::seconds kHeartbeatInterval{10};
inline constexpr std::chrono::seconds kAnswerTimeout{60};
inline constexpr size_t kMaxEdges = 10'000;
inline constexpr size_t kMaxListenerReports = 10'000;
inline constexpr size_t kMaxReasonOctets = 1'024;
inline constexpr size_t kMaxListenerTextOctets = 200;  // Of each text in a listener's status: all of them fit in an answer.
inline constexpr size_t kMaxVersionOctets = 100;
inline constexpr std::chrono::hours kForgetEdgeAfter{24};

// Session ticket keys: made anew so often, valid for decryption so many generations (RFC 9325 asks for a week at most).
inline constexpr std::chrono::hours kTicketKeyLifetime{12};
inline constexpr int kTicketKeyGenerations = 2;

}  // namespace gatepost::config
