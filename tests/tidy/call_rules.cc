#include "tests/tidy/call_rules.h"

#include <cctype>
#include <string>

namespace carousel::tidy {
namespace {

struct Ban {
  std::vector<std::string_view> tokens;
  std::vector<std::string_view> where;  // empty: everywhere
  std::vector<std::string_view> except;
  const char* instead;
};
const std::vector<Ban> kBans = {
    {{"rand(", "srand(", "rand_r(", "drand48(", "std::rand"},
     {},
     {},
     "use cluster/data/keyed_random.h or kernels/philox.h"},
    {{"assert("},
     {},
     {},
     "use CAROUSEL_CHECK (cluster/check.h) or KERNEL_CHECK (kernels/check.h): it stays in -c opt"},
    {{"using namespace"}, {}, {}, "name what you use"},
    {{"printf(", "fprintf(", "puts(", "std::cout", "std::cerr", "perror("},
     {"kernels/*", "cluster/*", "coordinator/*", "worker/*"},
     {"*_main.cc", "*_benchmark.cc", "coordinator/cli/*", "cluster/check.h", "kernels/check.h"},
     "a library returns a Status, or writes through cluster/log.h; CAROUSEL_CHECK for our own "
     "mistakes"},
    {{"std::exp(",   "std::exp2(",  "std::expm1(",  "std::log(",    "std::log2(",
      "std::log10(", "std::log1p(", "std::pow(",    "std::tanh(",   "std::sinh(",
      "std::cosh(",  "std::sin(",   "std::cos(",    "std::tan(",    "std::atan(",
      "std::erf(",   "std::erfc(",  "std::tgamma(", "std::lgamma(", "std::cbrt(",
      "std::hypot(", "expf(",       "logf(",        "powf(",        "tanhf("},
     {"kernels/*", "worker/*", "cluster/*"},
     {"kernels/mlstm_forms.cc",  // a cross-check in double, for tests
      "kernels/*_benchmark.cc",  //
      "worker/inference.cc",     // a figure for people
      "worker/sampler.cc",       // text, not weights
      "cluster/data/ngram.cc",   // a figure for people
      "cluster/metrics*"},
     "libm's bits depend on the machine: use kernels/cpu/math.h (rows) or kernels/scalar_math.h "
     "(scalars)"},
    {{"std::reduce", "std::transform_reduce", "std::execution", "std::atomic<float>",
      "std::atomic<double>"},
     {},
     {},
     "the order of a sum is part of the contract: add in one fixed order"},
    {{"absl::string_view", "absl::optional", "absl::variant", "absl::any"},
     {"*.h"},
     {},
     "the std:: type in our interfaces (Debian's absl types are others)"},
    {{"std::stoi(", "std::stol(", "std::stoll(", "std::stod(", "std::stof(", "atoi(", "atof("},
     {},
     {"tests/*"},
     "absl::SimpleAtoi or absl::SimpleAtod: they say when the text is no number"},
    {{"std::this_thread::sleep_for", "usleep("},
     {"coordinator/*", "cluster/*", "kernels/*", "worker/*"},
     {"coordinator/service.cc", "worker/session.cc", "kernels/cpu/test_backend.cc",
      "coordinator/cli/*", "*_main.cc"},
     "wait for the event, not for a while"},
};

// From this line on kernels/cpu/math.h holds the double forms, which only tests see.
constexpr std::string_view kTestsOnly = "// --- double: for tests ---";

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// `token` as a whole word.
bool Holds(std::string_view line, std::string_view token) {
  for (size_t at = line.find(token); at != std::string_view::npos; at = line.find(token, at + 1)) {
    const size_t end = at + token.size();
    const bool begins = at == 0 || !IsWord(line[at - 1]);
    const bool ends = !IsWord(token.back()) || end == line.size() || !IsWord(line[end]);
    if (begins && ends) return true;
  }
  return false;
}

bool Applies(const Ban& ban, const SourceFile& file) {
  return (ban.where.empty() || MatchesAny(ban.where, file.path)) &&
         !MatchesAny(ban.except, file.path);
}

}  // namespace

std::vector<Finding> CheckCalls(const SourceFile& file) {
  std::vector<Finding> findings;
  if (!file.IsCpp()) return findings;
  const std::vector<std::string_view> code = Lines(file.code), text = Lines(file.text);
  for (const Ban& ban : kBans) {
    if (!Applies(ban, file)) continue;
    for (size_t i = 0; i < code.size() && !text[i].starts_with(kTestsOnly); ++i) {
      for (std::string_view token : ban.tokens) {
        if (Holds(code[i], token)) {
          findings.push_back({file.path, static_cast<int>(i) + 1,
                              "no " + std::string(token) + ": " + ban.instead});
        }
      }
    }
  }
  return findings;
}

std::vector<Finding> CheckWords(const SourceFile& file) {
  std::vector<Finding> findings;
  if (file.path.starts_with("tests/tidy/")) return findings;  // has to name them
  int number = 0;
  for (std::string_view line : Lines(file.text)) {
    ++number;
    for (std::string_view note : {"TODO", "FIXME", "XXX"}) {
      if (Holds(line, note))
        findings.push_back(
            {file.path, number, "no " + std::string(note) + ": do it, or open an issue"});
    }
    for (std::string_view path : {"/work/", "/home/", "/root/", "/Users/"}) {
      const size_t at = line.find(path);
      const bool absolute =
          at != std::string_view::npos &&
          (at == 0 || (!IsWord(line[at - 1]) && line[at - 1] != '.' && line[at - 1] != '}'));
      if (absolute) {
        findings.push_back(
            {file.path, number,
             "a path of one machine: take it from a flag, the environment or the runfiles"});
      }
    }
  }
  return findings;
}

std::vector<Finding> CheckHeader(const SourceFile& file) {
  std::vector<Finding> findings;
  if (!file.IsHeader()) return findings;
  if (!file.text.starts_with("// ")) {
    findings.push_back(
        {file.path, 1,
         "begin with a comment that says what this is: a header is the manual of its source"});
  }
  if (file.text.find("\n#pragma once\n") == std::string::npos) {
    findings.push_back({file.path, 0, "has no #pragma once"});
  }
  return findings;
}

}  // namespace carousel::tidy
