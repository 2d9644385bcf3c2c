// Dataset: what a job trains on, opened and ready to be read: a folder that `carousel data
// build` or `import` wrote, or the synthetic corpus. "Start here" among the readers of this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/corpus_part.h"
#include "cluster/data/dataset_manifest.h"
#include "cluster/data/held_out.h"
#include "cluster/data/token_source.h"

namespace carousel {

class DataSpec;
class SyntheticData;

// The error of whoever reads `folder` for a job: kDataLoss is told with the command that finds all
// of the damage. Other errors, and those of the synthetic corpus (no folder), stay as they are.
absl::Status ExplainDamage(const absl::Status& status, const std::string& folder);

// Immutable, thread-safe. Parts, windows and readers made from it refer to it: keep it alive.
class Dataset {
 public:
  // Checks the whole index, the index's hash and both sizes against the manifest; the tokens are
  // checked against the vocabulary as they are read, their hash by VerifyDataset. Errors name the
  // file and what is wrong with it: kNotFound; kDataLoss (not as it was built); kInvalidArgument
  // (no dataset, or one of another version).
  static absl::StatusOr<std::shared_ptr<const Dataset>> OpenFolder(const std::string& folder);

  static absl::StatusOr<std::shared_ptr<const Dataset>> OpenSynthetic(const SyntheticData& spec);

  // Whichever of the two the job names; errors name data.dataset or data.synthetic.
  static absl::StatusOr<std::shared_ptr<const Dataset>> Open(const DataSpec& spec);

  int64_t vocabulary() const { return vocabulary_; }

  // Whether a token stands for a byte of text. Imported tokens do not, as a rule: for those there
  // are no bits per byte, no byte n-grams, and no text.
  bool tokens_are_bytes() const { return !manifest_ || manifest_->tokens_are_bytes(); }

  // As it was opened; empty for the synthetic corpus.
  const std::string& folder() const { return folder_; }

  const TokenSource& source() const { return *source_; }
  CorpusPart Part(CorpusSide side) const { return CorpusPart(source_.get(), held_out_, side); }

  // 32 hex digits that stand for the tokens, their documents and the held-out rule: what a resumed
  // job compares. The folder's name is not in it.
  const std::string& content_hash() const { return content_hash_; }

  // Nothing for the synthetic corpus.
  const std::optional<DatasetManifest>& manifest() const { return manifest_; }

 private:
  Dataset() = default;

  std::string folder_;
  std::unique_ptr<const TokenSource> source_;
  int64_t vocabulary_ = 0;
  HeldOutRule held_out_;
  std::string content_hash_;
  std::optional<DatasetManifest> manifest_;
};

// Whether a model of this data can be asked for text: kFailedPrecondition says why not, also if the
// dataset, which alone knows, cannot be read (any more).
absl::Status CheckTokensAreBytes(const DataSpec& spec);

}  // namespace carousel
