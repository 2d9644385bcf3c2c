#include "cluster/data/dataset.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/data/content_hash.h"
#include "cluster/data/file_io.h"
#include "cluster/data/indexed_dataset.h"
#include "cluster/data/synthetic_corpus.h"
#include "cluster/data/tokenizer.h"
#include "cluster/status_macros.h"
#include "proto/job.pb.h"

namespace carousel {
namespace {

std::string Describe(const HeldOutRule& rule) {
  return absl::StrCat(rule.block_tokens, " ", rule.every, " ", rule.first);
}

absl::Status CheckCount(const std::string& folder, const char* name, int64_t actual,
                        int64_t expected) {
  if (actual == expected) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(ManifestPath(folder), ": ", name, ": is ", expected,
                                          ", but the files hold ", actual));
}

// A pair that does not hold up was whole when it was built.
absl::StatusOr<std::unique_ptr<IndexedDataset>> OpenBuiltPair(const std::string& prefix,
                                                              int64_t vocabulary) {
  absl::StatusOr<std::unique_ptr<IndexedDataset>> pair = IndexedDataset::Open(prefix, vocabulary);
  if (!absl::IsInvalidArgument(pair.status())) return pair;
  return absl::DataLossError(pair.status().message());
}

}  // namespace

absl::Status ExplainDamage(const absl::Status& status, const std::string& folder) {
  if (!absl::IsDataLoss(status) || folder.empty()) return status;
  return absl::DataLossError(absl::StrCat(status.message(),
                                          "; before trying again, let `carousel data verify ",
                                          folder, "` name all that is damaged"));
}

absl::StatusOr<std::shared_ptr<const Dataset>> Dataset::OpenFolder(const std::string& folder) {
  CAROUSEL_ASSIGN_OR_RETURN(DatasetManifest manifest, ReadManifest(folder));
  const std::string prefix = TokensPrefix(folder);
  CAROUSEL_ASSIGN_OR_RETURN(const RandomAccessFile bin, RandomAccessFile::Open(prefix + ".bin"));
  CAROUSEL_ASSIGN_OR_RETURN(const RandomAccessFile idx, RandomAccessFile::Open(prefix + ".idx"));
  CAROUSEL_RETURN_IF_ERROR(CheckSize(bin, manifest.bin));
  CAROUSEL_RETURN_IF_ERROR(CheckSize(idx, manifest.idx));
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<IndexedDataset> source,
                            OpenBuiltPair(prefix, manifest.vocabulary));
  CAROUSEL_RETURN_IF_ERROR(CheckHash(idx, manifest.idx, {}));
  CAROUSEL_RETURN_IF_ERROR(CheckCount(folder, "tokens", source->token_count(), manifest.tokens));
  CAROUSEL_RETURN_IF_ERROR(
      CheckCount(folder, "documents", source->document_count(), manifest.documents));

  std::shared_ptr<Dataset> dataset(new Dataset);
  dataset->folder_ = folder;
  dataset->source_ = std::move(source);
  dataset->vocabulary_ = manifest.vocabulary;
  dataset->held_out_ = manifest.held_out;
  dataset->content_hash_ =
      ContentHash(absl::StrCat("folder ", manifest.tokenizer, " ", manifest.bin.xxh3_128, " ",
                               manifest.idx.xxh3_128, " ", Describe(manifest.held_out)));
  dataset->manifest_ = std::move(manifest);
  return std::shared_ptr<const Dataset>(std::move(dataset));
}

absl::StatusOr<std::shared_ptr<const Dataset>> Dataset::OpenSynthetic(const SyntheticData& spec) {
  CAROUSEL_ASSIGN_OR_RETURN(
      std::unique_ptr<SyntheticCorpus> source,
      SyntheticCorpus::Create(spec.seed(), spec.tokens(), spec.mean_document_length()));
  std::shared_ptr<Dataset> dataset(new Dataset);
  dataset->vocabulary_ = ByteTokenizer::kVocabulary;
  dataset->held_out_ = source->held_out();
  dataset->content_hash_ = ContentHash(
      absl::StrCat("synthetic ", SyntheticCorpus::kVersion, " ", spec.seed(), " ", spec.tokens(),
                   " ", spec.mean_document_length(), " ", Describe(dataset->held_out_)));
  dataset->source_ = std::move(source);
  return std::shared_ptr<const Dataset>(std::move(dataset));
}

absl::StatusOr<std::shared_ptr<const Dataset>> Dataset::Open(const DataSpec& spec) {
  if (!spec.dataset().empty() && spec.has_synthetic()) {
    return absl::InvalidArgumentError(
        "data: both dataset and synthetic are set; leave one of them out");
  }
  if (spec.has_synthetic()) return OpenSynthetic(spec.synthetic());
  if (spec.dataset().empty()) {
    return absl::InvalidArgumentError(
        "data: neither dataset nor synthetic is set; name a folder that `carousel data build` "
        "or `carousel data import` wrote");
  }
  absl::StatusOr<std::shared_ptr<const Dataset>> dataset = OpenFolder(spec.dataset());
  if (dataset.ok()) return dataset;
  const absl::Status explained = ExplainDamage(dataset.status(), spec.dataset());
  return absl::Status(explained.code(), absl::StrCat("data.dataset: ", explained.message()));
}

absl::Status CheckTokensAreBytes(const DataSpec& spec) {
  if (spec.has_synthetic()) return absl::OkStatus();
  const absl::StatusOr<DatasetManifest> manifest = ReadManifest(spec.dataset());
  if (!manifest.ok()) {
    const std::string why =
        absl::IsNotFound(manifest.status())
            ? "is no longer there"
            : absl::StrCat("cannot be read (", manifest.status().message(), ")");
    return absl::FailedPreconditionError(absl::StrCat(
        "data.dataset: ", spec.dataset(), " ", why,
        ", and only it says whether this model's tokens are bytes of text; bring the folder back "
        "to this path or, unless the job is done, name where it lies now: `carousel resume JOB "
        "--dataset DIR`"));
  }
  if (manifest->tokens_are_bytes()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "data.dataset: ", spec.dataset(), " holds tokens that \"", manifest->tokenizer,
      "\" made, not bytes, and their text is not known here; only a model of bytes can "
      "be asked for text"));
}

}  // namespace carousel
