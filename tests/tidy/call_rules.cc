#include "tests/tidy/call_rules.h"

#include <cctype>
#include <string>

namespace carousel::tidy {
namespace {

struct Ban {
  std::vector<std::string> tokens;
  std::vector<std::string_view> where;  // empty: everywhere
  std::vector<std::string_view> except;
  const char* instead;
  // Lines of one file that hold a text may do it all the same.
  struct {
    std::string_view file, text;
  } line = {};
};

// "exp(" stands for std::exp( too.
std::vector<std::string> LibmCalls() {
  std::vector<std::string> calls;
  for (const char* name :
       {"exp",  "exp2",  "exp10", "expm1", "log",    "log2",   "log10", "log1p", "pow",
        "powi", "tanh",  "sinh",  "cosh",  "sin",    "cos",    "tan",   "asin",  "acos",
        "atan", "atan2", "erf",   "erfc",  "tgamma", "lgamma", "cbrt",  "hypot"}) {
    for (const char* prefix : {"", "__builtin_"}) {
      for (const char* suffix : {"(", "f(", "l("})
        calls.push_back(std::string(prefix) + name + suffix);
    }
  }
  return calls;
}

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
     {"*_main.cc", "*_benchmark.cc", "coordinator/cli/*", "cluster/check.h", "cluster/usage.cc",
      "kernels/check.h"},
     "a library returns a Status, or writes through cluster/log.h; CAROUSEL_CHECK for our own "
     "mistakes"},
    {LibmCalls(),
     {"kernels/*", "worker/*", "cluster/*"},
     {"kernels/mlstm_forms.cc",  // a cross-check in double, for tests
      "worker/inference.cc",     // a figure for people
      "worker/sampler.cc",       // text, not weights
      "cluster/data/ngram.cc"},  // a figure for people
     "libm's bits depend on the machine: use kernels/cpu/math.h (rows) or kernels/scalar_math.h "
     "(scalars)",
     // The double forms, which only tests see.
     {"kernels/cpu/math.h", "EachLane(x, [](double lane) { return __builtin_"}},
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

bool MayAllTheSame(const Ban& ban, const SourceFile& file, std::string_view line) {
  return !ban.line.text.empty() && file.path == ban.line.file &&
         line.find(ban.line.text) != std::string_view::npos;
}

}  // namespace

std::vector<Finding> CheckCalls(const SourceFile& file) {
  std::vector<Finding> findings;
  if (!file.IsCpp()) return findings;
  const std::vector<std::string_view> code = Lines(file.code);
  for (const Ban& ban : kBans) {
    if (!Applies(ban, file)) continue;
    for (size_t i = 0; i < code.size(); ++i) {
      if (MayAllTheSame(ban, file, code[i])) continue;
      for (const std::string& token : ban.tokens) {
        if (Holds(code[i], token)) {
          findings.push_back(
              {file.path, static_cast<int>(i) + 1, "no " + token + ": " + ban.instead});
        }
      }
    }
  }
  return findings;
}

std::vector<std::string_view> ExemptFromCallRules() {
  std::vector<std::string_view> exempt;
  for (const Ban& ban : kBans) {
    exempt.insert(exempt.end(), ban.except.begin(), ban.except.end());
    if (!ban.line.file.empty()) exempt.push_back(ban.line.file);
  }
  return exempt;
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
