// One connection to an LDAP server, by libldap; together with ldap_text.cc the only code that includes <ldap.h>. It lies in
// this room, not in store/: it is one program's, has no revisions to compare and nothing to watch, and answers but one
// question. Every step has a deadline, and none is left to libldap alone, whose TLS handshake waits for ever, spinning if it
// was told for how long: TLS is begun on a connection that is there already, and Expire() cuts the socket under it.
//
// Referrals are not followed. One thread uses a connection; Expire() is any thread's.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <ldap.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/auth/directory_settings.h"
#include "services/base/clock.h"

namespace gatepost::auth {

struct LdapEntry {
  std::string dn;
  std::map<std::string, std::vector<std::string>> attributes;  // by the names that were asked for

  // Empty: it has none.
  const std::vector<std::string>& Values(const std::string& attribute) const;
};

// What a search found: at most as many as were asked for, and whether there are more.
struct LdapEntries {
  std::vector<LdapEntry> entries;
  bool more = false;
};

class LdapConnection {
 public:
  // Errors of every step: DEADLINE_EXCEEDED. UNAVAILABLE: the server is gone, says that it cannot now, or its certificate is
  // not believed. FAILED_PRECONDITION: it refuses for another reason, such as a base that is not there. Then the connection
  // is closed. No text has a login in it.
  explicit LdapConnection(const base::Clock& clock);
  ~LdapConnection();
  LdapConnection(const LdapConnection&) = delete;
  LdapConnection& operator=(const LdapConnection&) = delete;

  bool is_open() const { return ldap_ != nullptr; }
  void Close();

  // Connects, and speaks TLS where `server` asks for it: with a certificate of `ca_file` (empty: the system's CAs) and the
  // server's name.
  absl::Status Open(const LdapServer& server, const std::string& ca_file, base::MonotonicTime deadline);

  // A simple bind. False: the server refuses this DN or this password; an empty one is refused here, since servers take it
  // for an anonymous bind (RFC 4513 5.1.2).
  absl::StatusOr<bool> Bind(const std::string& dn, std::string_view password, base::MonotonicTime deadline);

  absl::StatusOr<LdapEntries> Search(const std::string& base, bool subtree, const std::string& filter,
                                     const std::vector<std::string>& attributes, size_t most,
                                     base::MonotonicTime deadline);

  // Ends a step whose deadline has passed.
  void Expire(base::MonotonicTime now);
  // Ends every step, now and to come.
  void Abort();

 private:
  friend struct LdapCallbacks;
  struct FreeMessage {
    void operator()(LDAPMessage* message) const { ldap_msgfree(message); }
  };
  using Message = std::unique_ptr<LDAPMessage, FreeMessage>;

  void SetDeadline(base::MonotonicTime deadline);
  // The status of a result code that is no answer. Closes the connection.
  absl::Status Failure(std::string_view step, int code);
  // With what libldap or the server had to say of it: before there is a login.
  absl::Status NotOpened(std::string_view step, int code);
  // The answer to a request that was sent.
  absl::StatusOr<Message> Await(std::string_view step, int id, bool all, base::MonotonicTime deadline);
  // The result code of an answer.
  int CodeOf(LDAPMessage* message);

  const base::Clock& clock_;
  LDAP* ldap_ = nullptr;
  ldap_conncb callbacks_{};

  absl::Mutex mutex_;
  int socket_ ABSL_GUARDED_BY(mutex_) = -1;  // libldap's, while it is open
  base::MonotonicTime deadline_ ABSL_GUARDED_BY(mutex_) = base::MonotonicTime::max();
  bool expired_ ABSL_GUARDED_BY(mutex_) = false;  // also before there is a socket to cut
  bool aborted_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gatepost::auth
