// A program as a shell sees it: what it says and how it exits.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace carousel {

struct Exit {
  int code = -1;
  std::string out, err;
};

// Runs a command line to its end. It says little: stderr is read after stdout is closed.
inline Exit RunInShell(const std::string& command, const std::string& scratch) {
  Exit exit;
  const auto read = [](FILE* file) {
    std::string text;
    std::array<char, 4096> bytes;
    while (size_t size = fread(bytes.data(), 1, bytes.size(), file))
      text.append(bytes.data(), size);
    return text;
  };
  FILE* program = popen((command + " 2>" + scratch).c_str(), "r");
  exit.out = read(program);
  const int status = pclose(program);
  if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
  if (FILE* said = fopen(scratch.c_str(), "r"); said != nullptr) {
    exit.err = read(said);
    fclose(said);
  }
  return exit;
}

}  // namespace carousel
