// golden_test [--dir DIR] [--only TEXT] [--tensors]: our numbers beside the original authors'.
//
// Runs every case NAME.f64.safetensors of a folder (without --dir: the small set of this one) in
// double against tight tolerances and in float, on every instruction set of this machine, against
// the float errors of the reference itself. One line a run, its worst error beside what is allowed,
// outputs and gradients apart; the count at the end; exit code 0 if all passed and there was one.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/status_macros.h"
#include "kernels/backend.h"
#include "tests/golden/cases.h"
#include "tests/golden/compare.h"
#include "tests/golden/golden_file.h"
#include "tests/golden/tolerance.h"

namespace carousel::golden {
namespace {

using RunCase = absl::Status (*)(const GoldenFile&, Device&, Comparison&);

const std::map<std::string, RunCase>& Kinds() {
  static const std::map<std::string, RunCase> kinds = {
      {"mlstm_cell", RunMlstmCell}, {"slstm_cell", RunSlstmCell},  {"block_orig", RunBlock},
      {"block_large", RunBlock},    {"lm_orig", RunLanguageModel}, {"lm_large", RunLanguageModel},
      {"traj_orig", RunTrajectory}, {"traj_large", RunTrajectory},
  };
  return kinds;
}

struct Options {
  std::string dir;
  std::string only;      // cases whose name has this text in it
  bool tensors = false;  // list every tensor
};

struct Path {
  std::string name;
  kernels::Isa isa;
};

// The instruction sets of this machine, or the one that CAROUSEL_ISA names; the fastest first.
absl::StatusOr<std::vector<Path>> Paths() {
  const char* given = std::getenv("CAROUSEL_ISA");
  const std::string wish = given == nullptr ? "" : given;
  CAROUSEL_RETURN_IF_ERROR(kernels::ChooseIsa().status());
  std::vector<Path> paths;
  for (const char* name : {"avx512", "avx2", "scalar"}) {
    if (!wish.empty() && wish != name) continue;
    setenv("CAROUSEL_ISA", name, /*overwrite=*/1);
    const absl::StatusOr<kernels::Isa> isa = kernels::ChooseIsa();
    if (isa.ok()) paths.push_back({name, *isa});
  }
  return paths;
}

class Report {
 public:
  explicit Report(const Options& options) : options_(options) {}

  void Failed(const std::string& name, const std::string& run, const std::string& why) {
    ++failed_;
    absl::PrintF("FAIL  %-26s %-10s %s\n", name, run, why);
  }

  // With `complete`, every result of the file must have been compared.
  void Judged(const GoldenFile& file, const std::string& run, const Comparison& comparison,
              const Tolerance& tolerance, bool complete) {
    const std::map<Group, GroupResult> results = comparison.Judge(tolerance);
    std::vector<std::string> forgotten;
    if (complete) forgotten = comparison.Forgotten();
    bool passed = !results.empty();
    std::string line;
    for (const auto& [group, result] : results) {
      passed &= result.passed();
      absl::StrAppendFormat(&line, "  %s %.1e of %.1e (%d, %s)", NameOf(group), result.worst,
                            result.allowed, result.tensors, result.where);
    }
    if (options_.tensors) PrintTensors(comparison);
    if (!forgotten.empty()) {
      return Failed(
          file.name(), run,
          absl::StrCat(forgotten.size(), " results are not compared, the first is ", forgotten[0]));
    }
    if (!passed) return Failed(file.name(), run, line);
    ++passed_;
    absl::PrintF("ok    %-26s %-10s%s\n", file.name(), run, line);
    std::fflush(stdout);
  }

  int Finish() const {
    absl::PrintF("%d passed, %d failed\n", passed_, failed_);
    return failed_ == 0 && passed_ > 0 ? 0 : 1;
  }

 private:
  static void PrintTensors(const Comparison& comparison) {
    for (const Comparison::Entry& entry : comparison.Errors()) {
      absl::PrintF("      %-9s %.2e  of max %.2e  %s\n", NameOf(entry.group), entry.error,
                   entry.magnitude, entry.name);
    }
  }

  const Options options_;
  int passed_ = 0, failed_ = 0;
};

absl::StatusOr<Comparison> Run(const GoldenFile& file, RunCase run_case, kernels::Isa isa,
                               kernels::DType dtype) {
  const std::unique_ptr<kernels::Backend> backend = kernels::NewCpuBackend(isa, /*threads=*/1);
  Device device(backend.get(), dtype);
  Comparison comparison(&file);
  CAROUSEL_RETURN_IF_ERROR(run_case(file, device, comparison));
  return comparison;
}

void RunFile(const std::string& path, const std::vector<Path>& paths,
             const FloatErrors& float_errors, Report& report) {
  const absl::StatusOr<GoldenFile> file = GoldenFile::Open(path);
  if (!file.ok()) return report.Failed(path, "", std::string(file.status().message()));
  const auto kind = Kinds().find(file->kind());
  if (kind == Kinds().end()) {
    return report.Failed(file->name(), "", absl::StrCat("unknown kind \"", file->kind(), "\""));
  }
  const absl::StatusOr<Tolerance> float_tolerance = float_errors.For(*file);
  for (const auto& [isa_name, isa] : paths) {
    for (kernels::DType dtype : {kernels::DType::kF64, kernels::DType::kF32}) {
      const bool wide = dtype == kernels::DType::kF64;
      const std::string run = absl::StrCat(wide ? "f64 " : "f32 ", isa_name);
      if (!wide && !float_tolerance.ok()) {
        report.Failed(file->name(), run, std::string(float_tolerance.status().message()));
        continue;
      }
      const absl::StatusOr<Comparison> comparison = Run(*file, kind->second, isa, dtype);
      if (!comparison.ok()) {
        report.Failed(file->name(), run, std::string(comparison.status().message()));
        continue;
      }
      report.Judged(*file, run, *comparison, wide ? DoubleTolerance(*file) : *float_tolerance,
                    /*complete=*/wide);
    }
  }
}

// The cases of a folder by name. Other files, and folders, are none of ours.
absl::StatusOr<std::vector<std::string>> CasesIn(const Options& options) {
  constexpr std::string_view kEnding = ".f64.safetensors";
  std::error_code error;
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(options.dir, error)) {
    const std::string name = entry.path().filename().string();
    const bool ends = name.size() > kEnding.size() &&
                      name.compare(name.size() - kEnding.size(), kEnding.size(), kEnding) == 0;
    if (!ends || entry.is_directory(error)) continue;
    if (name.find(options.only) != std::string::npos) paths.push_back(entry.path().string());
  }
  if (error) {
    return absl::NotFoundError(absl::StrCat("--dir ", options.dir, ": ", error.message()));
  }
  if (paths.empty()) {
    return absl::NotFoundError(
        absl::StrCat("--dir ", options.dir, ": no case there (NAME", std::string(kEnding), ")"));
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// What comes with the test: beside it when Bazel runs it, in its runfiles when a person does.
std::string OwnData(const std::string& program) {
  const std::string folder = "tests/golden/data";
  if (std::filesystem::is_directory(folder)) return folder;
  return program + ".runfiles/carousel/" + folder;
}

std::optional<Options> ParseOptions(int argc, char** argv) {
  Options options;
  options.dir = OwnData(argv[0]);
  for (int a = 1; a < argc; ++a) {
    const std::string argument = argv[a];
    const bool has_value = a + 1 < argc;
    if (argument == "--tensors") {
      options.tensors = true;
    } else if (argument == "--dir" && has_value) {
      options.dir = argv[++a];
    } else if (argument == "--only" && has_value) {
      options.only = argv[++a];
    } else {
      absl::FPrintF(stderr,
                    "golden_test: \"%s\" is not understood\n"
                    "usage: golden_test [--dir DIR] [--only TEXT] [--tensors]\n",
                    argument);
      return std::nullopt;
    }
  }
  return options;
}

int Main(int argc, char** argv) {
  const std::optional<Options> options = ParseOptions(argc, argv);
  if (!options.has_value()) return 2;
  const absl::StatusOr<std::vector<std::string>> cases = CasesIn(*options);
  const absl::StatusOr<FloatErrors> float_errors = FloatErrors::Load(options->dir);
  const absl::StatusOr<std::vector<Path>> paths = Paths();
  for (const absl::Status& status : {cases.status(), float_errors.status(), paths.status()}) {
    if (status.ok()) continue;
    absl::FPrintF(stderr, "golden_test: %s\n", std::string(status.message()));
    return 1;
  }
  Report report(*options);
  for (const std::string& path : *cases) RunFile(path, *paths, *float_errors, report);
  return report.Finish();
}

}  // namespace
}  // namespace carousel::golden

int main(int argc, char** argv) { return carousel::golden::Main(argc, argv); }
