#include "cluster/data/builder.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/counted.h"
#include "cluster/data/document_splitter.h"
#include "cluster/data/file_io.h"
#include "cluster/data/indexed_writer.h"
#include "cluster/data/jsonl.h"
#include "cluster/data/staging_folder.h"
#include "cluster/data/text_input.h"
#include "cluster/data/tokenizer.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr size_t kMaxSeparatorBytes = 4096;
constexpr size_t kTokensPerAppend = 1 << 16;

// Turns documents into tokens and closes each with the separator token.
class TokenSink : public DocumentSink {
 public:
  explicit TokenSink(IndexedWriter* writer) : writer_(writer) {}

  absl::Status AddText(std::string_view text) override {
    has_text_ = has_text_ || !text.empty();
    while (!text.empty()) {
      const std::string_view piece = text.substr(0, kTokensPerAppend);
      ids_.resize(piece.size());
      ByteTokenizer::Encode(piece, ids_.data());
      CAROUSEL_RETURN_IF_ERROR(writer_->Append(ids_));
      text.remove_prefix(piece.size());
    }
    return absl::OkStatus();
  }

  absl::Status EndDocument() override {
    if (!std::exchange(has_text_, false)) {
      ++empty_documents_;
      return absl::OkStatus();
    }
    constexpr int32_t kSeparator[] = {ByteTokenizer::kSeparator};
    CAROUSEL_RETURN_IF_ERROR(writer_->Append(kSeparator));
    return writer_->EndDocument();
  }

  int64_t empty_documents() const { return empty_documents_; }

 private:
  IndexedWriter* writer_;
  std::vector<int32_t> ids_;
  bool has_text_ = false;
  int64_t empty_documents_ = 0;
};

bool IsJsonl(std::string_view path) {
  return path.ends_with(".jsonl") || path.ends_with(".jsonl.zst");
}

std::string FormatOf(std::string_view path) {
  return absl::StrCat(IsJsonl(path) ? "jsonl" : "text", path.ends_with(".zst") ? ".zst" : "");
}

bool IsUtf8(const std::string& text) {
  try {
    (void)nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

absl::Status CheckOptions(const BuildOptions& options) {
  if (options.inputs.empty()) {
    return absl::InvalidArgumentError("input files: none given; name at least one text file");
  }
  CAROUSEL_RETURN_IF_ERROR(CheckHeldOutWish(options.held_out_block_tokens, options.held_out_every));
  if (options.text_field.empty() || !IsUtf8(options.text_field)) {
    return absl::InvalidArgumentError("text field: expected a name in UTF-8, such as \"text\"");
  }
  if (const auto& separator = options.document_separator; separator) {
    if (separator->size() > kMaxSeparatorBytes ||
        separator->find_first_of("\r\n") != std::string::npos || !IsUtf8(*separator)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "document separator: expected one line of UTF-8 without its line end, at most ",
          kMaxSeparatorBytes, " bytes, or \"\" for empty lines"));
    }
  }
  return absl::OkStatus();
}

// Every input can be read. Their bytes together; 0 if not known.
absl::StatusOr<int64_t> CheckInputs(const std::vector<std::string>& inputs) {
  int64_t total = 0;
  bool all_known = true;
  for (const std::string& path : inputs) {
    CAROUSEL_ASSIGN_OR_RETURN(const int64_t bytes, CheckInputFile(path));
    all_known = all_known && bytes >= 0;
    total += bytes;
  }
  return all_known ? total : 0;
}

// One pass over the inputs.
class Build {
 public:
  Build(const BuildOptions& options, int64_t bytes_total, IndexedWriter* writer)
      : options_(options), writer_(writer), sink_(writer) {
    progress_.bytes_total = bytes_total;
  }

  absl::Status AddFile(const std::string& path) {
    CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<TextInput> input, TextInput::Open(path));
    const int64_t documents_before = writer_->documents();
    if (IsJsonl(path)) {
      JsonlSplitter splitter(path, options_.text_field, &sink_);
      CAROUSEL_RETURN_IF_ERROR(Pump(input.get(), &splitter));
    } else {
      DocumentSplitter splitter(options_.document_separator, &sink_);
      CAROUSEL_RETURN_IF_ERROR(Pump(input.get(), &splitter));
    }
    bytes_of_whole_files_ += input->bytes_read();
    sources_.push_back({path,
                        FormatOf(path),
                        {input->bytes_read(), input->FileHash()},
                        writer_->documents() - documents_before});
    return absl::OkStatus();
  }

  DatasetManifest Describe(const IndexedTotals& totals) const {
    DatasetManifest manifest;
    manifest.tokenizer = ByteTokenizer::kName;
    manifest.vocabulary = ByteTokenizer::kVocabulary;
    manifest.separator_token = ByteTokenizer::kSeparator;
    manifest.tokens = totals.tokens;
    manifest.documents = totals.documents;
    manifest.empty_documents = sink_.empty_documents();
    manifest.bin = {totals.bin_bytes, totals.bin_hash};
    manifest.idx = {totals.idx_bytes, totals.idx_hash};
    manifest.document_separator = options_.document_separator;
    manifest.text_field = options_.text_field;
    manifest.sources = sources_;
    manifest.held_out =
        ChooseHeldOut(totals.tokens, options_.held_out_block_tokens, options_.held_out_every);
    return manifest;
  }

 private:
  template <class Splitter>
  absl::Status Pump(TextInput* input, Splitter* splitter) {
    while (true) {
      CAROUSEL_ASSIGN_OR_RETURN(const std::string_view text, input->Next());
      if (text.empty()) break;
      CAROUSEL_RETURN_IF_ERROR(splitter->Add(text));
      CAROUSEL_RETURN_IF_ERROR(Report(bytes_of_whole_files_ + input->bytes_read()));
    }
    CAROUSEL_RETURN_IF_ERROR(splitter->Finish());
    return Report(bytes_of_whole_files_ + input->bytes_read());
  }

  absl::Status Report(int64_t bytes_done) {
    if (!options_.progress) return absl::OkStatus();
    progress_.bytes_done = bytes_done;
    progress_.documents = writer_->documents();
    progress_.tokens = writer_->tokens();
    if (options_.progress(progress_)) return absl::OkStatus();
    return absl::CancelledError("the build was stopped; nothing of it is left");
  }

  const BuildOptions& options_;
  IndexedWriter* writer_;
  TokenSink sink_;
  BuildProgress progress_;
  int64_t bytes_of_whole_files_ = 0;
  std::vector<DatasetSource> sources_;
};

absl::Status Differs(const BuildOptions& options, std::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat(options.output, ": holds another dataset: ", std::string(what),
                   "; choose another output folder or remove this one"));
}

absl::Status CompareRules(const BuildOptions& options, const DatasetManifest& built) {
  bool any_text = false;
  bool any_jsonl = false;
  for (const std::string& path : options.inputs) (IsJsonl(path) ? any_jsonl : any_text) = true;
  if (built.tokenizer != ByteTokenizer::kName) return Differs(options, "its tokenizer differs");
  if (any_text && built.document_separator != options.document_separator) {
    return Differs(options, "its document separator differs");
  }
  if (any_jsonl && built.text_field != options.text_field) {
    return Differs(options, absl::StrCat("its text field is \"", built.text_field, "\""));
  }
  const HeldOutRule rule =
      ChooseHeldOut(built.tokens, options.held_out_block_tokens, options.held_out_every);
  if (built.held_out != rule) return Differs(options, "its held-out blocks differ");
  return absl::OkStatus();
}

absl::Status CompareSources(const BuildOptions& options, const DatasetManifest& built) {
  if (built.sources.size() != options.inputs.size()) {
    return Differs(
        options, absl::StrCat("it was built from ",
                              Counted(static_cast<int64_t>(built.sources.size()), "file"), ", not ",
                              options.inputs.size()));
  }
  for (size_t i = 0; i < options.inputs.size(); ++i) {
    const DatasetSource& source = built.sources[i];
    CAROUSEL_ASSIGN_OR_RETURN(const RandomAccessFile file,
                              RandomAccessFile::Open(options.inputs[i]));
    const bool same_size = file.size() == source.content.bytes;
    CAROUSEL_ASSIGN_OR_RETURN(const std::string hash,
                              same_size ? HashFile(file, {}) : absl::StatusOr<std::string>(""));
    if (hash != source.content.xxh3_128 || FormatOf(options.inputs[i]) != source.format) {
      return Differs(options, absl::StrCat("the content of ", options.inputs[i],
                                           " is not that of its source ", source.path));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DatasetManifest> BuildDataset(const BuildOptions& options) {
  CAROUSEL_RETURN_IF_ERROR(CheckOptions(options));
  CAROUSEL_ASSIGN_OR_RETURN(const int64_t bytes_total, CheckInputs(options.inputs));
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<StagingFolder> staging,
                            StagingFolder::Create(options.output));
  CAROUSEL_ASSIGN_OR_RETURN(IndexedWriter writer,
                            IndexedWriter::Create(TokensPrefix(staging->path()),
                                                  TokenTypeFor(ByteTokenizer::kVocabulary)));
  Build build(options, bytes_total, &writer);
  for (const std::string& path : options.inputs) CAROUSEL_RETURN_IF_ERROR(build.AddFile(path));
  if (writer.documents() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        options.inputs.front(),
        options.inputs.size() > 1 ? absl::StrCat(" and ", options.inputs.size() - 1, " more") : "",
        ": no text in there; a dataset needs at least one byte of it"));
  }
  CAROUSEL_ASSIGN_OR_RETURN(const IndexedTotals totals, writer.Finish());
  const DatasetManifest manifest = build.Describe(totals);
  CAROUSEL_RETURN_IF_ERROR(WriteManifest(staging->path(), manifest));
  CAROUSEL_RETURN_IF_ERROR(staging->Commit());
  return manifest;
}

absl::Status CheckAlreadyBuilt(const BuildOptions& options) {
  CAROUSEL_RETURN_IF_ERROR(CheckOptions(options));
  CAROUSEL_ASSIGN_OR_RETURN(const DatasetManifest built, ReadManifest(options.output));
  CAROUSEL_RETURN_IF_ERROR(CompareRules(options, built));
  return CompareSources(options, built);
}

}  // namespace carousel
