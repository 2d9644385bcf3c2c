#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cluster/counted.h"
#include "cluster/data/dataset_manifest.h"
#include "cluster/data/dataset_report.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/data_verbs.h"
#include "coordinator/cli/figures.h"
#include "coordinator/cli/progress_line.h"

namespace carousel {
namespace {

Outcome Verify(const Program& program, const std::string& folder) {
  CAROUSEL_ASSIGN_OR_RETURN(const DatasetManifest manifest, ReadManifest(folder));
  const int64_t total = 2 * manifest.bin.bytes + manifest.idx.bytes;
  ProgressLine line("verifying");
  CAROUSEL_ASSIGN_OR_RETURN(const VerifyReport report, VerifyDataset(folder, [&](int64_t done) {
                              line.Update(done, total,
                                          absl::StrCat("of ", Bytes(static_cast<double>(total))));
                              return true;
                            }));
  line.Clear();
  if (program.output != OutputFormat::kTable) {
    PrintDocument({{"dataset", folder},
                   {"unharmed", report.problems.empty()},
                   {"bytes_checked", report.bytes_checked},
                   {"problems", report.problems}},
                  program.output);
  } else if (report.problems.empty()) {
    std::printf("%s is unharmed: %s in %s\n", folder.c_str(),
                Counted(manifest.tokens, "token").c_str(),
                Counted(manifest.documents, "document").c_str());
  }
  if (report.problems.empty()) return ExitCode::kOk;
  std::string text = absl::StrCat(folder, " is damaged:");
  for (const std::string& problem : report.problems) absl::StrAppend(&text, "\n  ", problem);
  return absl::DataLossError(
      absl::StrCat(text, "\nremove the folder and make it again from its sources"));
}

}  // namespace

void AddDataVerify(CLI::App* data, Program* program) {
  auto folder = std::make_shared<std::string>();
  CLI::App* verb = data->add_subcommand("verify", "Check every byte of a dataset folder");
  verb->footer(
      "Exit code 3, with every problem, if it is not as it was built.\n\n"
      "Example:\n  carousel data verify corpus");
  verb->add_option("DIR", *folder, "dataset folder")->type_name("")->required();
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return Verify(*program, *folder); }; });
}

}  // namespace carousel
