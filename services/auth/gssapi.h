// GSSAPI (RFC 4752) by MIT Kerberos with a keytab: krb5 alone, no security layer. Channel bindings are
// tls-server-end-point. The keytab is read for each exchange, so that a new one is in force at once.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/sasl/mechanism.h"

namespace gatepost::auth {

// Which mail domain the users of a realm have.
struct RealmDomain {
  std::string realm;
  std::string domain;
};

struct GssapiOptions {
  sasl::BindingMode binding = sasl::BindingMode::kOff;
  std::string end_point;  // tls-server-end-point; empty: the connection has none
  std::vector<RealmDomain> realms;
};

// Thread-safe.
class GssapiServer {
 public:
  // `keytab`: a file, with keys of smtp/HOST; empty: GSSAPI is not served. `replay_cache`: as krb5's rcache name,
  // `file2:/path`; empty: the library's own.
  GssapiServer(std::string keytab, std::string replay_cache);

  // Whether there is a keytab that can be read, with a key of smtp/HOST. It is read when the file has changed: asking
  // again costs a stat().
  bool Available() const;
  std::unique_ptr<sasl::Mechanism> Make(GssapiOptions options) const;

 private:
  const std::string keytab_;
  const std::string replay_cache_;
  // What the answer was given for: the file's number, its size, and when it was changed last in any way.
  using FileState = std::array<int64_t, 4>;
  mutable absl::Mutex mutex_;
  mutable FileState seen_ ABSL_GUARDED_BY(mutex_) = {};
  mutable bool available_ ABSL_GUARDED_BY(mutex_) = false;
};

// The login of a principal: `alice@EXAMPLE.COM` by a map of EXAMPLE.COM to example.com is alice@example.com. Empty: the
// realm is not in the map, or it is an instance (`a/b`), or has an escaped character.
std::string LoginOfPrincipal(std::string_view principal, const std::vector<RealmDomain>& realms);

}  // namespace gatepost::auth
