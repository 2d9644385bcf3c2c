#include "coordinator/cli/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/data/file_io.h"
#include "cluster/data/printable.h"

namespace carousel {
namespace {

constexpr int kLastLines = 8;
constexpr auto kPoll = std::chrono::milliseconds(20);

void CloseRange(unsigned first, unsigned last) {
  if (first <= last) syscall(SYS_close_range, first, last, 0U);
}

// Between fork and exec: system calls only, other threads may hold any lock.
[[noreturn]] void BecomeChild(char* const* argv, pid_t parent, int log, int inherited) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before the line above
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  if (inherited > STDERR_FILENO) {
    fcntl(inherited, F_SETFD, 0);
    CloseRange(3, static_cast<unsigned>(inherited) - 1);
    CloseRange(static_cast<unsigned>(inherited) + 1, ~0U);
  } else {
    CloseRange(3, ~0U);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execv(argv[0], argv);
  constexpr char kMessage[] = "the program cannot be started\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  _exit(127);
}

// The first whole line behind byte `from` of `file` that begins with `words`.
std::optional<std::string> FindLine(const std::string& file, int64_t from,
                                    const std::string& words) {
  std::ifstream in(file);
  in.seekg(from);
  for (std::string line; std::getline(in, line) && !in.eof();) {
    if (line.starts_with(words)) return line;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(const ChildOptions& options) {
  if (access(options.argv[0].c_str(), X_OK) != 0) {
    return FileError(errno, "start", options.argv[0]);
  }
  const FileDescriptor log(
      open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (log.get() < 0) return FileError(errno, "write", options.log);
  const int64_t log_before = lseek(log.get(), 0, SEEK_END);
  std::vector<char*> argv;
  for (const std::string& argument : options.argv)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeChild(argv.data(), parent, log.get(), options.inherited);
  if (pid < 0) return FileError(errno, "start", options.argv[0]);
  setpgid(pid, pid);  // whichever of us comes first
  return std::unique_ptr<ChildProcess>(new ChildProcess(options, pid, log_before));
}

ChildProcess::~ChildProcess() { Kill(); }

bool ChildProcess::Running() {
  if (!running_) return false;
  const pid_t ended = waitpid(pid_, &wait_status_, WNOHANG);
  if (ended == pid_ || (ended < 0 && errno == ECHILD)) running_ = false;
  return running_;
}

absl::StatusOr<std::string> ChildProcess::WaitForLine(const std::string& words,
                                                      std::chrono::seconds patience,
                                                      const Abandoned& abandoned) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < until) {
    const bool ended = !Running();  // before the look at what it said, so that nothing is missed
    if (const auto line = FindLine(options_.log, log_before_, words)) return *line;
    if (ended) return absl::UnavailableError(Obituary());
    if (abandoned()) {
      return absl::CancelledError(absl::StrCat("interrupted while ", options_.name, " started"));
    }
    std::this_thread::sleep_for(kPoll);
  }
  std::string error = absl::StrCat(options_.name, " (", options_.argv[0], ") did not say '", words,
                                   "' within ", patience.count(), " s; is it the right program?");
  if (const std::string last = LastLines(options_.log, kLastLines); !last.empty()) {
    absl::StrAppend(&error, "\n", last);
  }
  return absl::UnavailableError(error);
}

void ChildProcess::RequestStop() {
  if (Running()) kill(pid_, SIGTERM);
}

void ChildProcess::WaitOrKill(std::chrono::steady_clock::time_point until) {
  while (Running() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(kPoll);
  Kill();
}

void ChildProcess::Kill() {
  if (!Running()) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, &wait_status_, 0) < 0 && errno == EINTR) {
  }
  running_ = false;
}

std::string ChildProcess::Obituary() const {
  std::string text = absl::StrCat(options_.name, " (process ", pid_, ") ");
  if (WIFSIGNALED(wait_status_)) {
    const int signal = WTERMSIG(wait_status_);
    absl::StrAppend(&text, "was killed by signal ", signal, " (", strsignal(signal), ")");
  } else {
    absl::StrAppend(&text, "ended with exit code ", WEXITSTATUS(wait_status_));
  }
  if (const std::string last = LastLines(options_.log, kLastLines); !last.empty()) {
    absl::StrAppend(&text, "\n", last);
  }
  return text;
}

std::string LastLines(const std::string& file, int lines) {
  std::ifstream in(file);
  std::vector<std::string> last;
  for (std::string line; std::getline(in, line);) {
    last.push_back(Printable(line));
    if (static_cast<int>(last.size()) > lines) last.erase(last.begin());
  }
  if (last.empty()) return "";
  std::string text = "the end of " + file + ":";
  for (const std::string& line : last) text += "\n  " + line;
  return text;
}

}  // namespace carousel
