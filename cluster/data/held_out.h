// Which tokens are training text and which are kept for evaluation.
//
// The token stream is cut into blocks of `block_tokens`; block `first` and every `every`-th after
// it are held out. The rule is fixed when a dataset is built and recorded in its manifest, so that
// no setting of a job can leak evaluation text into training. Each part is then read as one stream
// of its own, its blocks moved together; the places where blocks were cut out are document borders.
//
// Pure arithmetic, safe from any thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace carousel {

enum class CorpusSide { kTraining, kHeldOut };

// The largest block and the largest period: with both, and 2^56 tokens, no position overflows.
inline constexpr int64_t kMaxHeldOutBlock = int64_t{1} << 30;
inline constexpr int64_t kMaxHeldOutEvery = int64_t{1} << 30;

// Invariant: every == 0 (nothing is held out), or every is 2 to kMaxHeldOutEvery and
// 0 <= first < every; block_tokens is 1 to kMaxHeldOutBlock.
struct HeldOutRule {
  int64_t block_tokens = 65536;
  int64_t every = 0;
  int64_t first = 0;

  bool operator==(const HeldOutRule&) const = default;
};

// What a person may ask for: kInvalidArgument names the value and its limits.
absl::Status CheckHeldOutWish(int64_t block_tokens, int64_t every);

// The rule for a stream of `tokens`: block 7 and every `every`-th after it (not block 0, where
// files carry their headers; early enough that half a megabyte of text has one). A stream that ends
// before gives its last whole block; one of fewer than two whole blocks gives nothing.
HeldOutRule ChooseHeldOut(int64_t tokens, int64_t block_tokens, int64_t every);

// What to tell who made a dataset, or trains on it, when too little is held out to judge a model
// by: why, and the way out. Empty if all is well, or if a stream that is long enough holds nothing
// out because that was asked for.
std::string HeldOutWarning(const HeldOutRule& rule, int64_t tokens);

// Consecutive tokens of the whole stream.
struct TokenRun {
  int64_t position;  // in the whole stream
  int64_t length;
  bool begins_run;  // the token before `position` is on the other side (or there is none)
};

// One side of a stream of `tokens` tokens, as a map from its positions to the whole stream's.
class HeldOutSplit {
 public:
  HeldOutSplit(const HeldOutRule& rule, int64_t tokens, CorpusSide side);

  int64_t token_count() const { return token_count_; }
  int64_t run_count() const { return run_count_; }  // uninterrupted stretches

  // What lies at `position` of this side: as much of it as is uninterrupted in the whole stream.
  TokenRun RunAt(int64_t position) const;

 private:
  HeldOutRule rule_;
  int64_t tokens_;
  CorpusSide side_;
  int64_t token_count_ = 0;
  int64_t run_count_ = 0;
};

}  // namespace carousel
