// What workers are told.
#include <algorithm>
#include <utility>

#include "coordinator/fold.h"

namespace carousel {

void Fold::Send(const std::string& worker, CoordinatorMessage message, int64_t restore_step) {
  effects_.push_back(SendToWorker{worker, std::move(message), restore_step});
}

void Fold::SendBoundary(const JobRecord& job, bool stop) {
  CoordinatorMessage message;
  Boundary* boundary = message.mutable_boundary();
  boundary->set_job(job.job());
  boundary->set_epoch(job.epoch());
  boundary->set_checkpoint(true);
  boundary->set_stop(stop);
  Send(job.plan().stages(job.plan().stages_size() - 1).worker(), std::move(message));
}

void Fold::SendCommitted(const JobRecord& job, const std::string& worker, bool at_rest) {
  CoordinatorMessage message;
  Committed* committed = message.mutable_committed();
  committed->set_job(job.job());
  committed->set_step(CommittedStep(job));
  committed->set_at_rest(at_rest);
  for (const CheckpointRecord& kept : job.checkpoints()) committed->add_kept(kept.step());
  Send(worker, std::move(message));
}

void Fold::SendInstall(const JobRecord& job, int stage) {
  CoordinatorMessage message;
  Install* install = message.mutable_install();
  *install->mutable_plan() = job.plan();
  install->set_stage(stage);
  *install->mutable_spec() = job.spec();
  if (job.restore_step() >= 0) {
    std::vector<std::string> holders;
    for (const ShardRef& shard : job.checkpoints(job.checkpoints_size() - 1).shards()) {
      holders.push_back(shard.holder());
    }
    std::sort(holders.begin(), holders.end());
    holders.erase(std::unique(holders.begin(), holders.end()), holders.end());
    for (const std::string& id : holders) {
      Holder* holder = install->add_holders();
      holder->set_worker(id);
      holder->set_address(state_.workers().at(id).hello().address());
    }
  }
  Send(job.plan().stages(stage).worker(), std::move(message), job.restore_step());
}

}  // namespace carousel
