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

absl::Status CheckSize(const std::string& path, const DatasetFile& expected) {
  CAROUSEL_ASSIGN_OR_RETURN(const RandomAccessFile file, RandomAccessFile::Open(path));
  if (file.size() == expected.bytes) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, ": has ", file.size(), " bytes, its manifest says ",
                                          expected.bytes,
                                          "; restore the file or build the dataset again"));
}

absl::Status CheckHash(const std::string& path, const DatasetFile& expected) {
  CAROUSEL_ASSIGN_OR_RETURN(const RandomAccessFile file, RandomAccessFile::Open(path));
  CAROUSEL_ASSIGN_OR_RETURN(const std::string hash, HashFile(file, {}));
  if (hash == expected.xxh3_128) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, ": its hash is ", hash, ", its manifest says ",
                                          expected.xxh3_128,
                                          "; restore the file or build the dataset again"));
}

absl::Status CheckCount(const std::string& folder, const char* name, int64_t actual,
                        int64_t expected) {
  if (actual == expected) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(ManifestPath(folder), ": ", name, ": is ", expected,
                                          ", but the files hold ", actual));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Dataset>> Dataset::OpenFolder(const std::string& folder) {
  CAROUSEL_ASSIGN_OR_RETURN(DatasetManifest manifest, ReadManifest(folder));
  if (manifest.tokenizer != ByteTokenizer::kName ||
      manifest.vocabulary != ByteTokenizer::kVocabulary) {
    return absl::InvalidArgumentError(absl::StrCat(
        ManifestPath(folder), ": tokenizer: is \"", manifest.tokenizer, "\" with a vocabulary of ",
        manifest.vocabulary, "; this build knows \"byte\" with ", ByteTokenizer::kVocabulary));
  }
  const std::string prefix = TokensPrefix(folder);
  CAROUSEL_RETURN_IF_ERROR(CheckSize(prefix + ".bin", manifest.bin));
  CAROUSEL_RETURN_IF_ERROR(CheckSize(prefix + ".idx", manifest.idx));
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<IndexedDataset> source,
                            IndexedDataset::Open(prefix, manifest.vocabulary));
  CAROUSEL_RETURN_IF_ERROR(CheckHash(prefix + ".idx", manifest.idx));
  CAROUSEL_RETURN_IF_ERROR(CheckCount(folder, "tokens", source->token_count(), manifest.tokens));
  CAROUSEL_RETURN_IF_ERROR(
      CheckCount(folder, "documents", source->document_count(), manifest.documents));

  std::shared_ptr<Dataset> dataset(new Dataset);
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
        "wrote");
  }
  absl::StatusOr<std::shared_ptr<const Dataset>> dataset = OpenFolder(spec.dataset());
  if (dataset.ok()) return dataset;
  return absl::Status(dataset.status().code(),
                      absl::StrCat("data.dataset: ", dataset.status().message()));
}

}  // namespace carousel
