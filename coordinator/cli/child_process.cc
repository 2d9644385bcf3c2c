#include "coordinator/cli/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
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
[[noreturn]] void BecomeChild(char* const* argv, pid_t parent, int out, int log, int inherited) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before the line above
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
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

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(const ChildOptions& options) {
  if (access(options.argv[0].c_str(), X_OK) != 0) {
    return FileError(errno, "start", options.argv[0]);
  }
  const FileDescriptor log(
      open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (log.get() < 0) return FileError(errno, "write", options.log);
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return FileError(errno, "open a pipe for", options.name);
  std::vector<char*> argv;
  for (const std::string& argument : options.argv)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeChild(argv.data(), parent, pipe_ends[1], log.get(), options.inherited);
  const int error = errno;
  close(pipe_ends[1]);
  if (pid < 0) {
    close(pipe_ends[0]);
    return FileError(error, "start", options.argv[0]);
  }
  setpgid(pid, pid);  // whichever of us comes first
  return std::unique_ptr<ChildProcess>(new ChildProcess(options, pid, pipe_ends[0]));
}

ChildProcess::~ChildProcess() {
  Kill();
  close(stdout_);
}

bool ChildProcess::Running() {
  if (!running_) return false;
  const pid_t ended = waitpid(pid_, &wait_status_, WNOHANG);
  if (ended == pid_ || (ended < 0 && errno == ECHILD)) running_ = false;
  return running_;
}

absl::StatusOr<std::string> ChildProcess::FirstLine(std::chrono::seconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  std::string line;
  while (std::chrono::steady_clock::now() < until) {
    pollfd waiting = {stdout_, POLLIN, 0};
    if (poll(&waiting, 1, 100) <= 0) continue;
    char c = 0;
    const ssize_t got = read(stdout_, &c, 1);
    if (got <= 0) {
      WaitOrKill(until);
      return absl::UnavailableError(Obituary());
    }
    if (c == '\n') return line;
    line += c;
  }
  return absl::UnavailableError(absl::StrCat(options_.name, " said nothing for ", patience.count(),
                                             " s\n", LastLines(options_.log, kLastLines)));
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
