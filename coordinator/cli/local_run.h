// One run of `carousel local`: a job on a local cluster from wherever its state folder left it
// until it rests, is interrupted, or a process falls.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cluster/stopwatch.h"
#include "coordinator/cli/local_cluster.h"
#include "coordinator/cli/progress_view.h"
#include "coordinator/cli/standing_request.h"
#include "proto/coordinator.pb.h"
#include "proto/job.pb.h"

namespace carousel {

struct LocalResult {
  Job job;             // as it rests
  std::string fallen;  // obituary of the process whose end stopped it; empty: none
  bool interrupted = false;
  double seconds = 0;  // since it ran
  double tokens_per_second = 0;
};

// One thread, the one that started the cluster.
class LocalRun {
 public:
  LocalRun(LocalCluster* cluster, ProgressView* view) : cluster_(cluster), view_(view) {}

  // The folder's job with this contract, if there is one. kFailedPrecondition if the folder belongs
  // to a job with another contract, with the differences.
  absl::StatusOr<std::optional<Job>> FindStored(const JobSpec& spec) const;

  // With workers attached: submits the job, or resumes the stored one under the wishes of `spec`,
  // and follows it. An error if it cannot be started or followed any more.
  absl::StatusOr<LocalResult> Run(const JobSpec& spec, const std::optional<Job>& stored);

 private:
  absl::StatusOr<std::string> Submit(const JobSpec& spec);
  absl::Status Resume(const JobSpec& spec, const Job& stored);
  absl::Status Follow();
  void Show(const Job& job);
  // Looks at the world: interrupts and fallen processes. False if waiting has no point any more;
  // then the cluster is stopped, so that no call waits on.
  bool GoOn();
  void AskToPause() const;
  void WaitForFallen();

  LocalCluster* const cluster_;
  ProgressView* const view_;
  std::string job_;  // its id
  LocalResult result_;
  int64_t tokens_before_ = -1;
  Stopwatch running_, fallen_;                       // since the job ran, since a process fell
  StandingRequest pause_{[this] { AskToPause(); }};  // the last: its thread uses the others
};

}  // namespace carousel
