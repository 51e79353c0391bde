#include "services/auth/ldap_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "services/auth/limits.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

// What a server says to a simple bind of a DN that is nobody's, or with a password that is not that one's, or of somebody
// who is locked out: as servers differ. None of them is ever "cannot say".
bool RefusesCredentials(int code) {
  switch (code) {
    case LDAP_INVALID_CREDENTIALS:
    case LDAP_NO_SUCH_OBJECT:
    case LDAP_INVALID_DN_SYNTAX:
    case LDAP_INAPPROPRIATE_AUTH:
    case LDAP_CONSTRAINT_VIOLATION:
    case LDAP_INSUFFICIENT_ACCESS:
    case LDAP_UNWILLING_TO_PERFORM:
      return true;
    default:
      return false;
  }
}

// The server, or the way to it, is not there; anything else is a matter of how it is set up.
bool IsOutage(int code) {
  switch (code) {
    case LDAP_SERVER_DOWN:
    case LDAP_CONNECT_ERROR:
    case LDAP_TIMEOUT:
    case LDAP_BUSY:
    case LDAP_UNAVAILABLE:
    case LDAP_LOCAL_ERROR:
    case LDAP_DECODING_ERROR:
      return true;
    default:
      return false;
  }
}

timeval Until(base::MonotonicTime deadline, base::MonotonicTime now) {
  const auto left = std::max<base::Duration>(deadline - now, std::chrono::milliseconds(1));
  const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
  return {seconds.count(), std::chrono::duration_cast<std::chrono::microseconds>(left - seconds).count()};
}

std::string TextOf(const berval& value) { return std::string(value.bv_val, value.bv_len); }

}  // namespace

const std::vector<std::string>& LdapEntry::Values(const std::string& attribute) const {
  static const std::vector<std::string> kNone;
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? kNone : found->second;
}

// What libldap calls when it has opened a socket, and before it closes it.
struct LdapCallbacks {
  static int Opened(LDAP* /*ldap*/, Sockbuf* buffer, LDAPURLDesc* /*url*/, sockaddr* /*address*/, ldap_conncb* self) {
    auto* connection = static_cast<LdapConnection*>(self->lc_arg);
    ber_len_t most = kMostDirectoryAnswer;
    ber_sockbuf_ctrl(buffer, LBER_SB_OPT_SET_MAX_INCOMING, &most);
    absl::MutexLock lock(&connection->mutex_);
    ber_sockbuf_ctrl(buffer, LBER_SB_OPT_GET_FD, &connection->socket_);
    return connection->expired_ || connection->aborted_ ? -1 : 0;
  }
  static void Closing(LDAP* /*ldap*/, Sockbuf* /*buffer*/, ldap_conncb* self) {
    auto* connection = static_cast<LdapConnection*>(self->lc_arg);
    absl::MutexLock lock(&connection->mutex_);
    connection->socket_ = -1;
  }
};

LdapConnection::LdapConnection(const base::Clock& clock) : clock_(clock) {
  callbacks_ = {&LdapCallbacks::Opened, &LdapCallbacks::Closing, this};
}

LdapConnection::~LdapConnection() { Close(); }

void LdapConnection::Close() {
  if (ldap_ == nullptr) return;
  {
    // Whatever is left to say is not waited for.
    absl::MutexLock lock(&mutex_);
    if (socket_ >= 0) shutdown(socket_, SHUT_RDWR);
  }
  ldap_destroy(std::exchange(ldap_, nullptr));
  absl::MutexLock lock(&mutex_);
  socket_ = -1;
  deadline_ = base::MonotonicTime::max();
}

void LdapConnection::SetDeadline(base::MonotonicTime deadline) {
  absl::MutexLock lock(&mutex_);
  deadline_ = deadline;
  expired_ = false;
}

void LdapConnection::Expire(base::MonotonicTime now) {
  absl::MutexLock lock(&mutex_);
  if (now < deadline_) return;
  expired_ = true;
  if (socket_ >= 0) shutdown(socket_, SHUT_RDWR);
}

void LdapConnection::Abort() {
  absl::MutexLock lock(&mutex_);
  aborted_ = true;
  if (socket_ >= 0) shutdown(socket_, SHUT_RDWR);
}

absl::Status LdapConnection::Failure(std::string_view step, int code) {
  Close();
  const std::string text = StrCat(step, ": ", ldap_err2string(code));
  if (code == LDAP_TIMEOUT) return absl::DeadlineExceededError(text);
  return IsOutage(code) ? absl::UnavailableError(text) : absl::FailedPreconditionError(text);
}

absl::Status LdapConnection::NotOpened(std::string_view step, int code) {
  char* diagnostic = nullptr;
  std::string text(step);
  if (ldap_ != nullptr && ldap_get_option(ldap_, LDAP_OPT_DIAGNOSTIC_MESSAGE, &diagnostic) == LDAP_SUCCESS &&
      diagnostic != nullptr) {
    if (*diagnostic != '\0') base::StrAppend(&text, " (", diagnostic, ")");
    ldap_memfree(diagnostic);
  }
  return Failure(text, code);
}

absl::Status LdapConnection::Open(const LdapServer& server, const std::string& ca_file, base::MonotonicTime deadline) {
  Close();
  if (const int code = ldap_initialize(&ldap_, server.tcp.c_str()); code != LDAP_SUCCESS) {
    ldap_ = nullptr;
    return NotOpened("initialize", code);
  }
  // Each is set, whatever a file of the machine's says.
  const int version = LDAP_VERSION3;
  const int certificate = LDAP_OPT_X_TLS_DEMAND;
  const int protocol = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2;
  const int dereference = LDAP_DEREF_NEVER;
  const int context_of_a_client = 0;
  const timeval left = Until(deadline, clock_.Now());
  bool set = true;
  const auto option = [&](int name, const void* value) {
    set = set && ldap_set_option(ldap_, name, value) == LDAP_OPT_SUCCESS;
  };
  option(LDAP_OPT_PROTOCOL_VERSION, &version);
  option(LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
  option(LDAP_OPT_RESTART, LDAP_OPT_ON);
  option(LDAP_OPT_DEREF, &dereference);
  option(LDAP_OPT_NETWORK_TIMEOUT, &left);
  option(LDAP_OPT_TIMEOUT, &left);
  option(LDAP_OPT_CONNECT_CB, &callbacks_);
  option(LDAP_OPT_X_KEEPALIVE_IDLE, &kDirectoryProbeSeconds);
  option(LDAP_OPT_X_KEEPALIVE_INTERVAL, &kDirectoryReprobeSeconds);
  option(LDAP_OPT_X_KEEPALIVE_PROBES, &kDirectoryProbes);
  option(LDAP_OPT_X_TLS_REQUIRE_CERT, &certificate);
  option(LDAP_OPT_X_TLS_PROTOCOL_MIN, &protocol);
  if (!ca_file.empty()) option(LDAP_OPT_X_TLS_CACERTFILE, ca_file.c_str());
  option(LDAP_OPT_X_TLS_NEWCTX, &context_of_a_client);
  if (!set) return NotOpened("CA file", LDAP_PARAM_ERROR);
  SetDeadline(deadline);
  if (const int code = ldap_connect(ldap_); code != LDAP_SUCCESS) return NotOpened("connect", code);
  // With a time-out set, it would spin through the handshake.
  ldap_set_option(ldap_, LDAP_OPT_NETWORK_TIMEOUT, nullptr);
  if (server.tls == LdapServer::Tls::kStartTls) {
    int id = 0;
    if (const int code = ldap_start_tls(ldap_, nullptr, nullptr, &id); code != LDAP_SUCCESS)
      return NotOpened("StartTLS", code);
    GATEPOST_ASSIGN_OR_RETURN(const Message answer, Await("StartTLS", id, /*all=*/true, deadline));
    if (const int code = CodeOf(answer.get()); code != LDAP_SUCCESS) return NotOpened("StartTLS", code);
  }
  if (server.tls != LdapServer::Tls::kNone) {
    if (const int code = ldap_install_tls(ldap_); code != LDAP_SUCCESS) return NotOpened("TLS", code);
  }
  SetDeadline(base::MonotonicTime::max());
  return absl::OkStatus();
}

absl::StatusOr<LdapConnection::Message> LdapConnection::Await(std::string_view step, int id, bool all,
                                                              base::MonotonicTime deadline) {
  timeval left = Until(deadline, clock_.Now());
  LDAPMessage* answer = nullptr;
  const int kind = ldap_result(ldap_, id, all ? LDAP_MSG_ALL : LDAP_MSG_ONE, &left, &answer);
  Message message(answer);
  if (kind == 0) return Failure(step, LDAP_TIMEOUT);
  if (kind > 0) return message;
  int code = LDAP_SERVER_DOWN;
  ldap_get_option(ldap_, LDAP_OPT_RESULT_CODE, &code);
  return Failure(step, code == LDAP_SUCCESS ? LDAP_SERVER_DOWN : code);
}

int LdapConnection::CodeOf(LDAPMessage* message) {
  int code = LDAP_OTHER;
  char* text = nullptr;
  // Also puts the server's text where Failure() finds it.
  if (ldap_parse_result(ldap_, message, &code, nullptr, &text, nullptr, nullptr, 0) != LDAP_SUCCESS)
    code = LDAP_DECODING_ERROR;
  ldap_memfree(text);
  return code;
}

absl::StatusOr<bool> LdapConnection::Bind(const std::string& dn, std::string_view password,
                                          base::MonotonicTime deadline) {
  if (dn.empty() || password.empty() || dn.find('\0') != dn.npos) return false;
  SetDeadline(deadline);
  berval credentials{password.size(), const_cast<char*>(password.data())};
  int id = 0;
  if (const int code =
          ldap_sasl_bind(ldap_, dn.c_str(), LDAP_SASL_SIMPLE, &credentials, nullptr, nullptr, &id);
      code != LDAP_SUCCESS) {
    return Failure("bind", code);
  }
  GATEPOST_ASSIGN_OR_RETURN(const Message answer, Await("bind", id, /*all=*/true, deadline));
  const int code = CodeOf(answer.get());
  if (code != LDAP_SUCCESS && !RefusesCredentials(code)) return Failure("bind", code);
  SetDeadline(base::MonotonicTime::max());
  return code == LDAP_SUCCESS;
}

absl::StatusOr<LdapEntries> LdapConnection::Search(const std::string& base, bool subtree, const std::string& filter,
                                                   const std::vector<std::string>& attributes, size_t most,
                                                   base::MonotonicTime deadline) {
  SetDeadline(deadline);
  std::vector<char*> names;
  for (const std::string& attribute : attributes) names.push_back(const_cast<char*>(attribute.c_str()));
  names.push_back(nullptr);
  timeval left = Until(deadline, clock_.Now());
  int id = 0;
  if (const int code =
          ldap_search_ext(ldap_, base.c_str(), subtree ? LDAP_SCOPE_SUBTREE : LDAP_SCOPE_ONELEVEL, filter.c_str(),
                          names.data(), /*attrsonly=*/0, nullptr, nullptr, &left, static_cast<int>(most), &id);
      code != LDAP_SUCCESS) {
    return Failure("search", code);
  }
  LdapEntries found;
  // One at a time, so that a server that ignores the limit costs no memory.
  while (true) {
    GATEPOST_ASSIGN_OR_RETURN(const Message message, Await("search", id, /*all=*/false, deadline));
    const int kind = ldap_msgtype(message.get());
    if (kind == LDAP_RES_SEARCH_RESULT) {
      const int code = CodeOf(message.get());
      if (code == LDAP_SIZELIMIT_EXCEEDED) {
        found.more = true;
      } else if (code != LDAP_SUCCESS) {
        return Failure("search", code);
      }
      break;
    }
    if (kind != LDAP_RES_SEARCH_ENTRY) continue;  // a referral: not followed
    if (found.entries.size() >= most) {
      found.more = true;
      ldap_abandon_ext(ldap_, id, nullptr, nullptr);
      break;
    }
    LdapEntry entry;
    if (char* dn = ldap_get_dn(ldap_, message.get()); dn != nullptr) {
      entry.dn = dn;
      ldap_memfree(dn);
    }
    for (const std::string& attribute : attributes) {
      berval** values = ldap_get_values_len(ldap_, message.get(), attribute.c_str());
      if (values == nullptr) continue;
      for (berval** value = values; *value != nullptr; ++value) entry.attributes[attribute].push_back(TextOf(**value));
      ldap_value_free_len(values);
    }
    found.entries.push_back(std::move(entry));
  }
  SetDeadline(base::MonotonicTime::max());
  return found;
}

}  // namespace gatepost::auth
