// Judges what administrators send: every violation at once, each with the path of its field.
//
// Pure functions of the message alone, safe on any message that protobuf can parse; what needs other resources (names of
// certificates, listeners of other virtual servers) is index.h's. What no edge enforces yet is a violation unless at its
// default, so that a setting is never silently without effect.
#pragma once

#include <string>
#include <string_view>

#include "gatepost/config/v1/certificate.pb.h"
#include "gatepost/config/v1/virtual_server.pb.h"
#include "services/config/host_lookup.h"
#include "services/config/violations.h"

namespace gatepost::config {

// ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$
bool IsResourceId(std::string_view id);
// `collection/{id}`
bool IsResourceName(std::string_view name, std::string_view collection);

inline constexpr std::string_view kVirtualServers = "virtualServers/";
inline constexpr std::string_view kCertificates = "certificates/";
inline constexpr std::string_view kEdges = "edges/";

// Brings a virtual server into its stored form (defaults filled in, domains as A-labels in lower case, addresses in
// canonical form, host names replaced by the addresses that `hosts` has of them) and judges it. Also sets `open_relay`.
void NormalizeAndValidate(v1::VirtualServer* server, Violations* violations, const HostAnswers& hosts = {});

// What can be judged of a certificate before its PEM is parsed. `exists`: it has a key already.
void ValidateCertificate(v1::Certificate* certificate, bool exists, Violations* violations);

// What a signing request is to be for. Violations name its fields.
void NormalizeAndValidate(v1::SigningRequest* request, Violations* violations);

// Text that administrators wrote for people: its length in characters, no control characters.
void CheckText(std::string_view text, size_t max_characters, const std::string& path, Violations* violations);

// Fields that this program does not know, and enum values it does not know: a newer client means something by them.
void RefuseUnknown(const google::protobuf::Message& message, const std::string& path, Violations* violations);

}  // namespace gatepost::config
