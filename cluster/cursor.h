// The data cursor: where in the token stream a step starts. It has no state of its own: under a
// job's contract it is an exact function of the step, which is what makes "every sequence once" a
// theorem and a resume exact. It is stored with the manifest all the same, and compared on load, so
// that a dataset that was rebuilt under a job is noticed.
//
// Sequences are numbered from 0 over the whole run; number i is the (i mod windows)-th in the
// shuffled order of data epoch i / windows. Step t reads [t * batch_size, (t + 1) * batch_size).
// Pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "proto/checkpoint.pb.h"

namespace carousel {

// What of a contract the cursor depends on.
struct CursorTerms {
  int64_t batch_size = 0;  // sequences a step, > 0
  int64_t windows = 0;     // sequences of one data epoch, > 0
  int64_t shuffle_seed = 0;
  std::string dataset_digest;  // of the dataset's manifest; bytes
};

// `step` >= 0.
Cursor CursorAt(const CursorTerms& terms, int64_t step);

// kFailedPrecondition, naming each field that differs with both values, unless `stored` is
// CursorAt(terms, step).
absl::Status CheckCursor(const Cursor& stored, const CursorTerms& terms, int64_t step);

}  // namespace carousel
