#include "coordinator/cli/local_run.h"

#include <chrono>
#include <future>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cluster/job/contract.h"
#include "cluster/job/job_file.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/cli/job_follower.h"

namespace carousel {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(100);
// A killed worker is noticed at once, one that hangs by its lease; then the job is paused.
constexpr double kFallPatience = 15;  // seconds
constexpr double kObituaryPatience = 2;

}  // namespace

absl::StatusOr<std::optional<Job>> LocalRun::FindStored(const JobSpec& spec) const {
  CAROUSEL_ASSIGN_OR_RETURN(
      const ListJobsResponse jobs,
      cluster_->client().Call(&Coordinator::Stub::ListJobs, ListJobsRequest()));
  if (jobs.jobs().empty()) return std::nullopt;
  const std::string contract = ContractHash(spec);
  for (const Job& job : jobs.jobs()) {
    if (job.contract() == contract) return job;
  }
  const Job& stored = *jobs.jobs().rbegin();
  return absl::FailedPreconditionError(
      absl::StrCat("the state folder ", cluster_->folder().path(), " belongs to job ", stored.job(),
                   ", and this is another one:\n", DescribeDifferences(spec, stored.spec()),
                   "\ngive this job a folder of its own with --state DIR, or undo the difference"));
}

absl::StatusOr<std::string> LocalRun::Submit(const JobSpec& spec) {
  SubmitJobRequest request;
  *request.mutable_job() = spec;
  CAROUSEL_ASSIGN_OR_RETURN(const SubmitJobResponse response,
                            cluster_->client().Ask(&Coordinator::Stub::SubmitJob, request));
  return response.job();
}

absl::Status LocalRun::Resume(const JobSpec& spec, const Job& stored) {
  view_->Note(absl::StrCat(
      "resuming ", stored.job(), " (", JobState_Name(stored.state()), ") from ",
      stored.committed_step() < 0 ? "the start: it has no checkpoint yet"
                                  : absl::StrCat("its checkpoint of step ", stored.committed_step(),
                                                 " of ", stored.steps())));
  ResumeJobRequest request;
  request.set_job(stored.job());
  const PipelineSpec& wishes = spec.pipeline();
  const auto* schedule = ScheduleKind_descriptor()->FindValueByNumber(wishes.schedule());
  request.add_overrides(absl::StrCat("pipeline.stages=", wishes.stages()));
  request.add_overrides(absl::StrCat("pipeline.schedule=", JobDialect().NameOf(*schedule)));
  request.add_overrides(absl::StrCat("pipeline.segments=", wishes.segments()));
  request.set_dataset(spec.data().dataset());  // it may have moved
  *request.mutable_checkpoint() = spec.checkpoint();
  std::future<absl::Status> resumed = std::async(std::launch::async, [this, request] {
    return cluster_->client().Ask(&Coordinator::Stub::ResumeJob, request).status();
  });
  while (resumed.wait_for(kPoll) != std::future_status::ready && GoOn()) {
  }
  // An interrupt or a fallen worker paused it again: Follow will tell.
  const absl::Status status = resumed.get();
  return result_.interrupted || !result_.fallen.empty() ? absl::OkStatus() : status;
}

void LocalRun::Show(const Job& job) {
  view_->Show(job);
  if (job.tokens_per_second() > 0) result_.tokens_per_second = job.tokens_per_second();
  if (job.state() == RUNNING && tokens_before_ < 0) {
    tokens_before_ = job.tokens();
    running_.Restart();
  }
  result_.job = job;
}

void LocalRun::AskToPause() const {
  JobRequest request;
  request.set_job(job_);
  // Whether it helped, the job's state says.
  (void)cluster_->client().Ask(&Coordinator::Stub::PauseJob, request);
}

bool LocalRun::GoOn() {
  if (InterruptsSoFar() > 0 && !result_.interrupted) {
    result_.interrupted = true;
    view_->Note(
        "interrupted: finishing the step and writing its checkpoint; once more stops at once");
  }
  if (result_.interrupted) pause_.Urge();
  if (InterruptsSoFar() > 1) {
    cluster_->Stop(/*kill=*/true);
    return false;
  }
  if (result_.fallen.empty()) {
    const ChildProcess* fallen = cluster_->Fallen();
    if (fallen == nullptr) return true;
    result_.fallen = fallen->Obituary();
    fallen_.Restart();
  }
  // A running job is paused by its loss; one that waits for workers would wait for this one.
  if (result_.job.state() != RUNNING) pause_.Urge();
  if (fallen_.Seconds() < kFallPatience) return true;
  cluster_->Stop();  // so that no call waits on for what does not come
  return false;
}

absl::Status LocalRun::Follow() {
  JobFollower follower(&cluster_->client(), job_);
  bool go_on = true;
  while (go_on && !follower.ended()) {
    if (const std::optional<Job> news = follower.WaitForNews(kPoll)) Show(*news);
    go_on = GoOn();
  }
  return follower.ended() ? follower.status() : absl::OkStatus();
}

// A process's sockets close a moment before it can be seen to have ended.
void LocalRun::WaitForFallen() {
  const Stopwatch waiting;
  while (result_.fallen.empty() && !result_.interrupted && waiting.Seconds() < kObituaryPatience) {
    if (const ChildProcess* fallen = cluster_->Fallen()) result_.fallen = fallen->Obituary();
    std::this_thread::sleep_for(kPoll / 4);
  }
}

absl::StatusOr<LocalResult> LocalRun::Run(const JobSpec& spec, const std::optional<Job>& stored) {
  if (stored.has_value()) {
    job_ = stored->job();
    result_.job = *stored;
    CAROUSEL_RETURN_IF_ERROR(Resume(spec, *stored));
  } else {
    CAROUSEL_ASSIGN_OR_RETURN(job_, Submit(spec));
    result_.job.set_job(job_);
    result_.job.set_steps(spec.steps());
    result_.job.set_committed_step(-1);
  }
  const absl::Status followed = Follow();
  view_->Finish();
  if (!followed.ok() || result_.job.state() == PAUSED) WaitForFallen();
  if (tokens_before_ >= 0) result_.seconds = running_.Seconds();
  result_.job.set_reason(cluster_->Renamed(result_.job.reason()));
  if (!followed.ok() && result_.fallen.empty() && !result_.interrupted) return followed;
  const JobState state = result_.job.state();
  if (state != DONE && state != FAILED && state != CANCELLED && state != PAUSED) {
    // What the coordinator will find at its next start.
    result_.job.set_state(PAUSED);
    result_.job.set_reason("stopped at once: what came after the last checkpoint is lost");
  }
  return result_;
}

}  // namespace carousel
