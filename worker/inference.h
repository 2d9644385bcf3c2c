// Inference: a checkpoint's model, forward only, for held-out loss and for text. It runs on a
// backend of its own, beside whatever the worker trains.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cluster/shard_store.h"
#include "kernels/backend.h"
#include "proto/worker.pb.h"
#include "worker/stage.h"

namespace carousel {

// What it works with; outlives the call.
struct InferenceParts {
  kernels::Backend* backend = nullptr;
  const ShardStore* shards = nullptr;
  std::function<bool()> cancelled;  // asked between pieces of work; ends the call with kCancelled
};

// Loss of a checkpoint on the held-out blocks of a dataset: of the job's own, which must be the one
// that it was trained on (else blocks that it has seen might count), or of the one that the request
// names. Calls `progress` now and then and once at the end; stops early when it returns false. An
// error names the dataset; kNotFound if it is no longer there.
absl::Status EvaluateCheckpoint(const WorkerEvaluateRequest& request, const InferenceParts& parts,
                                const std::function<bool(const EvaluateProgress&)>& progress);

// Continues a prompt token by token in recurrent step form: the state is carried, no context is
// kept. Stops at the document separator, after max_tokens, or when `text` returns false. Equal
// (checkpoint, prompt, temperature, seed) give equal text. kFailedPrecondition if the model's
// tokens are not bytes, or if nothing says so any more: the job's dataset is gone.
absl::Status GenerateText(const WorkerGenerateRequest& request, const InferenceParts& parts,
                          const std::function<bool(const std::string&)>& text);

}  // namespace carousel
