// A program under test in a process group of its own: arguments in; exit code, stdout and stderr
// out. Every wait has a deadline, and whatever still runs at the end of the test is killed.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/cluster/temporary_folder.h"
#include "tests/coordinator/cli/carousel_process.h"

namespace carousel {

constexpr auto kPatience = std::chrono::seconds(60);

// Polls until `condition` holds; false if it does not within `patience`.
inline bool Eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds patience = kPatience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

class Program {
 public:
  explicit Program(std::vector<std::string> words) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      setpgid(0, 0);
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      Redirect(out_, STDOUT_FILENO);
      Redirect(err_, STDERR_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
    setpgid(pid_, pid_);  // whichever of us comes first
  }
  ~Program() {
    if (Running()) Kill();
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  std::string out() const { return Read(out_); }
  std::string err() const { return Read(err_); }

  void Signal(int signal) const { kill(-pid_, signal); }  // to the whole group, as a terminal does

  // kill -9, and the process is gone.
  void Kill() {
    Signal(SIGKILL);
    if (running_) waitpid(pid_, &status_, 0);
    running_ = false;
  }

  bool Running() {
    if (running_ && waitpid(pid_, &status_, WNOHANG) == pid_) running_ = false;
    return running_;
  }

  // False if it ends, or the patience does, before stdout resp. stderr has the text.
  bool WaitForOut(const std::string& text) { return WaitFor(out_, text); }
  bool WaitForErr(const std::string& text) { return WaitFor(err_, text); }

  // Code -1: it did not end in time.
  Finished Wait(std::chrono::milliseconds patience = kPatience) {
    if (!Eventually([this] { return !Running(); }, patience))
      return {-1, out(), err() + "\n(it hangs)"};
    return {WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_), out(), err()};
  }

 private:
  static void Redirect(const std::string& file, int descriptor) {
    dup2(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), descriptor);
  }
  static std::string Read(const std::string& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  }
  bool WaitFor(const std::string& file, const std::string& text) {
    const auto said = [&] { return Read(file).find(text) != std::string::npos; };
    Eventually([&] { return said() || !Running(); });
    return said();
  }

  TemporaryFolder folder_;
  const std::string out_ = folder_ / "out", err_ = folder_ / "err";
  pid_t pid_ = -1;
  bool running_ = true;
  int status_ = 0;
};

}  // namespace carousel
