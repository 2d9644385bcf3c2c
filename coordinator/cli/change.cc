// The verbs that change a job's state: pause, cancel, resume.
#include <chrono>
#include <cstdio>
#include <future>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cluster/data/printable.h"
#include "cluster/flag_checks.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/message_json.h"
#include "coordinator/cli/verbs.h"
#include "coordinator/state.h"

namespace carousel {
namespace {

struct ChangeOptions {
  std::string job;
  std::vector<std::string> sets;  // of resume, like the next
  std::string dataset;
  double timeout = 0;
};

constexpr auto kPatience = std::chrono::seconds(2);

// What holds a job up; and where the coordinator names another wish as the way out (too few workers
// are attached for this one), the command for that.
std::string Holdup(const Program& program, const Job& job) {
  std::string text = JobState_Name(job.state());
  if (!job.reason().empty()) absl::StrAppend(&text, ": ", Printable(job.reason()));
  if (absl::StrContains(job.reason(), "resume it with pipeline.stages=")) {
    absl::StrAppend(&text, "\n`carousel resume ", job.job(), AtCoordinator(program),
                    " --set pipeline.stages=N` replaces that wish");
  }
  return text;
}

// The time is up, and what was asked stands. `told`: stderr says already what holds the job up.
absl::Status TimeIsUp(const Program& program, const Job& job, bool told, double seconds) {
  const std::string prospect = job.state() == QUEUED     ? "\nit stays in the queue"
                               : job.state() == STARTING ? "\nit starts all the same"
                               : IsStopping(job.state()) ? "\nit stops all the same"
                                                         : "";  // it came to pass just now
  return absl::DeadlineExceededError(absl::StrCat(
      "after ", seconds, " s ", job.job(), " is ",
      told ? absl::StrCat("still ", JobState_Name(job.state())) : Holdup(program, job), prospect));
}

// A call that returns when it has happened; if that takes long, stderr says what it waits for.
template <typename Request>
absl::StatusOr<Job> Await(const Program& program, const Client& client,
                          Client::Method<Request, Job> method, const Request& request,
                          double timeout) {
  auto answer =
      std::async(std::launch::async, [&] { return client.Ask(method, request, timeout); });
  JobRequest look;
  look.set_job(request.job());
  const auto news = [&](const Job& job) {
    return absl::StrCat(job.job(), " is ", Holdup(program, job));
  };
  std::string said;
  while (answer.wait_for(kPatience) != std::future_status::ready) {
    const absl::StatusOr<Job> job = client.Call(&Coordinator::Stub::GetJob, look);
    if (!job.ok()) continue;
    if (news(*job) != said) std::fprintf(stderr, "%s\n", news(*job).c_str());
    said = news(*job);
  }
  absl::StatusOr<Job> result = answer.get();
  if (!absl::IsDeadlineExceeded(result.status())) return result;
  const absl::StatusOr<Job> job = client.Call(&Coordinator::Stub::GetJob, look);
  return job.ok() ? TimeIsUp(program, *job, /*told=*/news(*job) == said, timeout) : result;
}

void Show(const Program& program, const Job& job) {
  if (program.output != OutputFormat::kTable) return PrintDocument(JobToJson(job), program.output);
  std::printf("%s is %s at step %lld of %lld\n", job.job().c_str(),
              JobState_Name(job.state()).c_str(), static_cast<long long>(job.step()),
              static_cast<long long>(job.steps()));
  if (job.state() == PAUSED || job.state() == CANCELLED) {
    std::fprintf(stderr, "`carousel resume %s%s` goes on from there\n", job.job().c_str(),
                 AtCoordinator(program).c_str());
  }
}

Outcome Stop(const Program& program, const ChangeOptions& options,
             Client::Method<JobRequest, Job> method) {
  CAROUSEL_ASSIGN_OR_RETURN(const auto client, Connect(program));
  JobRequest request;
  request.set_job(options.job);
  CAROUSEL_ASSIGN_OR_RETURN(const Job job,
                            Await(program, *client, method, request, options.timeout));
  Show(program, job);
  if (job.state() == FAILED) {
    std::fprintf(stderr, "it failed on the way: %s\n", Printable(job.reason()).c_str());
    return ExitCodeOf(FAILED);
  }
  if (!job.cut_short()) return ExitCode::kOk;
  std::fprintf(stderr, "it was cut short, and what ran after its checkpoint is lost: %s\n",
               Printable(job.reason()).c_str());
  return ExitCode::kError;
}

Outcome Resume(const Program& program, const ChangeOptions& options) {
  CAROUSEL_ASSIGN_OR_RETURN(const auto client, Connect(program));
  ResumeJobRequest request;
  request.set_job(options.job);
  for (const std::string& set : options.sets) request.add_overrides(set);
  if (!options.dataset.empty()) request.set_dataset(AbsolutePath(options.dataset));
  const absl::StatusOr<Job> job =
      Await(program, *client, &Coordinator::Stub::ResumeJob, request, options.timeout);
  if (job.ok()) {
    Show(program, *job);
    return ExitCode::kOk;
  }
  const std::string message(job.status().message());
  if (options.dataset.empty() && absl::StrContains(message, "data.dataset:")) {
    return absl::Status(job.status().code(),
                        message + "\nif it lies elsewhere now, name the place with --dataset DIR");
  }
  return job.status();
}

void AddCommon(CLI::App* verb, Program* program, ChangeOptions* options) {
  verb->add_option("JOB", options->job, "id of the job; `carousel get jobs` lists them")
      ->type_name("")
      ->required();
  verb->add_option("--timeout", options->timeout,
                   "seconds to wait for it; what was asked stands all the same [no limit]")
      ->type_name("SECONDS")
      ->check(Seconds());
  AddCoordinatorOption(verb, program);
  AddOutputOption(verb, program);
}

}  // namespace

void AddPause(CLI::App* app, Program* program) {
  auto options = std::make_shared<ChangeOptions>();
  CLI::App* verb =
      app->add_subcommand("pause", "Stop a job at a step boundary, to be resumed later");
  verb->footer(
      "Returns once the checkpoint of its last step is committed. Its workers are free then.\n"
      "Exit code 1: the job was cut short, because a worker was lost before that, and is\n"
      "paused at the checkpoint before; 100: it failed on the way. -o json prints the job in\n"
      "every case.\n\n"
      "Example:\n"
      "  carousel pause smoke-1 && carousel resume smoke-1 --set pipeline.stages=2");
  AddCommon(verb, program, options.get());
  verb->callback([=] {
    program->run = [=] { return Stop(*program, *options, &Coordinator::Stub::PauseJob); };
  });
}

void AddCancel(CLI::App* app, Program* program) {
  auto options = std::make_shared<ChangeOptions>();
  CLI::App* verb = app->add_subcommand("cancel", "Stop a job at a step boundary, as given up");
  verb->footer(
      "Returns once the checkpoint of its last step is committed. Unlike a paused job, one\n"
      "that is cancelled counts as over: `carousel wait` and `watch` exit with 103 instead of\n"
      "104. Nothing is deleted, so `carousel resume` can still go on from that checkpoint.\n"
      "Exit code 1: the job was cut short, because a worker was lost before it was committed,\n"
      "and the one before counts; 100: it failed on the way. -o json prints the job in every\n"
      "case.\n\n"
      "Example:\n"
      "  carousel cancel smoke-1");
  AddCommon(verb, program, options.get());
  verb->callback([=] {
    program->run = [=] { return Stop(*program, *options, &Coordinator::Stub::CancelJob); };
  });
}

void AddResume(CLI::App* app, Program* program) {
  auto options = std::make_shared<ChangeOptions>();
  CLI::App* verb = app->add_subcommand(
      "resume", "Let a paused, cancelled or failed job go on from its checkpoint");
  verb->footer(
      "Returns once it runs. Only pipeline.* can be set: stages, schedule and segments change\n"
      "no bit of the result. A job that still waits for workers keeps its place in the queue\n"
      "and takes the new settings. A dataset that has moved is named with --dataset; it must be\n"
      "the same data.\n\n"
      "Examples:\n"
      "  carousel resume smoke-1\n"
      "  carousel resume smoke-1 --set pipeline.stages=3 --set pipeline.schedule=gpipe\n"
      "  carousel resume smoke-1 --dataset /mnt/new/corpus");
  AddCommon(verb, program, options.get());
  AddSetOption(verb, &options->sets, "a field of pipeline.*; may be repeated", "pipeline.");
  verb->add_option("--dataset", options->dataset,
                   "where the job's dataset lies now, for coordinator and workers [where it lay]")
      ->type_name("DIR");
  verb->callback([=] { program->run = [=] { return Resume(*program, *options); }; });
}

}  // namespace carousel
