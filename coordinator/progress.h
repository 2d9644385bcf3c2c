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

inline constexpr int kStepsKept = 64;

class JobProgress {
 public:
  // An epoch begins: `job` has its plan; counting goes on from its newest checkpoint.
  explicit JobProgress(const JobRecord& job);

  // A stage's report. kInvalidArgument if it has not one digest for each unit of the stage.
  absl::Status Report(int stage, const StepReport& report);

  // The newest step that every stage has reported; nothing before the first.
  const StepSummary* Newest() const;
  std::optional<Digest> NewestDigest() const;

  // Of a step among the last kStepsKept that every stage has reported.
  std::optional<StepSummary> Summary(int64_t step) const;
  std::optional<Digest> StateDigestAt(int64_t step) const;

  // Writes loss, rates, stages and recent steps into `view`.
  void Show(Job* view) const;

 private:
  struct Reported {
    std::vector<std::optional<Digest>> units;
    int stages = 0;  // that have reported
    StepSummary summary;
    double seconds = 0;
    double busy_seconds = 0;      // of all stages
    std::optional<Digest> state;  // once all stages have reported
  };

  void Complete(int64_t step, Reported* reported);

  const Plan plan_;
  const int64_t batch_size_;
  const int64_t steps_;
  const int units_;
  int64_t tokens_;  // up to the newest step that the last stage has reported
  std::map<int64_t, Reported> reported_;
  int64_t newest_ = -1;
  double step_seconds_ = 0;  // moving average
  double tokens_per_step_ = 0;
  double bubble_ratio_ = 0;
  std::vector<StageStatus> stages_;
  std::deque<StepLoss> recent_;
};

}  // namespace carousel
