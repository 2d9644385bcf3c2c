#include "cluster/data/held_out.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/counted.h"

namespace carousel {
namespace {

constexpr int64_t kPreferredFirst = 7;

bool IsRule(const HeldOutRule& rule) {
  if (rule.every == 0) return true;
  return rule.every >= 2 && rule.every <= kMaxHeldOutEvery && rule.block_tokens >= 1 &&
         rule.block_tokens <= kMaxHeldOutBlock && rule.first >= 0 && rule.first < rule.every;
}

}  // namespace

absl::Status CheckHeldOutWish(int64_t block_tokens, int64_t every) {
  if (every < 0 || every == 1 || every > kMaxHeldOutEvery) {
    return absl::InvalidArgumentError(absl::StrCat("held-out every: is ", every,
                                                   ", expected 0 (hold nothing out) or 2 to ",
                                                   kMaxHeldOutEvery));
  }
  if (block_tokens < 2 || block_tokens > kMaxHeldOutBlock) {
    return absl::InvalidArgumentError(absl::StrCat("held-out block: is ", block_tokens,
                                                   " tokens, expected 2 to ", kMaxHeldOutBlock));
  }
  return absl::OkStatus();
}

HeldOutRule ChooseHeldOut(int64_t tokens, int64_t block_tokens, int64_t every) {
  CAROUSEL_CHECK(every == 0 || (every >= 2 && block_tokens >= 1));
  const int64_t whole_blocks = every == 0 ? 0 : tokens / block_tokens;
  if (whole_blocks < 2) return {block_tokens, 0, 0};
  return {block_tokens, every, std::min({kPreferredFirst, every - 1, whole_blocks - 1})};
}

std::string HeldOutWarning(const HeldOutRule& rule, int64_t tokens) {
  const bool was_wished = rule.every == 0 && tokens / rule.block_tokens >= 2;
  if (was_wished || HeldOutSplit(rule, tokens, CorpusSide::kHeldOut).token_count() >= 2) return {};
  // A tenth of it in one block.
  const std::string block =
      tokens < 4 ? ""
                 : absl::StrCat("--held-out-block ", std::max<int64_t>(2, tokens / 10), ", or ");
  return absl::StrCat(
      "nothing is held out, so `carousel eval` will have nothing to judge a model by: ",
      Counted(tokens, "token"), " are fewer than two blocks of ", rule.block_tokens,
      "; make the dataset with ", block, "more text");
}

HeldOutSplit::HeldOutSplit(const HeldOutRule& rule, int64_t tokens, CorpusSide side)
    : rule_(rule), tokens_(tokens), side_(side) {
  CAROUSEL_CHECK(tokens >= 0 && IsRule(rule));
  int64_t held_out = 0;
  int64_t held_out_blocks = 0;
  int64_t last_end = 0;  // where the last held-out block ends
  if (const int64_t block = rule.block_tokens;
      rule.every > 0 && tokens > 0 && (tokens - 1) / block >= rule.first) {
    held_out_blocks = ((tokens - 1) / block - rule.first) / rule.every + 1;
    const int64_t last = rule.first + (held_out_blocks - 1) * rule.every;
    last_end = std::min(tokens, (last + 1) * block);
    held_out = (held_out_blocks - 1) * block + last_end - last * block;
  }
  if (side == CorpusSide::kHeldOut) {
    token_count_ = held_out;
    run_count_ = held_out_blocks;
    return;
  }
  token_count_ = tokens - held_out;
  // One run before each held-out block (unless that block opens the stream), one after the last.
  run_count_ = held_out_blocks + (last_end < tokens) - (held_out_blocks > 0 && rule.first == 0);
}

TokenRun HeldOutSplit::RunAt(int64_t position) const {
  CAROUSEL_CHECK(position >= 0 && position < token_count_);
  if (rule_.every == 0) return {position, tokens_ - position, position == 0};
  const int64_t block = rule_.block_tokens;
  int64_t run_start = 0;
  int64_t run_end = 0;
  int64_t within = position;
  if (side_ == CorpusSide::kHeldOut) {
    run_start = (rule_.first + position / block * rule_.every) * block;
    run_end = run_start + block;
    within = position % block;
  } else if (position < rule_.first * block) {
    run_end = rule_.first * block;
  } else {
    const int64_t kept = (rule_.every - 1) * block;  // between two held-out blocks
    const int64_t after = position - rule_.first * block;
    run_start = (rule_.first + after / kept * rule_.every + 1) * block;
    run_end = run_start + kept;
    within = after % kept;
  }
  run_end = std::min(run_end, tokens_);
  return {run_start + within, run_end - run_start - within, within == 0};
}

}  // namespace carousel
