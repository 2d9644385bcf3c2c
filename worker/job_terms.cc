#include "worker/job_terms.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"

namespace carousel {

absl::Status CheckVocabulary(const Dataset& dataset, const JobSpec& job) {
  if (dataset.vocabulary() <= job.model().vocab_size()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "model.vocab_size: is ", job.model().vocab_size(), ", the data's vocabulary has ",
      dataset.vocabulary(), " tokens; set it to at least ", dataset.vocabulary()));
}

absl::Status CheckDataset(const Dataset& dataset, const JobSpec& job) {
  CAROUSEL_RETURN_IF_ERROR(CheckVocabulary(dataset, job));
  const std::string& expected = job.data().dataset_digest();
  if (expected.empty() || expected == dataset.content_hash()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("data.dataset_digest: the job was made with ", expected, ", the data here is ",
                   dataset.content_hash(), "; bring back the dataset that it was made with"));
}

std::string UnitName(const UnitLayout& unit) {
  switch (unit.kind) {
    case UnitKind::kEmbedding:
      return "embedding";
    case UnitKind::kHead:
      return "head";
    default:
      return absl::StrCat("blocks.", unit.block);
  }
}

StageCapacity CapacityOf(const JobSpec& job, int slots, int segments) {
  StageCapacity capacity;
  capacity.sequence_length = job.data().sequence_length();
  capacity.batch = job.numerics().micro_batch_size();
  capacity.slots = slots;
  capacity.borders = std::max(1, segments - 1);
  capacity.chunk = job.numerics().chunk_length();
  return capacity;
}

absl::StatusOr<BatchReader> OpenTrainingData(const JobSpec& job) {
  CAROUSEL_ASSIGN_OR_RETURN(std::shared_ptr<const Dataset> dataset, Dataset::Open(job.data()));
  CAROUSEL_RETURN_IF_ERROR(CheckDataset(*dataset, job));
  return BatchReader::ForTraining(std::move(dataset), job.data());
}

absl::Status ReadSequences(const BatchReader& reader, int64_t first, int64_t count,
                           MicroBatch* batch) {
  const absl::Status read = reader.Read(first, count, batch);
  if (read.ok()) return read;
  return absl::Status(read.code(), absl::StrCat("data.dataset: ", read.message()));
}

absl::StatusOr<MicroBatch> ReadMicroBatch(const BatchReader& reader, const JobSpec& job,
                                          int64_t step, int index) {
  const int64_t size = job.numerics().micro_batch_size();
  MicroBatch batch;
  CAROUSEL_RETURN_IF_ERROR(ReadSequences(
      reader, FirstSequence(step, job.data().batch_size(), index, size), size, &batch));
  return batch;
}

CursorTerms CursorTermsOf(const JobSpec& job, const BatchReader& reader) {
  return {.batch_size = job.data().batch_size(),
          .windows = reader.windows(),
          .shuffle_seed = job.data().shuffle_seed(),
          .dataset_digest = job.data().dataset_digest()};
}

}  // namespace carousel
