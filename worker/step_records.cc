#include "worker/step_records.h"

#include "absl/strings/str_cat.h"
#include "proto/worker.pb.h"

namespace carousel {

std::string EncodeEvidence(const StepEvidence& evidence) {
  EvidenceRecord record;
  record.set_loss_sum(evidence.loss_sum);
  record.set_tokens(evidence.tokens);
  record.mutable_squares()->Assign(evidence.squares.begin(), evidence.squares.end());
  record.mutable_non_finite()->Assign(evidence.non_finite.begin(), evidence.non_finite.end());
  return record.SerializeAsString();
}

absl::StatusOr<StepEvidence> DecodeEvidence(std::string_view bytes) {
  EvidenceRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return absl::DataLossError("a neighbour's evidence of the step is no EvidenceRecord");
  StepEvidence evidence;
  evidence.loss_sum = record.loss_sum();
  evidence.tokens = record.tokens();
  evidence.squares.assign(record.squares().begin(), record.squares().end());
  evidence.non_finite.assign(record.non_finite().begin(), record.non_finite().end());
  return evidence;
}

absl::Status CheckEvidence(const StepEvidence& evidence, const ModelLayout& layout, int end_unit) {
  int64_t granules = 0;
  for (int unit = 0; unit < end_unit; ++unit) granules += layout.units[unit].Granules();
  const int64_t squares = static_cast<int64_t>(evidence.squares.size());
  const int64_t units = static_cast<int64_t>(evidence.non_finite.size());
  if (squares == granules && units == end_unit) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("a neighbour's evidence has ", squares, " granules of ",
                                          units, " units where the plan says ", granules, " of ",
                                          end_unit));
}

std::string EncodeDecision(const StepDecision& decision) {
  DecisionRecord record;
  record.set_apply(decision.apply);
  record.set_reason(decision.reason);
  record.set_loss(decision.loss);
  record.set_grad_norm(decision.grad_norm);
  record.set_scale(decision.update.scale);
  record.set_learning_rate(decision.update.learning_rate);
  record.set_beta1(decision.update.beta1);
  record.set_beta2(decision.update.beta2);
  record.set_epsilon(decision.update.epsilon);
  record.set_weight_decay(decision.update.weight_decay);
  record.set_correction1(decision.update.correction1);
  record.set_correction2(decision.update.correction2);
  record.set_checkpoint(decision.checkpoint);
  record.set_stop(decision.stop);
  return record.SerializeAsString();
}

absl::StatusOr<StepDecision> DecodeDecision(std::string_view bytes) {
  DecisionRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return absl::DataLossError("a neighbour's decision on the step is no DecisionRecord");
  StepDecision decision;
  decision.apply = record.apply();
  decision.reason = record.reason();
  decision.loss = record.loss();
  decision.grad_norm = record.grad_norm();
  decision.update = {.scale = record.scale(),
                     .learning_rate = record.learning_rate(),
                     .beta1 = record.beta1(),
                     .beta2 = record.beta2(),
                     .epsilon = record.epsilon(),
                     .weight_decay = record.weight_decay(),
                     .correction1 = record.correction1(),
                     .correction2 = record.correction2()};
  decision.checkpoint = record.checkpoint();
  decision.stop = record.stop();
  return decision;
}

}  // namespace carousel
