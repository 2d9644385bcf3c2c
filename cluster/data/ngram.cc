#include "cluster/data/ngram.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cluster/data/tokenizer.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr int64_t kVocabulary = ByteTokenizer::kVocabulary;
constexpr int64_t kMaxTrainingTokens = 4'000'000'000;
constexpr int64_t kTokensPerRead = 1 << 20;

// The tokens before the one at hand, as far as its document reaches back; at most two.
struct Context {
  int64_t length = 0;
  int32_t older = 0;
  int32_t newer = 0;

  void Push(int32_t token) {
    older = newer;
    newer = token;
    length = std::min<int64_t>(length + 1, 2);
  }
};

// Counts of one order: `contexts` rows of one count per token.
class CountTable {
 public:
  explicit CountTable(int64_t contexts)
      : counts_(static_cast<size_t>(contexts * kVocabulary)),
        totals_(static_cast<size_t>(contexts)),
        kinds_(static_cast<size_t>(contexts)) {}

  void Add(int64_t context, int32_t token) {
    if (counts_[context * kVocabulary + token]++ == 0) ++kinds_[context];
    ++totals_[context];
  }

  double Probability(int64_t context, int32_t token, double shorter) const {
    const double kinds = kinds_[context];
    if (kinds == 0) return shorter;
    return (counts_[context * kVocabulary + token] + kinds * shorter) / (totals_[context] + kinds);
  }

 private:
  std::vector<uint32_t> counts_;
  std::vector<uint32_t> totals_;
  std::vector<uint32_t> kinds_;  // different tokens seen after the context
};

class NgramModel {
 public:
  void Add(const Context& context, int32_t token) {
    unigram_.Add(0, token);
    if (context.length >= 1) bigram_.Add(context.newer, token);
    if (context.length >= 2) trigram_.Add(PairOf(context), token);
  }

  // Bits that the token costs under each order; out[3]: unigram, bigram, trigram.
  void Cost(const Context& context, int32_t token, double* out) const {
    double p = unigram_.Probability(0, token, 1.0 / kVocabulary);
    out[0] = -std::log2(p);
    if (context.length >= 1) p = bigram_.Probability(context.newer, token, p);
    out[1] = -std::log2(p);
    if (context.length >= 2) p = trigram_.Probability(PairOf(context), token, p);
    out[2] = -std::log2(p);
  }

 private:
  static int64_t PairOf(const Context& context) {
    return context.older * kVocabulary + context.newer;
  }

  CountTable unigram_{1};
  CountTable bigram_{kVocabulary};
  CountTable trigram_{kVocabulary * kVocabulary};
};

absl::Status NoBytes(int32_t token) {
  return absl::FailedPreconditionError(absl::StrCat(
      "baselines: token ", token, " stands for no byte; only byte n-grams are counted here"));
}

// Calls visit(context, token, starts) for the first `count` tokens of a part, in order.
template <class Visit>
absl::Status ForEachToken(const CorpusPart& part, int64_t count, int64_t done_before,
                          const ByteProgress& progress, const Visit& visit) {
  std::vector<int32_t> tokens(static_cast<size_t>(std::min(count, kTokensPerRead)));
  std::vector<uint8_t> starts(tokens.size());
  Context context;
  for (int64_t first = 0; first < count; first += kTokensPerRead) {
    const int64_t length = std::min(count - first, kTokensPerRead);
    CAROUSEL_RETURN_IF_ERROR(part.Read(first, length, tokens.data(), starts.data()));
    for (int64_t i = 0; i < length; ++i) {
      if (tokens[i] >= kVocabulary) return NoBytes(tokens[i]);
      if (starts[i]) context = Context();
      visit(context, tokens[i], starts[i] != 0);
      context.Push(tokens[i]);
    }
    if (progress && !progress(done_before + first + length)) {
      return absl::CancelledError("the baselines were stopped");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NgramBaselines> MeasureNgramBaselines(const CorpusPart& training,
                                                     const CorpusPart& held_out,
                                                     const ByteProgress& progress) {
  NgramModel model;
  const int64_t counted = std::min(training.token_count(), kMaxTrainingTokens);
  CAROUSEL_RETURN_IF_ERROR(ForEachToken(
      training, counted, 0, progress,
      [&](const Context& context, int32_t token, bool) { model.Add(context, token); }));

  NgramBaselines result;
  double bits[3] = {0, 0, 0};
  CAROUSEL_RETURN_IF_ERROR(
      ForEachToken(held_out, held_out.token_count(), counted, progress,
                   [&](const Context& context, int32_t token, bool first_of_document) {
                     if (first_of_document) return;
                     double cost[3];
                     model.Cost(context, token, cost);
                     for (int order = 0; order < 3; ++order) bits[order] += cost[order];
                     result.predicted += 1;
                     result.predicted_bytes += ByteTokenizer::TextBytes(token);
                   }));
  if (counted == 0 || result.predicted_bytes == 0) {
    return absl::FailedPreconditionError(
        "baselines: nothing to count, or nothing held out to measure; make the dataset with a "
        "smaller --held-out-block, or with more text");
  }
  result.unigram_bits_per_byte = bits[0] / static_cast<double>(result.predicted_bytes);
  result.bigram_bits_per_byte = bits[1] / static_cast<double>(result.predicted_bytes);
  result.trigram_bits_per_byte = bits[2] / static_cast<double>(result.predicted_bytes);
  return result;
}

}  // namespace carousel
