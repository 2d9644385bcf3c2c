// BatchReader: the micro-batches of a job, each computed from its place alone.
//
// A job's sequences are numbered from 0 without end. Sequence n of a corpus with W windows is
// window P(n mod W) of data epoch n div W, P being that epoch's keyed permutation. Step t reads the
// sequences from t * batch_size on; row b of micro-batch j is sequence t * batch_size + j * B + b.
// So the cursor is the step, and whoever reads a micro-batch needs to know nothing of the others.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/dataset.h"
#include "cluster/data/micro_batch.h"
#include "cluster/data/token_windows.h"

namespace carousel {

class DataSpec;

// The number of the first sequence of micro-batch `micro_batch` of `step`.
constexpr int64_t FirstSequence(int64_t step, int64_t batch_size, int64_t micro_batch,
                                int64_t micro_batch_size) {
  return step * batch_size + micro_batch * micro_batch_size;
}

// Immutable and thread-safe: any number of threads may Read at once, each into its own MicroBatch.
// Shares ownership of the dataset.
class BatchReader {
 public:
  // The training part in shuffled order, data epoch after data epoch. Uses sequence_length,
  // shuffle_seed and reset_at_document_boundaries of the spec. Errors name the data.<field>.
  static absl::StatusOr<BatchReader> ForTraining(std::shared_ptr<const Dataset> dataset,
                                                 const DataSpec& spec);

  // The held-out part, once, in order; sequences at or beyond windows() are empty (every label
  // ignored), so the last micro-batch needs no special size. kFailedPrecondition if the dataset
  // holds nothing out.
  static absl::StatusOr<BatchReader> ForEvaluation(std::shared_ptr<const Dataset> dataset,
                                                   const DataSpec& spec);

  int64_t windows() const { return windows_.count(); }  // W, of one data epoch

  // Sequences [first, first + sequences) as one micro-batch; reuses the batch's memory. kDataLoss
  // if a token is none of the vocabulary or the files changed for the worse since they were opened:
  // trying again is no use, and the message names what is (ExplainDamage).
  absl::Status Read(int64_t first, int64_t sequences, MicroBatch* batch) const;

 private:
  BatchReader(std::shared_ptr<const Dataset> dataset, const TokenWindows& windows, bool shuffled,
              int64_t shuffle_seed)
      : dataset_(std::move(dataset)),
        windows_(windows),
        shuffled_(shuffled),
        shuffle_seed_(shuffle_seed) {}

  int64_t WindowOf(int64_t sequence) const;

  std::shared_ptr<const Dataset> dataset_;
  TokenWindows windows_;
  bool shuffled_;
  int64_t shuffle_seed_;
};

}  // namespace carousel
