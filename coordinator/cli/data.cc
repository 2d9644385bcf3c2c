#include <cstdio>
#include <nlohmann/json.hpp>

#include "cluster/counted.h"
#include "cluster/data/dataset_report.h"
#include "cluster/data/held_out.h"
#include "cluster/flag_checks.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/data_verbs.h"
#include "coordinator/cli/verbs.h"

namespace carousel {

void AddHeldOutOptions(CLI::App* verb, int64_t* every, int64_t* block_tokens) {
  verb->add_option("--held-out-every", *every, "of so many blocks one is held out; 0: none [50]")
      ->type_name("N")
      ->check(WholeNumber(0, kMaxHeldOutEvery));
  verb->add_option("--held-out-block", *block_tokens, "tokens of a held-out block [65536]")
      ->type_name("N")
      ->check(WholeNumber(2, kMaxHeldOutBlock));
}

absl::Status CheckHeldOutEvery(int64_t every) {
  if (every != 1) return absl::OkStatus();
  return UsageError("--held-out-every 1: would hold everything out; 0 holds nothing out, 2 half");
}

Outcome ReportDataset(const Program& program, const std::string& folder, const std::string& done,
                      const nlohmann::ordered_json& mark) {
  CAROUSEL_ASSIGN_OR_RETURN(const DatasetSummary summary, InspectDataset(folder, 0));
  const DatasetManifest& manifest = summary.manifest;
  if (!summary.warning.empty()) {
    std::fprintf(stderr, "carousel: %s: %s\n", folder.c_str(), summary.warning.c_str());
  }
  if (program.output == OutputFormat::kTable) {
    std::printf("%s %s: %s in %s, %s of them held out\n", folder.c_str(), done.c_str(),
                Counted(manifest.tokens, "token").c_str(),
                Counted(manifest.documents, "document").c_str(),
                Grouped(summary.held_out_tokens).c_str());
    return ExitCode::kOk;
  }
  nlohmann::ordered_json document = {{"dataset", folder}};
  document.update(mark);
  document.update({{"tokens", manifest.tokens},
                   {"documents", manifest.documents},
                   {"training_tokens", summary.training_tokens},
                   {"held_out_tokens", summary.held_out_tokens},
                   {"warning", summary.warning},
                   {"content_hash", summary.content_hash}});
  PrintDocument(document, program.output);
  return ExitCode::kOk;
}

void AddData(CLI::App* app, Program* program) {
  CLI::App* verb =
      app->add_subcommand("data", "Datasets: build, import, inspect, verify, baseline");
  verb->require_subcommand(1);
  verb->footer(
      "Examples:\n"
      "  carousel data build --to corpus corpus.txt\n"
      "  carousel data import pile_text_document --to pile --vocabulary 50257\n"
      "  carousel data inspect corpus\n"
      "  carousel data baseline corpus");
  AddDataBuild(verb, program);
  AddDataImport(verb, program);
  AddDataInspect(verb, program);
  AddDataVerify(verb, program);
  AddDataBaseline(verb, program);
}

}  // namespace carousel
