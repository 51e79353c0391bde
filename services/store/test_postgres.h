// A PostgreSQL server of the test's own: a plain user's (it refuses root), in a temporary folder, on a Unix socket,
// without fsync. It ends with the test's process, whatever happens.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace gatepost::store {

class TestPostgres {
 public:
  // Starts it, if it can be.
  TestPostgres();
  ~TestPostgres();
  TestPostgres(const TestPostgres&) = delete;
  TestPostgres& operator=(const TestPostgres&) = delete;

  // Why there is none; empty: there is.
  const std::string& why_not() const { return why_not_; }

  std::string uri() const { return UriAt(folder_); }
  // The same through another folder's socket, such as a proxy's.
  static std::string UriAt(const std::string& folder);
  std::string socket_path() const;
  const std::string& folder() const { return folder_; }

  // As the superuser; what the first column of the first row says. Aborts the process if it fails.
  std::string Sql(const std::string& sql);

  void Start();
  void Stop(int signal);  // SIGINT: in order; SIGQUIT: as after a crash.
  // The server and all that it has started stand still, or go on.
  void Freeze();
  void Thaw();

 private:
  std::string folder_;
  std::string programs_;
  std::string why_not_;
  pid_t server_ = -1;
  std::vector<pid_t> frozen_;
};

}  // namespace gatepost::store
