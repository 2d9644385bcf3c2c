#include "cluster/data/importer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cluster/data/document_ends.h"
#include "cluster/data/indexed_dataset.h"
#include "cluster/data/staging_folder.h"
#include "cluster/data/token_codec.h"
#include "cluster/data/tokenizer.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr int64_t kBytesPerRead = 1 << 20;  // a whole number of tokens of any type

absl::Status CheckOptions(const ImportOptions& options) {
  const std::string_view prefix = options.prefix;
  if (prefix.ends_with(".bin") || prefix.ends_with(".idx")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "prefix: is ", options.prefix,
        ", expected the name without .bin or .idx: ", options.prefix.substr(0, prefix.size() - 4)));
  }
  if (options.vocabulary < 1 || options.vocabulary > INT32_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("vocabulary: is ", options.vocabulary,
                     ", expected the tokenizer's number of ids, 1 to ", INT32_MAX));
  }
  if (options.separator && (*options.separator < 0 || *options.separator >= options.vocabulary)) {
    return absl::InvalidArgumentError(absl::StrCat("separator: is ", *options.separator,
                                                   ", expected a token id, 0 to ",
                                                   options.vocabulary - 1));
  }
  CAROUSEL_RETURN_IF_ERROR(CheckHeldOutWish(options.held_out_block_tokens, options.held_out_every));
  return CheckTokenizer(options.tokenizer, options.vocabulary, options.separator);
}

// What is known before the tokens are read.
DatasetManifest Draft(const ImportOptions& options, const IndexedDataset& pair) {
  DatasetManifest manifest;
  manifest.tokenizer = options.tokenizer;
  manifest.vocabulary = options.vocabulary;
  manifest.tokens = pair.token_count();
  manifest.documents = pair.document_count();
  if (options.separator) manifest.separator_token = static_cast<int32_t>(*options.separator);
  manifest.held_out =
      ChooseHeldOut(manifest.tokens, options.held_out_block_tokens, options.held_out_every);
  return manifest;
}

// A file that is taken into the dataset while it is read, once, front to back: copied on the way,
// or linked at the beginning. Its hash is taken either way.
class TakenFile {
 public:
  static absl::StatusOr<TakenFile> Open(const std::string& source, const std::string& target,
                                        bool link) {
    if (link &&
        linkat(AT_FDCWD, source.c_str(), AT_FDCWD, target.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      const int cause = errno;
      const absl::Status error = FileError(cause, absl::StrCat("link to ", source), target);
      if (cause != EXDEV && cause != EPERM && cause != EMLINK && cause != EOPNOTSUPP) return error;
      return absl::FailedPreconditionError(
          absl::StrCat(error.message(),
                       "; import by copying, or into a folder on the file system of the source"));
    }
    CAROUSEL_ASSIGN_OR_RETURN(RandomAccessFile file,
                              RandomAccessFile::Open(link ? target : source));
    std::optional<SequentialWriter> copy;
    if (!link) {
      CAROUSEL_ASSIGN_OR_RETURN(copy, SequentialWriter::Create(target));
    }
    return TakenFile(std::move(file), target, std::move(copy));
  }

  int64_t size() const { return file_.size(); }

  // The next piece of the file, valid until the next call; empty at the end.
  absl::StatusOr<std::string_view> Next() {
    piece_.resize(static_cast<size_t>(std::min(kBytesPerRead, file_.size() - done_)));
    const auto bytes = static_cast<int64_t>(piece_.size());
    CAROUSEL_RETURN_IF_ERROR(file_.Read(done_, bytes, piece_.data()));
    done_ += bytes;
    if (!copy_) {
      hasher_.Update(piece_);
    } else {
      CAROUSEL_RETURN_IF_ERROR(copy_->Append(piece_));
    }
    return std::string_view(piece_);
  }

  // Makes it durable.
  absl::StatusOr<DatasetFile> Finish() {
    if (!copy_) {
      CAROUSEL_RETURN_IF_ERROR(SyncFile(target_));
      return DatasetFile{done_, hasher_.Hex()};
    }
    CAROUSEL_RETURN_IF_ERROR(copy_->Finish());
    return DatasetFile{copy_->size(), copy_->Hash()};
  }

 private:
  TakenFile(RandomAccessFile file, std::string target, std::optional<SequentialWriter> copy)
      : file_(std::move(file)), target_(std::move(target)), copy_(std::move(copy)) {}

  RandomAccessFile file_;
  std::string target_;
  std::optional<SequentialWriter> copy_;
  ContentHasher hasher_;  // of what is linked
  std::string piece_;
  int64_t done_ = 0;
};

// One import, into a staging folder.
class Import {
 public:
  Import(const ImportOptions& options, const IndexedDataset& pair, std::string target)
      : options_(options), pair_(pair), target_(std::move(target)) {}

  absl::StatusOr<DatasetManifest> Run() {
    DatasetManifest manifest = Draft(options_, pair_);
    CAROUSEL_ASSIGN_OR_RETURN(manifest.idx, TakeIndex());
    CAROUSEL_ASSIGN_OR_RETURN(manifest.bin, TakeTokens(manifest));
    CAROUSEL_RETURN_IF_ERROR(CheckAgain());
    manifest.sources.push_back(
        {options_.prefix + ".bin", "megatron", manifest.bin, manifest.documents});
    return manifest;
  }

 private:
  absl::StatusOr<TakenFile> Open(const char* ending) const {
    return TakenFile::Open(options_.prefix + ending, target_ + ending, options_.link);
  }

  absl::StatusOr<DatasetFile> TakeIndex() {
    CAROUSEL_ASSIGN_OR_RETURN(TakenFile idx, Open(".idx"));
    while (true) {
      CAROUSEL_ASSIGN_OR_RETURN(const std::string_view piece, idx.Next());
      if (piece.empty()) return idx.Finish();
      CAROUSEL_RETURN_IF_ERROR(Advance(piece));
    }
  }

  absl::StatusOr<DatasetFile> TakeTokens(const DatasetManifest& manifest) {
    CAROUSEL_ASSIGN_OR_RETURN(TakenFile bin, Open(".bin"));
    const int64_t width = TokenBytes(pair_.token_type());
    if (bin.size() != pair_.token_count() * width) return Changed();
    DocumentEnds ends(manifest, options_.prefix + ".bin");
    std::vector<int32_t> tokens;
    std::vector<int64_t> starts;
    for (int64_t first = 0; first < pair_.token_count();
         first += static_cast<int64_t>(tokens.size())) {
      CAROUSEL_ASSIGN_OR_RETURN(const std::string_view piece, bin.Next());
      tokens.resize(piece.size() / static_cast<size_t>(width));
      CAROUSEL_RETURN_IF_ERROR(Decode(piece, first, &tokens));
      starts.clear();
      if (manifest.separator_token) {
        CAROUSEL_RETURN_IF_ERROR(pair_.AppendDocumentStarts(
            first, first + static_cast<int64_t>(tokens.size()), &starts));
      }
      CAROUSEL_RETURN_IF_ERROR(Explained(ends.Add(first, tokens, starts)));
      CAROUSEL_RETURN_IF_ERROR(Advance(piece));
    }
    CAROUSEL_RETURN_IF_ERROR(Explained(ends.Finish(pair_.token_count())));
    return bin.Finish();
  }

  absl::Status Decode(std::string_view piece, int64_t first, std::vector<int32_t>* tokens) const {
    const TokenType type = pair_.token_type();
    const auto count = static_cast<int64_t>(tokens->size());
    const int64_t good =
        DecodeTokens(type, piece.data(), count, options_.vocabulary, tokens->data());
    if (good == count) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        options_.prefix, ".bin: token ", first + good, " is ",
        StoredNumber(type, piece.data() + good * TokenBytes(type)), ", not in the vocabulary of ",
        options_.vocabulary, "; is that the size of the tokenizer that made it?"));
  }

  // What is wrong with the end of a document.
  static absl::Status Explained(const absl::Status& status) {
    if (status.ok()) return status;
    return absl::Status(status.code(), absl::StrCat(status.message(),
                                                    "; name the token that ends documents, or "
                                                    "none if documents end without one"));
  }

  // What will be published is opened as a reader will open it: the source may have changed between
  // its check and now.
  absl::Status CheckAgain() const {
    CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<IndexedDataset> taken,
                              IndexedDataset::Open(target_, options_.vocabulary));
    const bool same = taken->token_count() == pair_.token_count() &&
                      taken->document_count() == pair_.document_count() &&
                      taken->token_type() == pair_.token_type();
    return same ? absl::OkStatus() : Changed();
  }

  absl::Status Changed() const {
    return absl::DataLossError(absl::StrCat(
        options_.prefix, ": changed while it was imported; wait until whoever writes it is done"));
  }

  absl::Status Advance(std::string_view piece) {
    bytes_done_ += static_cast<int64_t>(piece.size());
    if (!options_.progress || options_.progress(bytes_done_)) return absl::OkStatus();
    return absl::CancelledError("the import was stopped; nothing of it is left");
  }

  const ImportOptions& options_;
  const IndexedDataset& pair_;
  const std::string target_;  // prefix in the staging folder
  int64_t bytes_done_ = 0;
};

}  // namespace

absl::StatusOr<DatasetManifest> ImportDataset(const ImportOptions& options) {
  ImportOptions complete = options;
  if (complete.tokenizer == ByteTokenizer::kName && !complete.separator) {
    complete.separator = ByteTokenizer::kSeparator;
  }
  CAROUSEL_RETURN_IF_ERROR(CheckOptions(complete));
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<IndexedDataset> pair,
                            IndexedDataset::Open(complete.prefix, complete.vocabulary));
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<StagingFolder> staging,
                            StagingFolder::Create(complete.output));
  CAROUSEL_ASSIGN_OR_RETURN(const DatasetManifest manifest,
                            Import(complete, *pair, TokensPrefix(staging->path())).Run());
  CAROUSEL_RETURN_IF_ERROR(WriteManifest(staging->path(), manifest));
  CAROUSEL_RETURN_IF_ERROR(staging->Commit());
  return manifest;
}

}  // namespace carousel
