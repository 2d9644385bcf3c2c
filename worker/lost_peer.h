// Errors that remember who is gone, what cannot be read or that a step was refused, through every
// layer that only passes them on, so that a StageFailure can say what the coordinator is to do
// about it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "proto/coordinator.pb.h"

namespace carousel {

// kUnavailable: the other end of an edge is gone; the worker behind the stage can be named.
absl::Status LostStageError(int stage, std::string_view message);
std::optional<int> LostStageOf(const absl::Status& status);

// kUnavailable: a worker that holds shards cannot be reached.
absl::Status LostWorkerError(std::string_view worker, std::string_view message);
std::optional<std::string> LostWorkerOf(const absl::Status& status);

// kDataLoss: a checkpoint's shard is damaged or gone; the checkpoint before it may do.
absl::Status UnreadableShardError(std::string_view message);
bool IsUnreadableShard(const absl::Status& status);

// kAborted: the stages have decided together not to apply a step.
absl::Status RefusedStepError(std::string_view reason);
bool IsRefusedStep(const absl::Status& status);

// Whether the end of a call says that nobody is there any more. With any other error the peer has
// answered.
bool IsPeerGone(const absl::Status& end);

// The failure's reason, and what of the above its status remembers. `plan` tells which worker is
// behind a lost stage.
void Explain(const absl::Status& status, const Plan& plan, StageFailure* failure);

}  // namespace carousel
