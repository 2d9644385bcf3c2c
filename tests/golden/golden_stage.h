// GoldenStage: the worker's own stage holding a golden model, or one block of it, with the file's
// weights. Blocks, language models and trajectories run on what trains, not on a copy of it.
//
// Differences of names and layouts are bridged here: parameters of a block are named without its
// place, xlstm_large's embedding has another name, and the sLSTM's recurrent weights are in the
// vanilla backend's layout.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cluster/job/model_layout.h"
#include "proto/model.pb.h"
#include "tests/golden/device.h"
#include "tests/golden/golden_file.h"
#include "worker/stage.h"

namespace carousel::golden {

// The model that a case describes: sizes from its config, head counts from its parameters, whose
// names begin with `prefix`.
absl::StatusOr<ModelSpec> ReadModel(const GoldenFile& file, const std::string& prefix);

// The chunk length of a case; any where its reference has none.
absl::StatusOr<int64_t> ChunkOf(const GoldenFile& file);

// Not thread-safe; borrows the device.
class GoldenStage {
 public:
  struct Options {
    int first_unit = 0, end_unit = 0;  // end 0: all units
    int64_t steps = 0, batch = 0, chunk = 64;
    int borders = 1;
  };
  static absl::StatusOr<std::unique_ptr<GoldenStage>> Create(Device& device, const ModelSpec& model,
                                                             const Options& options);

  // A tensor of the stage with its name in the file (without a prefix).
  struct Named {
    std::string name;
    const Parameter* parameter;
  };
  const std::vector<Named>& parameters() const { return named_; }

  // Weights from the file's tensors `prefix`NAME.
  absl::Status LoadWeights(const GoldenFile& file, const std::string& prefix);

  // An operand of one of those tensors' shape (weight, gradient, moment), in the file's layout.
  Values InFileLayout(const Named& named, kernels::Span values) const;

  // Starts all gradients again at 0.
  void ClearGradients();
  // The gradient of a tensor, the tied head's use of the embedding included.
  Values Gradient(const Named& named) const;

  // Brings the sequences' tokens, [B, S] as in the file, to the device; labels may be empty.
  void LoadTokens(const std::vector<int32_t>& tokens, const std::vector<int32_t>& labels);

  // `steps` time steps from `first`; `index` > 0 if states are carried in.
  Segment At(int64_t first, int64_t steps, int index, bool last) const;

  Stage& stage() { return *stage_; }
  Device& device() const { return device_; }
  const ModelSpec& model() const { return model_; }
  const ModelLayout& layout() const { return layout_; }
  int64_t batch() const { return options_.batch; }

  // Rows [steps, B, D] on the device as [B, steps, D].
  Values Rows(kernels::Span rows, const Segment& segment) const;

 private:
  GoldenStage(Device& device, const ModelSpec& model, const Options& options)
      : device_(device), model_(model), options_(options) {}
  std::string NameInFile(const TensorLayout& tensor) const;

  Device& device_;
  const ModelSpec model_;
  Options options_;
  ModelLayout layout_;
  std::unique_ptr<Stage> stage_;
  std::vector<Named> named_;
  kernels::Span tokens_, labels_, resets_;
};

}  // namespace carousel::golden
