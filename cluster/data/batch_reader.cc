#include "cluster/data/batch_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/counted.h"
#include "cluster/data/data_limits.h"
#include "cluster/data/keyed_permutation.h"
#include "cluster/status_macros.h"
#include "proto/job.pb.h"

namespace carousel {
namespace {

absl::Status CheckSequenceLength(const DataSpec& spec) {
  if (spec.sequence_length() >= 1 && spec.sequence_length() <= kMaxSequenceLength) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "data.sequence_length: is ", spec.sequence_length(), ", expected 1 to ", kMaxSequenceLength));
}

void FillEmptySequence(int64_t b, MicroBatch* batch) {
  for (int64_t t = 0; t < batch->sequence_length; ++t) {
    const int64_t at = t * batch->sequences + b;
    batch->tokens[at] = 0;
    batch->labels[at] = kIgnoredLabel;
    batch->resets[at] = t == 0;
  }
}

}  // namespace

absl::StatusOr<BatchReader> BatchReader::ForTraining(std::shared_ptr<const Dataset> dataset,
                                                     const DataSpec& spec) {
  CAROUSEL_RETURN_IF_ERROR(CheckSequenceLength(spec));
  const CorpusPart part = dataset->Part(CorpusSide::kTraining);
  if (part.token_count() < 2) {
    return absl::InvalidArgumentError(absl::StrCat("data: the training part has ",
                                                   Counted(part.token_count(), "token"),
                                                   "; at least 2 are needed"));
  }
  const TokenWindows windows(part, spec.sequence_length(), spec.reset_at_document_boundaries(),
                             dataset->tokens_are_bytes());
  return BatchReader(std::move(dataset), windows, /*shuffled=*/true, spec.shuffle_seed());
}

absl::StatusOr<BatchReader> BatchReader::ForEvaluation(std::shared_ptr<const Dataset> dataset,
                                                       const DataSpec& spec) {
  CAROUSEL_RETURN_IF_ERROR(CheckSequenceLength(spec));
  const CorpusPart part = dataset->Part(CorpusSide::kHeldOut);
  if (part.token_count() < 2) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data: nothing is held out, so there is nothing to evaluate on; ",
        dataset->manifest() ? "make the dataset with a smaller --held-out-block, or with more text"
                            : "raise data.synthetic.tokens"));
  }
  const TokenWindows windows(part, spec.sequence_length(), spec.reset_at_document_boundaries(),
                             dataset->tokens_are_bytes());
  return BatchReader(std::move(dataset), windows, /*shuffled=*/false, 0);
}

int64_t BatchReader::WindowOf(int64_t sequence) const {
  if (!shuffled_) return sequence;
  const int64_t count = windows_.count();
  return KeyedPermutation(shuffle_seed_, sequence / count, count).At(sequence % count);
}

absl::Status BatchReader::Read(int64_t first, int64_t sequences, MicroBatch* batch) const {
  CAROUSEL_CHECK(first >= 0 && sequences >= 1);
  batch->sequence_length = windows_.sequence_length();
  batch->sequences = sequences;
  const auto size = static_cast<size_t>(batch->sequence_length * sequences);
  batch->tokens.resize(size);
  batch->labels.resize(size);
  batch->resets.resize(size);
  batch->predicted = 0;
  batch->predicted_bytes = 0;
  for (int64_t b = 0; b < sequences; ++b) {
    const int64_t window = WindowOf(first + b);
    if (window < windows_.count()) {
      CAROUSEL_RETURN_IF_ERROR(ExplainDamage(windows_.Read(window, b, batch), dataset_->folder()));
    } else {
      FillEmptySequence(b, batch);
    }
  }
  return absl::OkStatus();
}

}  // namespace carousel
