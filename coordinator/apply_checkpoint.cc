// A checkpoint: asked for, prepared by every stage, committed; or found damaged.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/fold.h"

namespace carousel {

namespace {

PreparedStep* PreparedAt(JobRecord* job, int64_t step) {
  for (PreparedStep& prepared : *job->mutable_prepared()) {
    if (prepared.step() == step) return &prepared;
  }
  PreparedStep* prepared = job->add_prepared();
  prepared->set_step(step);
  return prepared;
}

void ForgetPrepared(JobRecord* job, int64_t up_to_step) {
  auto* prepared = job->mutable_prepared();
  prepared->erase(std::remove_if(prepared->begin(), prepared->end(),
                                 [&](const PreparedStep& p) { return p.step() <= up_to_step; }),
                  prepared->end());
}

}  // namespace

void Fold::Do(const CheckpointAsked& event) {
  JobRecord* job = Job(event.job());
  job->set_checkpoint_asked(true);
  SendBoundary(*job, /*stop=*/false);
}

void Fold::Do(const StagePrepared& event) {
  JobRecord* job = Job(event.job());
  PreparedStep* prepared = PreparedAt(job, event.step());
  prepared->add_stages(event.stage());
  std::sort(prepared->mutable_stages()->begin(), prepared->mutable_stages()->end());
  prepared->mutable_shards()->MergeFrom(event.shards());
  std::sort(prepared->mutable_shards()->begin(), prepared->mutable_shards()->end(),
            [](const ShardRef& a, const ShardRef& b) { return a.unit() < b.unit(); });
  if (event.has_cursor()) *prepared->mutable_cursor() = event.cursor();
  if (prepared->stages_size() == job->plan().stages_size()) {
    effects_.push_back(CommitCheckpoint{job->job(), job->epoch(), *prepared});
  }
}

void Fold::Do(const CheckpointCommitted& event) {
  JobRecord* job = Job(event.job());
  *job->add_checkpoints() = event.checkpoint();
  const int kept = std::max<int>(2, job->spec().checkpoint().keep());
  if (job->checkpoints_size() > kept) {
    job->mutable_checkpoints()->DeleteSubrange(0, job->checkpoints_size() - kept);
  }
  ForgetPrepared(job, event.checkpoint().step());
  job->set_checkpoint_asked(false);
  for (const std::string& worker : Attached()) SendCommitted(*job, worker, /*at_rest=*/false);
  FinishIfStopped(job);
}

void Fold::Do(const CheckpointDamaged& event) {
  JobRecord* job = Job(event.job());
  job->mutable_checkpoints()->RemoveLast();
  const std::string damage =
      absl::StrCat("the checkpoint of step ", event.step(), " is damaged: ", event.reason());
  if (job->checkpoints().empty()) {
    Rest(job, FAILED,
         absl::StrCat(damage, "; it was the last one, and a resume begins again at step 0"));
    return;
  }
  // The next decision is a new plan, from the checkpoint before.
  DropStages(job);
  job->clear_plan();
  job->set_reason(absl::StrCat(damage, "; goes back to step ", CommittedStep(*job)));
}

}  // namespace carousel
