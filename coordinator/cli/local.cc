#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cluster/counted.h"
#include "cluster/flag_checks.h"
#include "cluster/job/resolve.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/figures.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/cli/local_run.h"
#include "coordinator/cli/message_json.h"
#include "coordinator/cli/verbs.h"

namespace carousel {
namespace {

constexpr int kDefaultWorkers = 4;  // at most, one a core
constexpr char kInterruptedEarly[] = "interrupted before the job started";

struct LocalOptions {
  JobFileOptions job;
  WorkerOptions workers = {.workers = 0};  // 0: not given
  std::string state;
};

// At most one a unit; as many as the job wishes stages, if it does.
absl::StatusOr<int> ChooseWorkers(const JobSpec& spec, int given) {
  const int units = static_cast<int>(UnitCount(spec.model()));
  const int wished = static_cast<int>(spec.pipeline().stages());
  if (given == 0) {
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    return wished > 0 ? wished : std::clamp(cores, 1, std::min(units, kDefaultWorkers));
  }
  if (wished > given) {
    return UsageError(absl::StrCat("--workers ", given, ": the job wishes pipeline.stages=", wished,
                                   "; give it --workers ", wished,
                                   ", or leave the stages open (--set pipeline.stages=0)"));
  }
  return std::min(given, units);
}

absl::StatusOr<std::string> ChooseFolder(const LocalOptions& options, const JobSpec& spec) {
  if (!options.state.empty()) return AbsolutePath(options.state);
  return DefaultStateFolder(spec.name());
}

// With what is not known of a job that has not come to be looked at as null.
nlohmann::ordered_json ResultToJson(const LocalResult& result) {
  if (result.job.job().empty()) {
    return {{"job", nullptr},    {"state", "paused"},      {"reason", kInterruptedEarly},
            {"step", nullptr},   {"loss", nullptr},        {"perplexity", nullptr},
            {"tokens", nullptr}, {"state_digest", nullptr}};
  }
  nlohmann::ordered_json document = JobToJson(result.job);
  document.erase("recent");
  return document;
}

void PrintResult(const Program& program, const LocalResult& result, const std::string& folder) {
  const Job& job = result.job;
  if (program.output == OutputFormat::kTable) {
    if (job.job().empty()) return;
    std::printf("%s is %s: step %lld of %lld", job.job().c_str(),
                JobState_Name(job.state()).c_str(), static_cast<long long>(job.step()),
                static_cast<long long>(job.steps()));
    if (job.step() > 0) {
      std::printf(", loss %s, perplexity %s, %s tokens\nstate %s", LossText(job.loss()).c_str(),
                  Perplexity(job.loss()).c_str(), Grouped(job.tokens()).c_str(),
                  job.state_digest().c_str());
    }
    std::printf("\n");
    std::fflush(stdout);
    return;
  }
  nlohmann::ordered_json document = ResultToJson(result);
  document["tokens_per_second"] = nullptr;  // not known of a job that was finished before
  document["seconds"] = result.seconds;     // of this run
  if (result.tokens_per_second > 0) document["tokens_per_second"] = result.tokens_per_second;
  document["state_folder"] = folder;
  if (job.state() != DONE) document["resume"] = CommandLine(program.argv);
  PrintDocument(document, program.output);
}

// Where things stand, and the way on.
std::string WayOn(const LocalResult& result, const std::string& folder) {
  if (result.job.job().empty()) return absl::StrCat(kInterruptedEarly, ". Start it with:");
  const int64_t committed = result.job.committed_step();
  return absl::StrCat(
      committed > 0 ? absl::StrCat("the checkpoint of step ", committed, " is in ", folder)
                    : "there is no checkpoint yet",
      ". ", result.job.state() == FAILED ? "Try again from there" : "Go on", " with:");
}

ExitCode Report(const Program& program, const LocalResult& result, const std::string& folder) {
  PrintResult(program, result, folder);
  if (result.job.state() == DONE) return ExitCode::kOk;
  if (!result.fallen.empty()) std::fprintf(stderr, "carousel: %s\n", result.fallen.c_str());
  if (result.fallen.empty() && !result.interrupted && !result.job.reason().empty()) {
    std::fprintf(stderr, "carousel: %s is %s: %s\n", result.job.job().c_str(),
                 JobState_Name(result.job.state()).c_str(), result.job.reason().c_str());
  }
  std::fprintf(stderr, "everything is stopped; %s\n  %s\n", WayOn(result, folder).c_str(),
               CommandLine(program.argv).c_str());
  if (result.interrupted) return ExitCode::kInterrupted;
  const ExitCode code = ExitCodeOf(result.job.state());
  return code == ExitCode::kOk ? ExitCode::kError : code;
}

// What is started, once nothing forbids it.
void Announce(const LocalCluster& cluster, int asked, int workers, ProgressView* view) {
  view->Note(absl::StrCat("state folder ", cluster.folder().path(), ", coordinator at ",
                          cluster.client().address()));
  if (asked <= workers) return;
  view->Note(absl::StrCat("the model has ", Counted(workers, "unit"), ", so ", workers, " of the ",
                          Counted(asked, "worker"), " are started"));
}

// Starts what the job needs, trains, and stops it again; `asked` workers were asked for.
// kCancelled: interrupted before the state folder could be looked at.
absl::StatusOr<LocalResult> Train(const JobSpec& spec, const WorkerOptions& workers, int asked,
                                  const std::string& path) {
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<StateFolder> folder,
                            StateFolder::Take(path, Interrupted));
  CAROUSEL_ASSIGN_OR_RETURN(const auto cluster,
                            LocalCluster::Start(std::move(folder), Interrupted));
  CAROUSEL_RETURN_IF_ERROR(PauseQueued(cluster->client()));
  ProgressView view(stderr);
  LocalRun run(cluster.get(), &view);
  CAROUSEL_ASSIGN_OR_RETURN(const std::optional<Job> stored, run.FindStored(spec));
  if (stored.has_value() && stored->state() == DONE) return LocalResult{.job = *stored};
  Announce(*cluster, asked, workers.workers, &view);
  const absl::Status attached = cluster->StartWorkers(workers, Interrupted);
  if (absl::IsCancelled(attached)) {
    return LocalResult{.job = stored.value_or(Job()), .interrupted = true};
  }
  CAROUSEL_RETURN_IF_ERROR(attached);
  return run.Run(spec, stored);
}

Outcome RunLocal(const Program& program, const LocalOptions& options) {
  CountInterrupts();
  CAROUSEL_ASSIGN_OR_RETURN(const JobSpec spec, LoadJob(options.job, /*look_at_data=*/true));
  WorkerOptions workers = options.workers;
  CAROUSEL_ASSIGN_OR_RETURN(workers.workers, ChooseWorkers(spec, workers.workers));
  CAROUSEL_ASSIGN_OR_RETURN(const std::string path, ChooseFolder(options, spec));
  absl::StatusOr<LocalResult> result = Train(spec, workers, options.workers.workers, path);
  if (absl::IsCancelled(result.status()) && Interrupted()) {
    result = LocalResult{.interrupted = true};
  }
  CAROUSEL_RETURN_IF_ERROR(result.status());
  return Report(program, *result, path);
}

}  // namespace

void AddLocal(CLI::App* app, Program* program) {
  auto options = std::make_shared<LocalOptions>();
  CLI::App* verb = app->add_subcommand(
      "local",
      "Train a job on this machine: a coordinator and workers, started and stopped for it");
  verb->footer(
      "Everything that the job leaves behind is in its state folder. Started again on the\n"
      "same folder it goes on from the last checkpoint, with any number of workers and the\n"
      "same bits; a finished job is reported at once, another contract is refused. Ctrl-C\n"
      "pauses the job at a step boundary, writes its checkpoint, stops everything and prints\n"
      "the command that goes on.\n\n"
      "Examples:\n"
      "  carousel local cluster/jobs/smoke.yaml\n"
      "  carousel local job.yaml --workers 3 --steps 600 --state /data/run1 -o json");
  AddJobFileOptions(verb, &options->job);
  verb->add_option("--workers", options->workers.workers,
                   "worker processes [pipeline.stages, else one a core, at most 4]")
      ->type_name("N")
      ->check(WholeNumber(1, 256));
  verb->add_option("--threads", options->workers.threads, "threads of each worker [1]")
      ->type_name("T")
      ->check(WholeNumber(1, kMaxThreads));
  verb->add_option("--backend", options->workers.backend,
                   "cpu, or test: a CPU that behaves like a device, slowly [cpu]")
      ->type_name("NAME")
      ->check(CLI::IsMember({"cpu", "test"}));
  verb->add_option("--state", options->state,
                   "state folder [~/.local/state/carousel/NAME, or under $XDG_STATE_HOME]")
      ->type_name("DIR");
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return RunLocal(*program, *options); }; });
}

}  // namespace carousel
