// The seam behind which users of others lie: a directory says whether a password is a login's, and what else it knows of
// who that is. Our own users are not asked for here, and come first. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/auth/metrics.h"
#include "services/base/secret.h"

namespace gatepost::auth {

struct DirectoryAnswer {
  // kSuccess; kCredentials: wrong, or nobody's; kUnavailable: cannot say, which is never held against anybody.
  Outcome outcome = Outcome::kUnavailable;
  // For the log: "wrong_password", "unknown", "ambiguous", "too_many_groups", "directory", "no_slot".
  std::string_view reason = "directory";
  // `directories/{name}/users/{login}`: no `users/{id}` of ours is ever one. Also of a wrong password; empty: unknown.
  std::string user;
  // Of a success.
  std::string login;  // as the directory spells it
  bool may_submit = false;
  bool may_relay = false;
  std::vector<std::string> groups;     // `groups/{id}`, sorted, each once
  std::vector<std::string> addresses;  // its own; empty: the login is the only one
};

class Directory {
 public:
  using Done = std::function<void(DirectoryAnswer)>;

  virtual ~Directory() = default;
  // As it stands in its users' names.
  virtual std::string_view name() const = 0;
  // Whether a login that is no user of ours would be this directory's. `login_key`: prepare.h.
  virtual bool Serves(std::string_view login_key) const = 0;
  // `password`: prepared. Answers once, within 4 s, on this thread or another, unless *cancelled became true first; `done`
  // must be quick.
  virtual void Verify(std::string login_key, base::Secret password, std::shared_ptr<const std::atomic<bool>> cancelled,
                      Done done) = 0;
};

}  // namespace gatepost::auth
