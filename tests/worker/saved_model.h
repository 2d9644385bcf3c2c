// A small job trained for some steps in one process, and the checkpoint of it in a worker's store.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "cluster/store.h"
#include "tests/worker/small_job.h"
#include "worker/job_terms.h"
#include "worker/local_trainer.h"
#include "worker/micro_batch_inputs.h"
#include "worker/optimizer.h"
#include "worker/snapshot.h"

namespace carousel {

class SavedModel {
 public:
  SavedModel(const JobSpec& job, int steps)
      : job_(job), trainer_(*LocalTrainer::Create(job_, backend_.get())) {
    for (int i = 0; i < steps; ++i) EXPECT_TRUE(trainer_->Step().ok());
    auto optimizer = Optimizer::Create(&trainer_->stage(), job_.optimizer().weight_decay_rule());
    const std::vector<Digest> digests = *optimizer->UnitDigests();
    absl::StatusOr<Snapshot> snapshot =
        Snapshot::Take(trainer_->stage(),
                       {.job = "job", .epoch = 1, .step = steps, .contract_hash = "c"}, digests);
    const auto records = snapshot->Write(shards_);
    EXPECT_TRUE(records.ok()) << records.status();
    manifest_.set_job("job");
    manifest_.set_step(steps);
    for (const ShardRecord& record : *records) {
      ShardRef& ref = *manifest_.add_units();
      ref.set_unit_name(record.unit_name());
      ref.set_digest(record.digest());
      ref.set_holder("w-1");
    }
  }

  const JobSpec& job() const { return job_; }
  Stage& stage() { return trainer_->stage(); }  // whole, with the weights that were stored
  ShardStore& shards() { return shards_; }
  const Manifest& manifest() const { return manifest_; }

  // Rows of S tokens of one sequence through the trainer's own stage: their logits before the
  // soft-cap, [S][V]. The job's micro-batches have one sequence.
  std::vector<std::vector<float>> Logits(const MicroBatch& rows) {
    Stage& stage = trainer_->stage();
    MicroBatchInputs inputs = *MicroBatchInputs::Create(backend_.get(), stage.stream(),
                                                        CapacityOf(job_, 1, 1), /*segments=*/1);
    EXPECT_TRUE(inputs.Load(0, rows).ok());
    stage.Forward(inputs.At(0, 0));
    const int64_t width = job_.model().vocab_size();
    std::vector<float> all(rows.sequence_length * width);
    backend_->CopyToHost(stage.stream(), stage.head()->logits(inputs.At(0, 0)), all.data());
    EXPECT_TRUE(backend_->Record(stage.stream()).Wait().ok());
    std::vector<std::vector<float>> logits;
    for (int64_t row = 0; row < rows.sequence_length; ++row)
      logits.emplace_back(all.begin() + row * width, all.begin() + (row + 1) * width);
    return logits;
  }

 private:
  const JobSpec job_;
  std::unique_ptr<kernels::Backend> backend_ = *kernels::NewBackend("cpu", 1);
  std::unique_ptr<LocalTrainer> trainer_;
  std::unique_ptr<Store> store_ = NewMemoryStore();
  ShardStore shards_{store_.get()};
  Manifest manifest_;
};

}  // namespace carousel
