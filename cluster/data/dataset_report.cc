#include "cluster/data/dataset_report.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/data/dataset.h"
#include "cluster/data/document_ends.h"
#include "cluster/data/printable.h"
#include "cluster/data/tokenizer.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr int64_t kTokensPerRead = 1 << 20;

// Whether the error says what is wrong with the dataset, and so belongs in the report. Any other (a
// disk that cannot be read, a wish to stop) ends the verification.
bool IsFinding(const absl::Status& status) {
  return status.code() == absl::StatusCode::kInvalidArgument ||
         status.code() == absl::StatusCode::kDataLoss ||
         status.code() == absl::StatusCode::kNotFound;
}

class Verification {
 public:
  Verification(std::string folder, const ByteProgress& progress)
      : folder_(std::move(folder)), progress_(progress) {}

  absl::StatusOr<VerifyReport> Run() {
    absl::StatusOr<DatasetManifest> manifest = ReadManifest(folder_);
    if (absl::IsNotFound(manifest.status())) return manifest.status();
    CAROUSEL_RETURN_IF_ERROR(Note(manifest.status()));
    if (!manifest.ok()) return std::move(report_);

    const std::string prefix = TokensPrefix(folder_);
    CAROUSEL_RETURN_IF_ERROR(Note(CheckFile(prefix + ".idx", manifest->idx)));
    CAROUSEL_RETURN_IF_ERROR(Note(CheckFile(prefix + ".bin", manifest->bin)));
    absl::StatusOr<std::shared_ptr<const Dataset>> dataset = Dataset::OpenFolder(folder_);
    CAROUSEL_RETURN_IF_ERROR(Note(dataset.status()));
    if (dataset.ok()) {
      CAROUSEL_RETURN_IF_ERROR(Note(CheckTokens((*dataset)->source(), *manifest)));
    }
    return std::move(report_);
  }

 private:
  // Keeps a finding, once; passes on what is none.
  absl::Status Note(const absl::Status& status) {
    if (status.ok() || !IsFinding(status)) return status;
    std::string problem(status.message());
    auto& problems = report_.problems;
    if (std::find(problems.begin(), problems.end(), problem) == problems.end()) {
      problems.push_back(std::move(problem));
    }
    return absl::OkStatus();
  }

  absl::Status Advance(int64_t bytes) {
    if (!progress_ || progress_(report_.bytes_checked + bytes)) return absl::OkStatus();
    return absl::CancelledError(absl::StrCat(folder_, ": stopped while reading"));
  }

  absl::Status CheckFile(const std::string& path, const DatasetFile& expected) {
    CAROUSEL_ASSIGN_OR_RETURN(const RandomAccessFile file, RandomAccessFile::Open(path));
    CAROUSEL_RETURN_IF_ERROR(CheckSize(file, expected));
    CAROUSEL_RETURN_IF_ERROR(CheckHash(file, expected, [&](int64_t done) {
      return !progress_ || progress_(report_.bytes_checked + done);
    }));
    report_.bytes_checked += file.size();
    return absl::OkStatus();
  }

  absl::Status CheckTokens(const TokenSource& source, const DatasetManifest& manifest) {
    const int64_t count = source.token_count();
    DocumentEnds ends(manifest, TokensPrefix(folder_) + ".bin");
    std::vector<int32_t> tokens;
    std::vector<int64_t> starts;
    for (int64_t first = 0; first < count; first += kTokensPerRead) {
      const int64_t length = std::min(count - first, kTokensPerRead);
      tokens.resize(static_cast<size_t>(length));
      CAROUSEL_RETURN_IF_ERROR(source.Read(first, length, tokens.data()));
      starts.clear();
      CAROUSEL_RETURN_IF_ERROR(source.AppendDocumentStarts(first, first + length, &starts));
      CAROUSEL_RETURN_IF_ERROR(ends.Add(first, tokens, starts));
      CAROUSEL_RETURN_IF_ERROR(Advance(manifest.bin.bytes / count * (first + length)));
    }
    report_.bytes_checked += manifest.bin.bytes;
    return ends.Finish(count);
  }

  std::string folder_;
  const ByteProgress& progress_;
  VerifyReport report_;
};

absl::StatusOr<DocumentLengths> MeasureDocuments(const TokenSource& source) {
  DocumentLengths lengths;
  lengths.shortest = source.token_count();
  int64_t open = -1;  // where the document begins whose end is looked for
  const auto end_at = [&](int64_t end) {
    if (open < 0) return;
    const int64_t length = end - open;
    lengths.count += 1;
    lengths.shortest = std::min(lengths.shortest, length);
    lengths.longest = std::max(lengths.longest, length);
    lengths.histogram[std::bit_width(static_cast<uint64_t>(length)) - 1] += 1;
  };
  std::vector<int64_t> starts;
  for (int64_t first = 0; first < source.token_count(); first += kTokensPerRead) {
    starts.clear();
    const int64_t end = std::min(first + kTokensPerRead, source.token_count());
    CAROUSEL_RETURN_IF_ERROR(source.AppendDocumentStarts(first, end, &starts));
    for (int64_t start : starts) {
      end_at(start);
      open = start;
    }
  }
  end_at(source.token_count());
  lengths.mean = static_cast<double>(source.token_count()) / static_cast<double>(lengths.count);
  return lengths;
}

}  // namespace

absl::StatusOr<VerifyReport> VerifyDataset(const std::string& folder,
                                           const ByteProgress& progress) {
  return Verification(folder, progress).Run();
}

absl::StatusOr<DatasetSummary> InspectDataset(const std::string& folder, int64_t sample_length) {
  CAROUSEL_ASSIGN_OR_RETURN(const std::shared_ptr<const Dataset> dataset,
                            Dataset::OpenFolder(folder));
  const TokenSource& source = dataset->source();
  DatasetSummary summary;
  summary.manifest = *dataset->manifest();
  summary.content_hash = dataset->content_hash();
  const HeldOutSplit held_out(summary.manifest.held_out, source.token_count(),
                              CorpusSide::kHeldOut);
  summary.held_out_tokens = held_out.token_count();
  summary.held_out_blocks = held_out.run_count();
  summary.warning = HeldOutWarning(summary.manifest.held_out, source.token_count());
  summary.training_tokens = source.token_count() - held_out.token_count();
  CAROUSEL_ASSIGN_OR_RETURN(summary.documents, MeasureDocuments(source));
  std::vector<int32_t> sample(
      static_cast<size_t>(std::clamp<int64_t>(sample_length, 0, source.token_count())));
  CAROUSEL_RETURN_IF_ERROR(source.Read(0, static_cast<int64_t>(sample.size()), sample.data()));
  if (dataset->tokens_are_bytes()) {
    summary.sample =
        Printable(ByteTokenizer::Decode(sample.data(), static_cast<int64_t>(sample.size())));
  } else {
    summary.sample_tokens = std::move(sample);
  }
  return summary;
}

}  // namespace carousel
