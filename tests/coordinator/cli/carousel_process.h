// The real `carousel`, run as people run it: arguments in; exit code, stdout and stderr out.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/cluster/temporary_folder.h"

namespace carousel {

struct Finished {
  int code = -1;  // 128 + signal if it was killed
  std::string out;
  std::string err;
};

class CarouselProcess {
 public:
  // With `out`, a descriptor, stdout goes there and is not read.
  explicit CarouselProcess(const std::vector<std::string>& arguments, int out = -1) {
    const std::string root = std::filesystem::current_path();  // of the runfiles
    setenv("CAROUSEL_BIN_DIR", root.c_str(), /*overwrite=*/0);
    std::vector<std::string> words = {root + "/coordinator/cli/carousel"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      if (out >= 0) dup2(out, STDOUT_FILENO);
      if (out < 0) Redirect(out_, STDOUT_FILENO);
      Redirect(err_, STDERR_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
  }
  ~CarouselProcess() {
    if (running_) kill(pid_, SIGKILL), Wait();
  }

  void Signal(int signal) const { kill(pid_, signal); }

  bool Running() {
    if (running_ && waitpid(pid_, &status_, WNOHANG) == pid_) running_ = false;
    return running_;
  }

  // False if it ends, or a minute passes, without having said so on stderr.
  bool WaitForError(const std::string& text) {
    for (int i = 0; i < 6000 && Running(); ++i) {
      if (Read(err_).find(text) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return Read(err_).find(text) != std::string::npos;
  }

  Finished Wait() {
    if (running_) waitpid(pid_, &status_, 0);
    running_ = false;
    const int code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
    return {code, Read(out_), Read(err_)};
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

  TemporaryFolder folder_;
  const std::string out_ = folder_ / "out", err_ = folder_ / "err";
  pid_t pid_ = -1;
  bool running_ = true;
  int status_ = 0;
};

inline Finished RunCarousel(const std::vector<std::string>& arguments) {
  return CarouselProcess(arguments).Wait();
}

// A job of which a step takes some milliseconds; 4 units.
inline std::string WriteTinyJob(const std::string& path,
                                const std::string& data = "synthetic: {tokens: 20k}") {
  std::ofstream(path)
      << "name: tiny\n"
         "model: {family: xlstm, vocab_size: 257, dim: 64, num_blocks: 2, num_heads: 2}\n"
         "data: {"
      << data
      << ", sequence_length: 64, batch_size: 4}\n"
         "learning_rate: {peak: 1e-3}\n"
         "steps: 4\n"
         "numerics: {micro_batch_size: 2, chunk_length: 32}\n";
  return path;
}

// A dataset for it, some of it held out.
inline std::string BuildTinyDataset(const std::string& path) {
  std::ofstream text(path + ".txt");
  for (int i = 0; i < 1000; ++i) text << "Sentence " << i << " says " << i * i << ".\n";
  text.close();
  RunCarousel({"data", "build", "--to", path, "--held-out-every", "5", "--held-out-block", "1024",
               path + ".txt"});
  return path;
}

}  // namespace carousel
