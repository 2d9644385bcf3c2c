#include "coordinator/cli/server_options.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "cluster/data/printable.h"
#include "cluster/flag_checks.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/interrupts.h"

namespace carousel {

void AddServerOptions(CLI::App* verb, Program* program, ServerOptions* options) {
  CLI::Option* coordinator = AddCoordinatorOption(verb, program);
  verb->add_option("--state", options->state,
                   "instead of a coordinator: a state folder of `carousel local`, not in use")
      ->type_name("DIR")
      ->excludes(coordinator);
}

void AddThreadsOption(CLI::App* verb, ServerOptions* options) {
  verb->add_option("--threads", options->threads, "with --state: threads that compute [1]")
      ->type_name("T")
      ->check(WholeNumber(1, kMaxThreads))
      ->needs("--state");  // else the free worker's own
}

absl::StatusOr<Served> Serve(const Program& program, const ServerOptions& options,
                             bool with_workers) {
  Served served;
  if (options.state.empty()) {
    CAROUSEL_ASSIGN_OR_RETURN(served.connection, Connect(program));
    return served;
  }
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<StateFolder> folder,
                            StateFolder::TakeExisting(options.state));
  CAROUSEL_ASSIGN_OR_RETURN(served.cluster, LocalCluster::Start(std::move(folder), NeverAbandoned));
  CAROUSEL_RETURN_IF_ERROR(PauseQueued(served.cluster->client()));
  if (!with_workers) return served;
  CAROUSEL_RETURN_IF_ERROR(
      served.cluster->StartWorkers({.workers = 1, .threads = options.threads}, NeverAbandoned));
  return served;
}

void Warn(const std::string& warning, std::string* said) {
  if (warning.empty() || warning == *said) return;
  std::fprintf(stderr, "carousel: %s\n", Printable(warning).c_str());
  *said = warning;
}

absl::StatusOr<std::string> OnlyJob(const Client& client, const std::string& job) {
  if (!job.empty()) return job;
  CAROUSEL_ASSIGN_OR_RETURN(const ListJobsResponse jobs,
                            client.Call(&Coordinator::Stub::ListJobs, ListJobsRequest()));
  if (jobs.jobs_size() == 1) return jobs.jobs(0).job();
  std::string known;
  for (const Job& one : jobs.jobs()) absl::StrAppend(&known, " ", one.job());
  if (known.empty()) {
    return absl::NotFoundError("there are no jobs yet; `carousel submit` makes one");
  }
  return UsageError(absl::StrCat("JOB is missing: which of", known, "?"));
}

}  // namespace carousel
