#include "services/smtp/trace_header.h"

#include "services/base/strings.h"

namespace gatepost::smtp {
namespace {

// For a place outside comments: what names, address literals and ids are made of.
std::string Word(std::string_view text) {
  std::string safe(text);
  for (char& c : safe) {
    if (!base::IsAlnum(c) && std::string_view(".-_:[]").find(c) == std::string_view::npos) c = '?';
  }
  return safe;
}

// For a place inside a comment: nothing that ends it or begins another.
std::string CommentWord(std::string_view text) {
  std::string safe(text);
  for (char& c : safe) {
    if (c <= ' ' || c >= 0x7F || c == '(' || c == ')' || c == '\\') c = '?';
  }
  return safe;
}

std::string_view WithType(const TraceFacts& facts) {
  if (!facts.esmtp) return "SMTP";
  const bool tls = !facts.tls_version.empty();
  if (facts.smtputf8) {
    if (tls) return facts.authenticated ? "UTF8SMTPSA" : "UTF8SMTPS";
    return facts.authenticated ? "UTF8SMTPA" : "UTF8SMTP";
  }
  if (tls && facts.authenticated) return "ESMTPSA";
  if (tls) return "ESMTPS";
  return facts.authenticated ? "ESMTPA" : "ESMTP";
}

}  // namespace

std::string ReceivedField(const TraceFacts& facts) {
  bool v6 = facts.client_address.find(':') != std::string_view::npos;
  std::string literal = (v6 ? "[IPv6:" : "[") + CommentWord(facts.client_address) + "]";

  std::string out = "Received: from ";
  out += facts.client_name.empty() ? literal : Word(facts.client_name);
  out += " (";
  if (!facts.client_host.empty()) out += Word(facts.client_host) + " ";
  out +=
      literal + ")\r\n\tby " + Word(facts.fqdn) + " (Gatepost, " + CommentWord(facts.virtual_server) + ")\r\n\twith ";
  out += WithType(facts);
  if (!facts.tls_version.empty()) {
    out += " (" + CommentWord(facts.tls_version) + " cipher " + CommentWord(facts.tls_cipher) + ")";
  }
  out += "\r\n\tid " + Word(facts.id);
  if (!facts.recipient.empty()) {
    // A quoted local part may hold spaces; it is without controls already, and but for SMTPUTF8 ASCII.
    std::string recipient(facts.recipient);
    for (char& c : recipient) {
      const bool beyond_ascii = static_cast<unsigned char>(c) >= 0x80;
      if (beyond_ascii ? !facts.smtputf8 : c < ' ' || c == 0x7F) c = '?';
    }
    out += "\r\n\tfor <" + recipient + ">";
  }
  out += ";\r\n\t" + base::FormatRfc5322(facts.time) + "\r\n";
  return out;
}

}  // namespace gatepost::smtp
