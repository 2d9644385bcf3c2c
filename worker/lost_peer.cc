#include "worker/lost_peer.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace carousel {
namespace {

constexpr char kLostStage[] = "carousel/lost-stage";
constexpr char kLostWorker[] = "carousel/lost-worker";
constexpr char kUnreadableShard[] = "carousel/unreadable-shard";
constexpr char kRefusedStep[] = "carousel/refused-step";

absl::Status WithPayload(absl::StatusCode code, std::string_view message, const char* key,
                         std::string_view value) {
  absl::Status status(code, absl::string_view(message.data(), message.size()));
  status.SetPayload(key, absl::Cord(absl::string_view(value.data(), value.size())));
  return status;
}

std::optional<std::string> PayloadOf(const absl::Status& status, const char* key) {
  const absl::optional<absl::Cord> payload = status.GetPayload(key);
  if (!payload.has_value()) return std::nullopt;
  return std::string(*payload);
}

}  // namespace

absl::Status LostStageError(int stage, std::string_view message) {
  return WithPayload(absl::StatusCode::kUnavailable, message, kLostStage, absl::StrCat(stage));
}

std::optional<int> LostStageOf(const absl::Status& status) {
  const std::optional<std::string> payload = PayloadOf(status, kLostStage);
  int stage = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(*payload, &stage)) return std::nullopt;
  return stage;
}

absl::Status LostWorkerError(std::string_view worker, std::string_view message) {
  return WithPayload(absl::StatusCode::kUnavailable, message, kLostWorker, worker);
}

std::optional<std::string> LostWorkerOf(const absl::Status& status) {
  return PayloadOf(status, kLostWorker);
}

absl::Status UnreadableShardError(std::string_view message) {
  return WithPayload(absl::StatusCode::kDataLoss, message, kUnreadableShard, "");
}

bool IsUnreadableShard(const absl::Status& status) {
  return PayloadOf(status, kUnreadableShard).has_value();
}

absl::Status RefusedStepError(std::string_view reason) {
  return WithPayload(absl::StatusCode::kAborted, reason, kRefusedStep, "");
}

bool IsRefusedStep(const absl::Status& status) {
  return PayloadOf(status, kRefusedStep).has_value();
}

// A connection that breaks reads as any of these, depending on who notices first.
bool IsPeerGone(const absl::Status& end) {
  return absl::IsUnavailable(end) || absl::IsCancelled(end) || absl::IsDeadlineExceeded(end) ||
         absl::IsUnknown(end);
}

void Explain(const absl::Status& status, const Plan& plan, StageFailure* failure) {
  failure->set_reason(std::string(status.message()));
  failure->set_non_finite(IsRefusedStep(status));
  failure->set_restore_unreadable(IsUnreadableShard(status));
  const std::optional<int> stage = LostStageOf(status);
  if (stage.has_value() && *stage < plan.stages_size())
    failure->set_lost_worker(plan.stages(*stage).worker());
  if (const std::optional<std::string> worker = LostWorkerOf(status); worker.has_value())
    failure->set_lost_worker(*worker);
}

}  // namespace carousel
