#include "cluster/cursor.h"

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cluster/check.h"

namespace carousel {

Cursor CursorAt(const CursorTerms& terms, int64_t step) {
  CAROUSEL_CHECK(step >= 0 && terms.batch_size > 0 && terms.windows > 0);
  int64_t sequences = 0;
  CAROUSEL_CHECK(!__builtin_mul_overflow(step, terms.batch_size, &sequences));
  Cursor cursor;
  cursor.set_step(step);
  cursor.set_sequences(sequences);
  cursor.set_data_epoch(sequences / terms.windows);
  cursor.set_position(sequences % terms.windows);
  cursor.set_shuffle_seed(terms.shuffle_seed);
  cursor.set_dataset_digest(terms.dataset_digest);
  return cursor;
}

absl::Status CheckCursor(const Cursor& stored, const CursorTerms& terms, int64_t step) {
  const Cursor expected = CursorAt(terms, step);
  std::vector<std::string> differences;
  auto compare = [&](const char* field, auto is, auto should_be) {
    if (is == should_be) return;
    differences.push_back(absl::StrCat(field, " is ", is, ", the job says ", should_be));
  };
  compare("step", stored.step(), expected.step());
  compare("sequences", stored.sequences(), expected.sequences());
  compare("data_epoch", stored.data_epoch(), expected.data_epoch());
  compare("position", stored.position(), expected.position());
  compare("shuffle_seed", stored.shuffle_seed(), expected.shuffle_seed());
  compare("dataset_digest", absl::BytesToHexString(stored.dataset_digest()),
          absl::BytesToHexString(expected.dataset_digest()));
  if (differences.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the data cursor of step ", step, " does not fit the job: ", absl::StrJoin(differences, "; "),
      ". Resume with the dataset and job that wrote the checkpoint"));
}

}  // namespace carousel
