// How far a running job is: what the stages report after each step, put together. Metrics, not
// events: nothing here is journaled, and a restart loses no more than what a checkpoint's summary
// keeps.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cluster/state_digest.h"
#include "proto/coordinator.pb.h"
#include "proto/journal.pb.h"

namespace carousel {

// Shown to a follower that was slow.
inline constexpr int kRecentSteps = 64;
// Steps without a commit whose digests are remembered: a checkpoint that takes longer to write than
// so many steps take cannot be checked, and is refused.
inline constexpr int kStepsRemembered = 1 << 16;

class JobProgress {
 public:
  // An epoch begins: `job` has its plan; counting goes on from its newest checkpoint.
  explicit JobProgress(const JobRecord& job);

  // A stage's report. kInvalidArgument, and nothing is taken from it, unless it is of the stage's
  // next step and has one digest for each unit of the stage and figures that can be.
  absl::Status Report(int stage, const StepReport& report);

  // What ran: of a step that every stage has reported and whose checkpoint has neither been
  // committed nor passed.
  struct Completed {
    StepSummary summary;
    Digest state;
  };
  std::optional<Completed> At(int64_t step) const;

  // The checkpoint of `step` is committed: older steps will not be asked for any more.
  void Committed(int64_t step);

  // Writes loss, rates, stages and recent steps into `view`.
  void Show(Job* view) const;

 private:
  struct Reported {  // by some stages, not yet by all
    std::vector<Digest> units;
    int stages = 0;
    StepSummary summary;
    double seconds = 0;
    double busy_seconds = 0;  // of all stages
  };

  absl::Status CheckReport(int stage, const StepReport& report) const;
  void Complete(int64_t step, const Reported& reported);

  const Plan plan_;
  const int64_t batch_size_;
  const int64_t tokens_limit_;  // of one step
  const int64_t steps_;
  const int units_;
  std::vector<int64_t> next_;  // by stage: the step it reports next
  int64_t tokens_;             // up to the newest step that the last stage has reported
  std::map<int64_t, Reported> reported_;
  std::map<int64_t, Completed> completed_;
  std::optional<Completed> newest_;  // that every stage has reported
  double step_seconds_ = 0;          // moving average
  double tokens_per_step_ = 0;
  double bubble_ratio_ = 0;
  std::vector<StageStatus> stages_;
  std::deque<StepLoss> recent_;
};

}  // namespace carousel
