#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cluster/data/dataset_manifest.h"
#include "cluster/data/importer.h"
#include "cluster/flag_checks.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/data_verbs.h"
#include "coordinator/cli/figures.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/cli/progress_line.h"

namespace carousel {
namespace {

// Of both files together; 0 if it cannot be told, which the import will say more about.
int64_t BytesOf(const std::string& prefix) {
  int64_t bytes = 0;
  for (const char* ending : {".bin", ".idx"}) {
    const auto file = RandomAccessFile::Open(prefix + ending);
    if (!file.ok()) return 0;
    bytes += file->size();
  }
  return bytes;
}

// What the command line alone shows to be wrong.
absl::Status Check(const ImportOptions& options) {
  for (const std::string ending : {".bin", ".idx"}) {
    if (options.prefix.ends_with(ending)) {
      const size_t name = options.prefix.size() - ending.size();
      return UsageError(
          absl::StrCat("PREFIX ", options.prefix,
                       ": give the name without .bin or .idx: ", options.prefix.substr(0, name)));
    }
  }
  if (options.separator.value_or(0) >= options.vocabulary) {
    return UsageError(absl::StrCat("--separator ", *options.separator, ": is none of --vocabulary ",
                                   options.vocabulary, "'s ids, 0 to ", options.vocabulary - 1));
  }
  const absl::Status tokenizer =
      CheckTokenizer(options.tokenizer, options.vocabulary, options.separator);
  if (!tokenizer.ok()) return UsageError(absl::StrCat("--", tokenizer.message()));
  return CheckHeldOutEvery(options.held_out_every);
}

Outcome Import(const Program& program, ImportOptions options) {
  CountInterrupts();
  CAROUSEL_RETURN_IF_ERROR(Check(options));
  {
    const int64_t total = BytesOf(options.prefix);
    ProgressLine line("importing");
    options.progress = [&](int64_t done) {
      line.Update(done, total, absl::StrCat("of ", Bytes(static_cast<double>(total))));
      return InterruptsSoFar() == 0;
    };
    const absl::StatusOr<DatasetManifest> imported = ImportDataset(options);
    if (absl::IsCancelled(imported.status())) {
      return absl::CancelledError("interrupted; nothing was left behind");
    }
    CAROUSEL_RETURN_IF_ERROR(imported.status());
  }
  const std::string how = options.link ? "linked" : "copied";
  return ReportDataset(program, options.output, absl::StrCat("imported, ", how),
                       {{"imported", how}});
}

}  // namespace

void AddDataImport(CLI::App* data, Program* program) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* verb =
      data->add_subcommand("import", "Make a dataset folder of tokens that were made elsewhere");
  verb->footer(
      "PREFIX.bin and PREFIX.idx are an indexed dataset as Megatron-LM's preprocess_data writes "
      "it.\n"
      "Every token is checked against the vocabulary, documents are those of the index. The files\n"
      "are copied, or with --link given a second name: that costs no space, but who overwrites "
      "them\n"
      "in place overwrites the dataset. The folder appears whole or not at all.\n\n"
      "What only bytes have is missing afterwards: bits per byte, `data baseline`, `generate`.\n\n"
      "Examples:\n"
      "  carousel data import pile_text_document --to pile --vocabulary 50257 --link\n"
      "  carousel data import web --to web-neox --vocabulary 50277 --tokenizer gpt-neox-20b "
      "--separator 0");
  verb->add_option("PREFIX", options->prefix, "name of the two files, without .bin and .idx")
      ->type_name("")
      ->required();
  verb->add_option("--to", options->output, "folder to create")->type_name("DIR")->required();
  verb->add_option("--vocabulary", options->vocabulary, "number of ids of the tokenizer")
      ->type_name("N")
      ->check(WholeNumber(1, INT32_MAX))
      ->required();
  verb->add_option("--tokenizer", options->tokenizer,
                   "name of the tokenizer, for people [external]")
      ->type_name("NAME");
  verb->add_option("--separator", options->separator,
                   "token that ends every document; checked [none needs to]")
      ->type_name("ID")
      ->check(WholeNumber(0, INT32_MAX));
  verb->add_flag("--link", options->link, "link the files instead of copying them");
  AddHeldOutOptions(verb, &options->held_out_every, &options->held_out_block_tokens);
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return Import(*program, *options); }; });
}

}  // namespace carousel
