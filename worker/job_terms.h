// What a worker reads out of a resolved job, in one place.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cluster/cursor.h"
#include "cluster/data/batch_reader.h"
#include "cluster/data/dataset.h"
#include "cluster/job/model_layout.h"
#include "proto/job.pb.h"
#include "worker/memory.h"

namespace carousel {

// "embedding", "blocks.3", "head": as in shards and messages.
std::string UnitName(const UnitLayout& unit);

// Memory of a stage that keeps `slots` micro-batches cut into `segments`.
StageCapacity CapacityOf(const JobSpec& job, int slots, int segments);

// kInvalidArgument if the dataset has tokens that the model has no row for.
absl::Status CheckVocabulary(const Dataset& dataset, const JobSpec& job);

// Moreover kFailedPrecondition if it is not the one that the job was resolved with.
absl::Status CheckDataset(const Dataset& dataset, const JobSpec& job);

// Errors name the dataset or the field; as CheckDataset.
absl::StatusOr<BatchReader> OpenTrainingData(const JobSpec& job);

// Sequences [first, first + count) of the job's data. An error names the field, and in the
// reader's words what is wrong; trying again reads the same bytes.
absl::Status ReadSequences(const BatchReader& reader, int64_t first, int64_t count,
                           MicroBatch* batch);

// Micro-batch `index` of `step`; errors as ReadSequences.
absl::StatusOr<MicroBatch> ReadMicroBatch(const BatchReader& reader, const JobSpec& job,
                                          int64_t step, int index);

// What the job's data cursor depends on.
CursorTerms CursorTermsOf(const JobSpec& job, const BatchReader& reader);

}  // namespace carousel
