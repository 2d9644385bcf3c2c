#include <bit>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/counted.h"
#include "cluster/data/dataset_manifest.h"
#include "cluster/data/held_out.h"
#include "cluster/job/contract.h"
#include "cluster/job/job_file.h"
#include "cluster/job/model_layout.h"
#include "cluster/job/presets.h"
#include "cluster/job/resolve.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/figures.h"
#include "coordinator/cli/message_json.h"
#include "coordinator/cli/verbs.h"

namespace carousel {
namespace {

using nlohmann::ordered_json;

struct ValidateOptions {
  JobFileOptions job;
  bool presets = false;
  bool resolved = false;
  bool no_data = false;
};

// A preset resolved as in a job that says nothing else of its model.
absl::StatusOr<ModelSpec> ResolvedPreset(const Preset& preset) {
  JobSpec job;
  job.set_name("preset");
  job.mutable_model()->set_preset(preset.name);
  *job.mutable_model()->mutable_slstm_at() = preset.model.slstm_at();
  job.mutable_data()->mutable_synthetic();
  job.mutable_data()->set_sequence_length(64);
  job.mutable_data()->set_batch_size(1);
  job.mutable_learning_rate()->set_peak(1e-3);
  job.set_steps(1);
  CAROUSEL_ASSIGN_OR_RETURN(const JobSpec resolved, ResolveJob(job));
  return resolved.model();
}

Outcome ShowPresets(OutputFormat format) {
  Table table({"PRESET", "PARAMETERS", "BLOCKS", "WIDTH", "SLSTM AT", "DESCRIPTION"});
  ordered_json document = ordered_json::array();
  for (const Preset& preset : Presets()) {
    CAROUSEL_ASSIGN_OR_RETURN(const ModelSpec model, ResolvedPreset(preset));
    const int64_t parameters = LayOut(model).Elements();
    std::string slstm;
    for (const int64_t at : model.slstm_at()) absl::StrAppend(&slstm, slstm.empty() ? "" : ",", at);
    table.AddRow({preset.name, Grouped(parameters), absl::StrCat(model.num_blocks()),
                  absl::StrCat(model.dim()), slstm.empty() ? "-" : slstm, preset.description});
    document.push_back({{"preset", preset.name},
                        {"parameters", parameters},
                        {"description", preset.description},
                        {"model", ToJsonDocument(model)}});
  }
  if (format == OutputFormat::kTable) {
    table.Print();
  } else {
    PrintDocument(document, format);
  }
  return ExitCode::kOk;
}

std::string DataText(const DataSpec& data) {
  if (data.has_dataset()) {
    return absl::StrCat(data.dataset(), data.has_dataset_digest() ? "" : " (not looked at)");
  }
  return absl::StrCat("synthetic, ", Grouped(data.synthetic().tokens()), " tokens, seed ",
                      data.synthetic().seed());
}

std::string BlocksText(const ModelSpec& model) {
  if (model.family() == XLSTM_LARGE) return absl::StrCat(model.num_blocks(), " mLSTM");
  return absl::StrCat(model.num_blocks() - model.slstm_at_size(), " mLSTM, ", model.slstm_at_size(),
                      " sLSTM");
}

// What a reader of the job wants to have worked out. Sums in G leaves keep log2(G) further sets of
// gradients (worker/README.md).
ordered_json Summary(const JobSpec& job) {
  const ModelLayout layout = LayOut(job.model());
  const int64_t tokens_a_step = job.data().batch_size() * job.data().sequence_length();
  const int64_t leaves = GradientLeaves(job.numerics().max_replicas());
  return {{"name", job.name()},
          {"parameters", layout.Elements()},
          {"units", UnitCount(job.model())},
          {"state_bytes", 3 * layout.Bytes()},
          {"steps", job.steps()},
          {"tokens_per_step", tokens_a_step},
          {"tokens", tokens_a_step * job.steps()},
          {"micro_batches", MicroBatches(job)},
          {"gradient_leaves", leaves},
          {"gradient_leaf_bytes", std::countr_zero(static_cast<uint64_t>(leaves)) * layout.Bytes()},
          {"contract", ContractHash(job)}};
}

void PrintSummary(const JobSpec& job, const ordered_json& summary) {
  const auto number = [&](const char* key) { return summary[key].get<int64_t>(); };
  PrintFields({
      {"job", job.name()},
      {"model", absl::StrCat(BlocksText(job.model()), " blocks of width ", job.model().dim(), ", ",
                             number("units"), " units")},
      {"parameters", Grouped(number("parameters"))},
      {"state", absl::StrCat(Bytes(static_cast<double>(number("state_bytes"))),
                             " of weights and moments, the size of a checkpoint")},
      {"data", DataText(job.data())},
      {"steps",
       absl::StrCat(Grouped(job.steps()), " of ", job.data().batch_size(), " sequences of ",
                    job.data().sequence_length(), " tokens (", number("micro_batches"),
                    " micro-batches of ", job.numerics().micro_batch_size(), ")")},
      {"tokens", absl::StrCat(Grouped(number("tokens")), ", ", Grouped(number("tokens_per_step")),
                              " a step")},
      {"gradient leaves", absl::StrCat(number("gradient_leaves"), " (numerics.max_replicas ",
                                       job.numerics().max_replicas(), "): ",
                                       Bytes(static_cast<double>(number("gradient_leaf_bytes"))),
                                       " of further gradients over all stages")},
      {"contract", summary["contract"].get<std::string>()},
  });
}

// What is no fault, but will be missed later.
std::string DataWarning(const DataSpec& data) {
  const absl::StatusOr<DatasetManifest> manifest = ReadManifest(data.dataset());
  if (!manifest.ok()) return {};
  const std::string warning = HeldOutWarning(manifest->held_out, manifest->tokens);
  return warning.empty() ? "" : absl::StrCat("data.dataset: ", data.dataset(), ": ", warning);
}

Outcome Validate(const Program& program, const ValidateOptions& options) {
  if (options.presets) return ShowPresets(program.output);
  if (options.job.file.empty()) {
    return UsageError("validate: FILE is missing: the job file, or --presets");
  }
  CAROUSEL_ASSIGN_OR_RETURN(const JobSpec job, LoadJob(options.job, !options.no_data));
  const std::string warning =
      job.data().has_dataset() && !options.no_data ? DataWarning(job.data()) : "";
  if (!warning.empty()) std::fprintf(stderr, "carousel: %s\n", warning.c_str());
  if (options.resolved && program.output != OutputFormat::kJson) {
    std::fputs(JobToYaml(job).c_str(), stdout);
    return ExitCode::kOk;
  }
  ordered_json summary = Summary(job);
  if (program.output == OutputFormat::kTable) {
    PrintSummary(job, summary);
    return ExitCode::kOk;
  }
  summary["warning"] = warning;
  summary["spec"] = ToJsonDocument(job);
  PrintDocument(summary, program.output);
  return ExitCode::kOk;
}

}  // namespace

void AddValidate(CLI::App* app, Program* program) {
  auto options = std::make_shared<ValidateOptions>();
  CLI::App* verb = app->add_subcommand("validate", "Check a job file and say what the job is");
  verb->footer(
      "Needs no coordinator. All faults are reported at once, each with its place and the way\n"
      "out.\n\n"
      "Examples:\n"
      "  carousel validate cluster/jobs/smoke.yaml\n"
      "  carousel validate job.yaml --resolved > resolved.yaml    every default written out\n"
      "  carousel validate cluster/jobs/xlstm-7b.yaml --no-data   away from the dataset\n"
      "  carousel validate --presets");
  AddJobFileOptions(verb, &options->job);
  verb->get_option("FILE")->required(false);
  verb->add_flag("--presets", options->presets, "list the presets for model.preset");
  verb->add_flag("--resolved", options->resolved, "print the job with every default written out");
  verb->add_flag("--no-data", options->no_data, "do not look at the dataset");
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return Validate(*program, *options); }; });
}

}  // namespace carousel
