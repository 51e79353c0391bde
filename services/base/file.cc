#include "services/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "services/base/random.h"
#include "services/base/strings.h"

namespace gatepost::base {
namespace {

absl::Status Error(std::string_view what, const std::string& path, int error) {
  const std::string text = StrCat(what, " ", path, ": ", std::string_view(strerrordesc_np(error)));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(ToAbsl(text));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(ToAbsl(text));
    default:
      return absl::UnavailableError(ToAbsl(text));
  }
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::StatusOr<std::string> ReadAll(const Descriptor& file, const std::string& path, size_t most) {
  std::string octets;
  char buffer[16384];
  for (;;) {
    const ssize_t n = read(file.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n > 0) octets.append(buffer, static_cast<size_t>(n));
    const int error = n < 0 ? errno : 0;
    if (n > 0 && octets.size() <= most) continue;
    explicit_bzero(buffer, sizeof buffer);
    if (n < 0) return Error("reading", path, error);
    if (n == 0) return octets;
    return absl::ResourceExhaustedError(ToAbsl(StrCat("reading ", path, ": more than ", most, " octets")));
  }
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t most) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return Error("reading", path, errno);
  return ReadAll(file, path, most);
}

absl::StatusOr<std::string> ReadSecretFile(const std::string& path, size_t most) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts{};
  if (file.get() < 0 || fstat(file.get(), &facts) != 0) return Error("reading", path, errno);
  if ((facts.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) != 0 || ((facts.st_mode & S_IRGRP) != 0 && facts.st_uid != 0))
    return absl::FailedPreconditionError(ToAbsl(StrCat(path, " may be read by others: chmod 600 it")));
  return ReadAll(file, path, most);
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view octets, unsigned mode) {
  // Random: a name left by a crash is never met again, not even by a container's process 1.
  SystemRandom random;
  const std::string temporary = StrCat(path, ".", RandomId(random, 12), ".new");
  int error = 0;
  {
    const Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (file.get() < 0) return Error("writing", temporary, errno);
    if (fchmod(file.get(), mode) != 0) error = errno;  // the umask has no say
    while (error == 0 && !octets.empty()) {
      const ssize_t n = write(file.get(), octets.data(), octets.size());
      if (n >= 0) {
        octets.remove_prefix(static_cast<size_t>(n));
      } else if (errno != EINTR) {
        error = errno;
      }
    }
    if (error == 0 && fsync(file.get()) != 0) error = errno;
  }
  if (error == 0 && rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    unlink(temporary.c_str());
    return Error("writing", path, error);
  }
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const Descriptor directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || fsync(directory.get()) != 0) return Error("writing", folder, errno);
  return absl::OkStatus();
}

}  // namespace gatepost::base
