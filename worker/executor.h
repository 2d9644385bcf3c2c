// Executor: replays a stage's operations of one step, in the plan's order, and ends the step. It
// has no opinion about order.
//
// The end of a step, once every gradient is summed:
//   1. the head's stage sends a tied matrix's gradient to the embedding's stage;
//   2. evidence (sums of squares, counts of non-finite values) travels up; each stage appends
//      its own, so that the last one has it in unit order;
//   3. the last stage decides (worker/step_decision.h); the decision travels down;
//   4. every stage applies it; the embedding's stage sends an updated tied matrix to the head's.
//
// One thread drives an executor; Abort of its transport makes RunStep return.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "cluster/data/batch_reader.h"
#include "cluster/job/model_layout.h"
#include "proto/plan.pb.h"
#include "worker/gradient_tree.h"
#include "worker/micro_batch_inputs.h"
#include "worker/optimizer.h"
#include "worker/stage.h"
#include "worker/step_decision.h"
#include "worker/transport.h"

namespace carousel {

// Where a step's time went on this stage, seconds. Waiting is for a neighbour, as the host sees it:
// with a backend whose streams wait by themselves only the end of the step is in it, and the rest
// counts as work.
struct StepTimes {
  double total = 0, waiting = 0;
};

class Executor {
 public:
  struct Parts {
    const JobSpec* job = nullptr;  // all borrowed
    const ModelLayout* layout = nullptr;
    const Plan* plan = nullptr;
    int stage_index = 0;
    Stage* stage = nullptr;
    Transport* transport = nullptr;
    const BatchReader* reader = nullptr;
  };
  static absl::StatusOr<std::unique_ptr<Executor>> Create(const Parts& parts);
  ~Executor();  // waits until the transport has taken a tied matrix; an aborted one has

  // Runs `step` (steps applied before it) and returns the decision; with decision.apply the stage
  // holds the updated state. The last stage puts `boundary` (checkpoint, stop) into the decision;
  // other stages' is ignored.
  struct Boundary {
    bool checkpoint = false, stop = false;
  };
  absl::StatusOr<StepDecision> RunStep(int64_t step, const Boundary& boundary);

  // Before the first step of an epoch: the head's stage gets a tied matrix from the embedding's. A
  // transport that fails shows in the step.
  void ShareTiedMatrix(int64_t step);

  Optimizer& optimizer() { return *optimizer_; }
  int64_t tokens() const { return tokens_; }  // predicted in the last step
  const StepTimes& times() const { return times_; }

 private:
  explicit Executor(const Parts& parts) : parts_(parts) {}
  absl::Status Init();

  absl::Status RunOps(int64_t step);
  absl::Status LoadMicroBatch(int64_t step, int micro_batch);
  void Forward(int64_t step, const StageOp& op);
  void Backward(int64_t step, const StageOp& op);
  void WeightGradient(int micro_batch, int first_segment, int end_segment);
  void CombineTied(int64_t step);
  absl::StatusOr<StepEvidence> GatherEvidence(int64_t step);
  absl::StatusOr<StepDecision> AgreeOn(int64_t step, const StepEvidence& evidence,
                                       const Boundary& boundary);
  // Completes when all that was enqueued on the compute stream so far has run.
  kernels::Event Now() const;
  // Makes the compute stream wait for an event of the transport, and counts the time that this
  // takes.
  void WaitFor(const kernels::Event& event);

  int stages() const { return parts_.plan->stages_size(); }
  bool first() const { return parts_.stage_index == 0; }
  bool last() const { return parts_.stage_index + 1 == stages(); }
  bool tied_across() const { return parts_.job->model().tie_embeddings() && stages() > 1; }
  int slot(int micro_batch) const {
    return micro_batch % parts_.plan->stages(parts_.stage_index).slots();
  }

  const Parts parts_;
  int leaves_ = 1, micro_batches_per_leaf_ = 1;
  std::unique_ptr<MicroBatchInputs> inputs_;
  std::unique_ptr<GradientTree> gradients_;
  std::unique_ptr<Optimizer> optimizer_;
  kernels::Buffer tied_gradient_;  // on the embedding's stage: the head's, as received
  // By segment: its rows of the stage's input gradient may be written again.
  std::vector<kernels::Event> gradient_sent_;
  // The same for what this stage sends of a tied matrix, itself or its gradient: before the next
  // update. (The gradient has long been there: the decision rests on it.)
  kernels::Event tied_sent_;
  int64_t tokens_ = 0;
  StepTimes times_;
};

}  // namespace carousel
