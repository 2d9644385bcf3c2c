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

// Loss of a checkpoint on the held-out blocks of a dataset. Calls `progress` now and then and once
// at the end; stops early when it returns false.
absl::Status EvaluateCheckpoint(const WorkerEvaluateRequest& request, kernels::Backend* backend,
                                const ShardStore& shards,
                                const std::function<bool(const EvaluateProgress&)>& progress);

// Continues a prompt token by token in recurrent step form: the state is carried, no context is
// kept. Stops at the document separator, after max_tokens, or when `text` returns false. Equal
// (checkpoint, prompt, temperature, seed) give equal text.
absl::Status GenerateText(const WorkerGenerateRequest& request, kernels::Backend* backend,
                          const ShardStore& shards,
                          const std::function<bool(const std::string&)>& text);

}  // namespace carousel
