#include "coordinator/job_view.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "coordinator/decide.h"
#include "coordinator/state.h"

namespace carousel {
namespace {

std::string Hex(const std::string& bytes) {
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

void ShowCheckpoint(const CheckpointRecord& checkpoint, Job* view) {
  view->set_step(checkpoint.step());
  view->set_state_digest(Hex(checkpoint.state_digest()));
  view->set_loss(checkpoint.summary().loss());
  view->set_tokens(checkpoint.summary().tokens());
  view->set_grad_norm(checkpoint.summary().grad_norm());
  view->set_learning_rate(checkpoint.summary().learning_rate());
}

}  // namespace

Job ViewJob(const CoordinatorState& state, const JobRecord& record, const JobProgress* progress) {
  Job view;
  view.set_job(record.job());
  view.set_state(record.state());
  const std::string waits_for = WaitsFor(state, record);
  view.set_reason(waits_for.empty() ? record.reason() : waits_for);
  view.set_cut_short(record.cut_short());
  view.set_steps(record.spec().steps());
  view.set_committed_step(CommittedStep(record));
  *view.mutable_spec() = record.spec();
  view.set_contract(record.contract_hash());
  view.set_epoch(record.epoch());
  view.set_submitted_at(record.submitted_at());
  if (record.has_plan()) {
    view.set_schedule(record.plan().schedule());
    view.set_segments(record.plan().segments());
    view.set_predicted_bubble_ratio(record.plan().predicted_bubble_ratio());
  }
  if (!record.checkpoints().empty()) {
    ShowCheckpoint(record.checkpoints(record.checkpoints_size() - 1), &view);
  }
  if (progress != nullptr && IsActive(record.state())) progress->Show(&view);
  return view;
}

ListCheckpointsResponse ViewCheckpoints(const JobRecord& record) {
  ListCheckpointsResponse response;
  for (int i = record.checkpoints_size() - 1; i >= 0; --i) {
    const CheckpointRecord& checkpoint = record.checkpoints(i);
    Checkpoint* view = response.add_checkpoints();
    view->set_job(record.job());
    view->set_step(checkpoint.step());
    view->set_state_digest(Hex(checkpoint.state_digest()));
    view->set_committed_at(checkpoint.committed_at());
    int64_t bytes = 0;
    for (const ShardRef& shard : checkpoint.shards()) {
      bytes += shard.bytes();
      const auto& holders = view->holders();
      if (std::find(holders.begin(), holders.end(), shard.holder()) == holders.end()) {
        view->add_holders(shard.holder());
      }
    }
    view->set_bytes(bytes);
  }
  return response;
}

}  // namespace carousel
