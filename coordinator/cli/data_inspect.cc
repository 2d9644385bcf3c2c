#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cluster/counted.h"
#include "cluster/data/dataset_report.h"
#include "cluster/data/printable.h"
#include "cluster/flag_checks.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/data_verbs.h"
#include "coordinator/cli/figures.h"

namespace carousel {
namespace {

struct InspectOptions {
  std::string folder;
  int64_t sample = 400;
};

nlohmann::ordered_json ToJson(const DatasetSummary& summary) {
  const DatasetManifest& manifest = summary.manifest;
  nlohmann::ordered_json separator;  // null
  if (manifest.separator_token) separator = *manifest.separator_token;
  nlohmann::ordered_json sources = nlohmann::ordered_json::array();
  for (const DatasetSource& source : manifest.sources) {
    sources.push_back({{"path", source.path},
                       {"format", source.format},
                       {"bytes", source.content.bytes},
                       {"documents", source.documents}});
  }
  return {{"content_hash", summary.content_hash},
          {"tokenizer", manifest.tokenizer},
          {"vocabulary", manifest.vocabulary},
          {"tokens_are_bytes", manifest.tokens_are_bytes()},
          {"separator_token", separator},
          {"tokens", manifest.tokens},
          {"documents", manifest.documents},
          {"empty_documents", manifest.empty_documents},
          {"training_tokens", summary.training_tokens},
          {"held_out_tokens", summary.held_out_tokens},
          {"held_out_blocks", summary.held_out_blocks},
          {"document_tokens",
           {{"shortest", summary.documents.shortest},
            {"mean", summary.documents.mean},
            {"longest", summary.documents.longest}}},
          {"sources", sources},
          {"sample", summary.sample},
          {"sample_tokens", summary.sample_tokens}};
}

void Print(const DatasetSummary& summary) {
  const DatasetManifest& manifest = summary.manifest;
  PrintFields({
      {"tokens", absl::StrCat(Grouped(manifest.tokens), " (", manifest.tokenizer, ", vocabulary ",
                              manifest.vocabulary, ")")},
      {"documents end", manifest.separator_token
                            ? absl::StrCat("with token ", *manifest.separator_token)
                            : "where the index says, with any token"},
      {"training", Grouped(summary.training_tokens)},
      {"held out", absl::StrCat(Grouped(summary.held_out_tokens), " in ",
                                Counted(summary.held_out_blocks, "block"))},
      {"documents",
       absl::StrCat(Grouped(manifest.documents), ", of ", Grouped(summary.documents.shortest),
                    " to ", Grouped(summary.documents.longest), " tokens, mean ",
                    absl::StrFormat("%.1f", summary.documents.mean))},
      {"content hash", summary.content_hash},
  });
  std::printf("\n");
  Table sources({"SOURCE", "FORMAT", "SIZE", "DOCUMENTS"});
  for (const DatasetSource& source : manifest.sources) {
    sources.AddRow({Printable(source.path), source.format,
                    Bytes(static_cast<double>(source.content.bytes)), Grouped(source.documents)});
  }
  sources.Print();
  std::printf("\nDOCUMENT LENGTH   DOCUMENTS\n");
  for (size_t k = 0; k < summary.documents.histogram.size(); ++k) {
    if (summary.documents.histogram[k] == 0) continue;
    std::printf("%9s and more   %s\n", Grouped(int64_t{1} << k).c_str(),
                Grouped(summary.documents.histogram[k]).c_str());
  }
  if (!summary.sample.empty()) std::printf("\nIt begins:\n%s\n", summary.sample.c_str());
  if (!summary.sample_tokens.empty()) {
    std::printf("\nIts tokens are no bytes, so there is no text of them. They begin:\n%s\n",
                absl::StrJoin(summary.sample_tokens, " ").c_str());
  }
  std::fflush(stdout);
}

Outcome Inspect(const Program& program, const InspectOptions& options) {
  CAROUSEL_ASSIGN_OR_RETURN(const DatasetSummary summary,
                            InspectDataset(options.folder, options.sample));
  if (program.output == OutputFormat::kTable) {
    Print(summary);
  } else {
    PrintDocument(ToJson(summary), program.output);
  }
  return ExitCode::kOk;
}

}  // namespace

void AddDataInspect(CLI::App* data, Program* program) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* verb = data->add_subcommand("inspect", "What is in a dataset folder");
  verb->footer("Example:\n  carousel data inspect corpus --sample 1000");
  verb->add_option("DIR", options->folder, "dataset folder")->type_name("")->required();
  verb->add_option("--sample", options->sample, "tokens to show from the beginning [400]")
      ->type_name("N")
      ->check(WholeNumber(0, 1 << 20));
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return Inspect(*program, *options); }; });
}

}  // namespace carousel
