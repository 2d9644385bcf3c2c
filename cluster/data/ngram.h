// Byte n-gram baselines: what a model of one, two or three tokens of memory reaches on the same
// held-out text. A neural model that does not beat the trigram has learned spelling at most.
//
// Interpolated Witten-Bell (Witten and Bell 1991; Chen and Goodman 1998, section 2.4): with c the
// counts and T(h) the number of different tokens seen after context h,
//   P(w | h) = (c(h w) + T(h) * P(w | h')) / (c(h) + T(h)),   h' = h without its oldest token,
// down to the uniform distribution over the vocabulary.
//
// What is measured is what a model is asked for, too: every held-out token that is not the first of
// a document (nor of a block). Contexts do not reach across borders. The separator is a token like
// others, its cost counts; but the sum is divided by the bytes of text among the predicted tokens,
// for which a separator is none. Hence "bits per byte".
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "cluster/data/corpus_part.h"
#include "cluster/data/file_io.h"

namespace carousel {

struct NgramBaselines {
  double unigram_bits_per_byte = 0;
  double bigram_bits_per_byte = 0;
  double trigram_bits_per_byte = 0;
  int64_t predicted = 0;        // tokens of the held-out part
  int64_t predicted_bytes = 0;  // those that are text
};

// Counts the training part, measures the held-out part; both of byte tokens. One thread, both
// streamed; memory is 68 MB of trigram counts whatever the corpus. Counts are 32-bit, so at most
// the first 4e9 training tokens are used. Progress counts tokens of both parts. kFailedPrecondition
// if one part has nothing to count or to predict, or holds tokens that are no bytes.
absl::StatusOr<NgramBaselines> MeasureNgramBaselines(const CorpusPart& training,
                                                     const CorpusPart& held_out,
                                                     const ByteProgress& progress);

}  // namespace carousel
