#include "services/store/test_postgres.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <postgresql/libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

namespace gatepost::store {
namespace {

constexpr char kPort[] = "5432";  // Of the socket's name alone.
constexpr std::chrono::seconds kPatience{60};

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "test_postgres: %s\n", what.c_str());
  std::abort();
}

std::string FindPrograms() {
  std::string newest;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    const std::string folder = entry.path().string() + "/bin/";
    if (access((folder + "initdb").c_str(), X_OK) == 0 && folder > newest) newest = folder;
  }
  return newest;
}

// The child runs as postgres, or as nobody, if we are root.
pid_t Spawn(const std::vector<std::string>& argv, const std::string& folder) {
  std::vector<char*> pointers;
  for (const std::string& argument : argv) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const std::string log = folder + "/log";
  const bool root = geteuid() == 0;
  const passwd* user = root ? getpwnam("postgres") : nullptr;
  if (root && user == nullptr) user = getpwnam("nobody");
  const pid_t child = fork();
  if (child != 0) return child;
  if (user != nullptr && (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
    _exit(126);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);  // After setuid, which clears it.
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(out, 1);
  dup2(out, 2);
  if (chdir(folder.c_str()) != 0) _exit(126);
  execv(pointers[0], pointers.data());
  _exit(127);
}

std::string TextOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

TestPostgres::TestPostgres() : programs_(FindPrograms()) {
  if (programs_.empty()) {
    why_not_ = "PostgreSQL's server is not installed (no initdb below /usr/lib/postgresql)";
    return;
  }
  // Below /tmp: a socket's name has 107 octets at most.
  folder_ = "/tmp/gatepost-postgres-XXXXXX";
  if (mkdtemp(folder_.data()) == nullptr) Fail("no temporary folder");
  if (geteuid() == 0) {
    const passwd* user = getpwnam("postgres");
    if (user == nullptr) user = getpwnam("nobody");
    if (user == nullptr || chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0) Fail("no plain user");
  }
  const pid_t made = Spawn({programs_ + "initdb", "-D", folder_ + "/data", "-U", "gatepost", "-A", "trust", "--no-sync",
                            "-E", "UTF8", "--no-locale"},
                           folder_);
  int status = 0;
  if (waitpid(made, &status, 0) != made || status != 0) Fail("initdb: " + TextOf(folder_ + "/log"));
  Start();
}

TestPostgres::~TestPostgres() {
  if (server_ > 0) {
    Thaw();
    Stop(SIGQUIT);
  }
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::string TestPostgres::UriAt(const std::string& folder) {
  return "postgresql://gatepost@/postgres?host=" + folder + "&port=" + kPort;
}

std::string TestPostgres::socket_path() const { return folder_ + "/.s.PGSQL." + kPort; }

void TestPostgres::Start() {
  server_ = Spawn({programs_ + "postgres", "-D", folder_ + "/data", "-p", kPort, "-c", "listen_addresses=", "-c",
                   "unix_socket_directories=" + folder_, "-c", "fsync=off", "-c", "max_connections=50"},
                  folder_);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (PQping(uri().c_str()) != PQPING_OK) {
    if (waitpid(server_, nullptr, WNOHANG) == server_ || std::chrono::steady_clock::now() > end)
      Fail("the server does not start: " + TextOf(folder_ + "/log"));
    poll(nullptr, 0, 20);
  }
}

void TestPostgres::Stop(int signal) {
  kill(server_, signal);
  waitpid(server_, nullptr, 0);
  server_ = -1;
}

void TestPostgres::Freeze() {
  std::istringstream pids(Sql("SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE pid <> pg_backend_pid()"));
  frozen_ = {server_};
  for (pid_t pid; pids >> pid;) frozen_.push_back(pid);
  for (const pid_t pid : frozen_) kill(pid, SIGSTOP);
}

void TestPostgres::Thaw() {
  for (const pid_t pid : frozen_) kill(pid, SIGCONT);
  frozen_.clear();
}

std::string TestPostgres::Sql(const std::string& sql) {
  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(uri().c_str()), &PQfinish);
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection.get(), sql.c_str()), &PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) Fail(sql + ": " + PQerrorMessage(connection.get()));
  return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

}  // namespace gatepost::store
