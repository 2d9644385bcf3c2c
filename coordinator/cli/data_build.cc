#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cluster/counted.h"
#include "cluster/data/builder.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/data_verbs.h"
#include "coordinator/cli/figures.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/cli/progress_line.h"

namespace carousel {
namespace {

struct DataBuildOptions {
  BuildOptions build;
  std::string separator;
  bool has_separator = false;
};

Outcome Build(const Program& program, const DataBuildOptions& options) {
  CountInterrupts();
  BuildOptions build = options.build;
  CAROUSEL_RETURN_IF_ERROR(CheckHeldOutEvery(build.held_out_every));
  if (options.has_separator) build.document_separator = options.separator;
  const absl::Status already = CheckAlreadyBuilt(build);
  if (already.ok()) {
    return ReportDataset(program, build.output, "is up to date", {{"built", false}});
  }
  if (!absl::IsNotFound(already)) return already;
  {
    ProgressLine line("building");
    build.progress = [&](const BuildProgress& progress) {
      line.Update(progress.bytes_done, progress.bytes_total,
                  absl::StrCat(Counted(progress.tokens, "token"), ", ",
                               Counted(progress.documents, "document")));
      return InterruptsSoFar() == 0;
    };
    const absl::StatusOr<DatasetManifest> built = BuildDataset(build);
    if (absl::IsCancelled(built.status())) {
      return absl::CancelledError("interrupted; nothing was left behind");
    }
    CAROUSEL_RETURN_IF_ERROR(built.status());
  }
  return ReportDataset(program, build.output, "built", {{"built", true}});
}

}  // namespace

void AddDataBuild(CLI::App* data, Program* program) {
  auto options = std::make_shared<DataBuildOptions>();
  CLI::App* verb = data->add_subcommand("build", "Turn text into a dataset folder");
  verb->footer(
      "NAME.jsonl is JSON Lines, anything else plain text; with .zst appended it is decompressed "
      "on\n"
      "the way. The folder appears whole or not at all; if it is there already and holds the same "
      "text\n"
      "under the same rules, nothing is done.\n\n"
      "Examples:\n"
      "  carousel data build --to corpus book1.txt book2.txt\n"
      "  carousel data build --to web --text-field content part-*.jsonl.zst\n"
      "  carousel data build --to poems --separator '' poems.txt      empty lines separate");
  verb->add_option("INPUT", options->build.inputs, "text files, in the order of their text")
      ->type_name("")
      ->required();
  verb->add_option("--to", options->build.output, "folder to create")->type_name("DIR")->required();
  verb->add_option_function<std::string>(
          "--separator",
          [options](const std::string& line) {
            options->separator = line;
            options->has_separator = true;
          },
          "line that separates documents of plain text [each file is one document]")
      ->type_name("LINE")
      ->check(CLI::Validator(
          [](std::string& line) {
            return line.find_first_of("\r\n") == line.npos ? "" : "is more than one line";
          },
          ""));
  verb->add_option("--text-field", options->build.text_field,
                   "field of JSON Lines that holds the document [text]")
      ->type_name("NAME")
      ->check(CLI::Validator(
          [](std::string& name) { return name.empty() ? "the name is empty" : ""; }, ""));
  AddHeldOutOptions(verb, &options->build.held_out_every, &options->build.held_out_block_tokens);
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return Build(*program, *options); }; });
}

}  // namespace carousel
