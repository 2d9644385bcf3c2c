#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/counted.h"
#include "cluster/data/dataset.h"
#include "cluster/data/ngram.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/data_verbs.h"
#include "coordinator/cli/figures.h"
#include "coordinator/cli/progress_line.h"

namespace carousel {
namespace {

absl::StatusOr<NgramBaselines> Measure(const Dataset& dataset) {
  const CorpusPart training = dataset.Part(CorpusSide::kTraining);
  const CorpusPart held_out = dataset.Part(CorpusSide::kHeldOut);
  const int64_t total = training.token_count() + held_out.token_count();
  ProgressLine line("counting");
  return MeasureNgramBaselines(training, held_out, [&](int64_t done) {
    line.Update(done, total, absl::StrCat("of ", Grouped(total), " tokens"));
    return true;
  });
}

Outcome Baseline(const Program& program, const std::string& folder) {
  CAROUSEL_ASSIGN_OR_RETURN(const auto dataset, Dataset::OpenFolder(folder));
  if (!dataset->tokens_are_bytes()) {
    return absl::FailedPreconditionError(absl::StrCat(
        folder, ": its tokens are those of \"", dataset->manifest()->tokenizer,
        "\", not bytes, so bits per byte are not known; compare models of these tokens by the "
        "perplexity that `carousel eval` gives"));
  }
  CAROUSEL_ASSIGN_OR_RETURN(const NgramBaselines baselines, Measure(*dataset));
  if (program.output != OutputFormat::kTable) {
    PrintDocument({{"dataset", folder},
                   {"unigram_bits_per_byte", baselines.unigram_bits_per_byte},
                   {"bigram_bits_per_byte", baselines.bigram_bits_per_byte},
                   {"trigram_bits_per_byte", baselines.trigram_bits_per_byte},
                   {"predicted", baselines.predicted},
                   {"predicted_bytes", baselines.predicted_bytes}},
                  program.output);
    return ExitCode::kOk;
  }
  Table table({"MODEL", "BITS PER BYTE"});
  table.AddRow({"unigram", absl::StrFormat("%.4f", baselines.unigram_bits_per_byte)});
  table.AddRow({"bigram", absl::StrFormat("%.4f", baselines.bigram_bits_per_byte)});
  table.AddRow({"trigram", absl::StrFormat("%.4f", baselines.trigram_bits_per_byte)});
  table.Print();
  std::printf("on %s that were held out\n", Counted(baselines.predicted, "token").c_str());
  return ExitCode::kOk;
}

}  // namespace

void AddDataBaseline(CLI::App* data, Program* program) {
  auto folder = std::make_shared<std::string>();
  CLI::App* verb =
      data->add_subcommand("baseline", "What unigram, bigram and trigram models reach on it");
  verb->footer(
      "Interpolated Witten-Bell models of the training part, measured on the held-out part as\n"
      "`carousel eval` measures a checkpoint: the figures to beat.\n\n"
      "Example:\n  carousel data baseline corpus -o json");
  verb->add_option("DIR", *folder, "dataset folder")->type_name("")->required();
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return Baseline(*program, *folder); }; });
}

}  // namespace carousel
