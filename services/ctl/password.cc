#include "services/ctl/password.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <istream>
#include <string_view>

#include "services/ctl/cli.h"

namespace gatepost::ctl {
namespace {

constexpr size_t kMaxLine = 4096;

std::string FirstLine(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

// The controlling terminal, with echo off while it lives.
class QuietTerminal {
 public:
  QuietTerminal() : fd_(open("/dev/tty", O_RDWR | O_CLOEXEC)) {
    if (fd_ < 0 || tcgetattr(fd_, &before_) != 0) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet.c_lflag |= ECHONL;
    usable_ = tcsetattr(fd_, TCSAFLUSH, &quiet) == 0;
  }
  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;
  ~QuietTerminal() {
    if (usable_) tcsetattr(fd_, TCSAFLUSH, &before_);
    if (fd_ >= 0) close(fd_);
  }

  bool usable() const { return usable_; }

  std::string Ask(std::string_view prompt) {
    if (write(fd_, prompt.data(), prompt.size()) < 0) return "";
    std::string line;
    char c = 0;
    while (line.size() < kMaxLine && read(fd_, &c, 1) == 1 && c != '\n') line += c;
    return line;
  }

 private:
  int fd_;
  termios before_ = {};
  bool usable_ = false;
};

}  // namespace

absl::StatusOr<std::string> ReadPassword(const PasswordSource& source, std::istream& in) {
  if (!source.file.empty() && source.from_stdin)
    return UsageError("give --password-file or --password-stdin, not both");
  std::string password;
  if (!source.file.empty()) {
    auto text = ReadInput(source.file, in);
    if (!text.ok()) return text.status();
    password = FirstLine(*text);
  } else if (source.from_stdin) {
    std::getline(in, password);
    password = FirstLine(password);
  } else {
    QuietTerminal terminal;
    if (!terminal.usable())
      return UsageError("there is no terminal to ask for the password: give --password-file FILE or --password-stdin");
    password = terminal.Ask("Password: ");
    if (password != terminal.Ask("The same again: "))
      return UsageError("the two passwords differ: nothing was changed");
  }
  if (password.empty()) return UsageError("the password is empty: nothing was changed");
  return password;
}

}  // namespace gatepost::ctl
