// train_local: a job in one process, for reading, debugging and comparing bits. The service must
// repeat what it prints.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cluster/data/dataset_probe.h"
#include "cluster/job/contract.h"
#include "cluster/job/job_file.h"
#include "cluster/status_macros.h"
#include "cluster/version.h"
#include "kernels/backend.h"
#include "worker/local_trainer.h"
#include "worker/usage.h"

namespace carousel {
namespace {

struct Options {
  std::string file;
  std::string steps;
  int threads = 1;
  std::string backend = "cpu";
  std::string output = "text";
  std::vector<std::string> overrides;
};

absl::StatusOr<JobSpec> LoadJob(const Options& options) {
  std::vector<Override> overrides;
  for (const std::string& assignment : options.overrides) {
    CAROUSEL_ASSIGN_OR_RETURN(Override override, ParseOverride(assignment));
    overrides.push_back(std::move(override));
  }
  if (!options.steps.empty()) overrides.push_back(StepsOverride(options.steps));
  return LoadJobFile(options.file, overrides, {.probe_dataset = ProbeDataset});
}

absl::Status Train(const Options& options) {
  CAROUSEL_ASSIGN_OR_RETURN(const JobSpec job, LoadJob(options));
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<kernels::Backend> backend,
                            kernels::NewBackend(options.backend, options.threads));
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<LocalTrainer> trainer,
                            LocalTrainer::Create(job, backend.get()));
  const auto start = std::chrono::steady_clock::now();
  double loss = 0;
  Digest digest;
  while (trainer->step() < job.steps()) {
    CAROUSEL_ASSIGN_OR_RETURN(const StepDecision decision, trainer->Step());
    CAROUSEL_ASSIGN_OR_RETURN(digest, trainer->StateDigest());
    loss = decision.loss;
    if (options.output == "text") {
      std::printf("step %lld  loss %.5f  grad_norm %.4f  lr %.3e  state %s\n",
                  static_cast<long long>(trainer->step()), loss, decision.grad_norm,
                  decision.update.learning_rate, digest.Hex().c_str());
      std::fflush(stdout);
    }
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.output == "json") {
    const nlohmann::json result = {
        {"job", job.name()},
        {"state", "done"},
        {"step", trainer->step()},
        {"loss", loss},
        {"tokens", trainer->tokens()},
        {"state_digest", digest.Hex()},
        {"contract", ContractHash(job)},
        {"seconds", seconds},
        {"tokens_per_second", static_cast<double>(trainer->tokens()) / seconds}};
    std::printf("%s\n", result.dump().c_str());
  }
  return absl::OkStatus();
}

// As CLI11 wants it: empty, or what is wrong.
std::string CheckAssignment(const std::string& text) {
  const absl::StatusOr<Override> parsed = ParseOverride(text);
  return parsed.ok() ? "" : std::string(parsed.status().message());
}

void AddFlags(CLI::App* app, Options* options) {
  app->add_option("FILE", options->file, "job file; examples are in cluster/jobs/")
      ->option_text("REQUIRED")
      ->required();
  app->add_option("--steps", options->steps,
                  "steps, and length of the learning-rate schedule; instead of the file's")
      ->option_text("N");
  app->add_option("--threads", options->threads,
                  "threads that compute, at most 1024; change no bit")
      ->option_text("N [" + std::to_string(options->threads) + "]")
      ->check(CLI::Range(1, 1024));
  app->add_option("--backend", options->backend, "cpu or test")
      ->option_text("NAME [" + options->backend + "]")
      ->check(CLI::IsMember({"cpu", "test"}));
  app->add_option("-o,--output", options->output, "text or json")
      ->option_text("NAME [" + options->output + "]")
      ->check(CLI::IsMember({"text", "json"}));
  app->add_option("--set", options->overrides,
                  "any field of the job, instead of the file's; may be repeated")
      ->option_text("PATH=VALUE")
      ->allow_extra_args(false)
      ->check(CheckAssignment);
  app->set_version_flag("--version", "train_local " + std::string(kVersion));
}

int ReportUsage(const CLI::ParseError& error, const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  const std::string message = UsageMessage("train_local", error.what(), app.remaining(), flags);
  std::fprintf(stderr, "%s\n", message.c_str());
  return 2;
}

// As `carousel validate` exits.
int ExitCodeOf(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) return 3;  // the job
  if (absl::IsNotFound(status)) return 4;         // its file
  return 1;
}

}  // namespace
}  // namespace carousel

int main(int argc, char** argv) {
  carousel::Options options;
  CLI::App app(
      "Trains a job in one process. The service gives the same bits on any number of workers.\n\n"
      "  train_local cluster/jobs/smoke.yaml --steps 6 -o json",
      "train_local");
  carousel::AddFlags(&app, &options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return carousel::ReportUsage(error, app);
  }
  const absl::Status status = carousel::Train(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "train_local: %s\n", std::string(status.message()).c_str());
  return carousel::ExitCodeOf(status);
}
