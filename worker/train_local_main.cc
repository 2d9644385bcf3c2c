// train_local: a job in one process, for reading, debugging and comparing bits. The service must
// repeat what it prints.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cluster/data/dataset_probe.h"
#include "cluster/exit_code.h"
#include "cluster/flag_checks.h"
#include "cluster/job/contract.h"
#include "cluster/job/job_file.h"
#include "cluster/status_macros.h"
#include "cluster/stopwatch.h"
#include "cluster/usage.h"
#include "cluster/version.h"
#include "kernels/backend.h"
#include "worker/local_trainer.h"

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
  const Stopwatch stopwatch;
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
  const double seconds = stopwatch.Seconds();
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

void AddFlags(CLI::App* app, Options* options) {
  app->add_option("FILE", options->file, "job file; examples are in cluster/jobs/")
      ->type_name("")
      ->required();
  app->add_option("--steps", options->steps,
                  "steps, and length of the learning-rate schedule; instead of the file's")
      ->type_name("N")
      ->check(Steps());
  app->add_option("--threads", options->threads,
                  "threads that compute; change no bit [" + std::to_string(options->threads) + "]")
      ->type_name("N")
      ->check(WholeNumber(1, kMaxThreads));
  app->add_option(
         "--backend", options->backend,
         "cpu, or test: a CPU that behaves like a device, slowly [" + options->backend + "]")
      ->type_name("NAME")
      ->check(CLI::IsMember({"cpu", "test"}));
  app->add_option("-o,--output", options->output, "text or json [" + options->output + "]")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "json"}));
  app->add_option("--set", options->overrides,
                  "any field of the job, instead of the file's; may be repeated")
      ->type_name("PATH=VALUE")
      ->allow_extra_args(false)  // one value each, else it would swallow the job file
      ->check(Assignment());
  app->set_version_flag("--version", "train_local " + std::string(kVersion));
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
  if (const std::optional<int> ended = carousel::ParseCommandLine(argc, argv, &app)) return *ended;
  const absl::Status status = carousel::Train(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "train_local: %s\n", std::string(status.message()).c_str());
  return static_cast<int>(carousel::ExitCodeOf(status));
}
