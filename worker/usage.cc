#include "worker/usage.h"

#include "cluster/job/faults.h"

namespace carousel {

std::string UsageMessage(std::string_view program, std::string_view problem,
                         const std::vector<std::string>& unexpected,
                         const std::vector<std::string>& flags) {
  const std::string name(program);
  std::string message(problem);
  if (!unexpected.empty()) {
    const std::string& word = unexpected.front();
    const std::string meant =
        word.starts_with("--") ? DidYouMean(word.substr(0, word.find('=')), flags) : "";
    message = "not expected: " + Quoted(word) + (meant.empty() ? "" : "; " + meant);
  }
  while (message.ends_with('\n')) message.pop_back();
  return name + ": " + message + "\n`" + name + " --help` shows what it takes";
}

}  // namespace carousel
