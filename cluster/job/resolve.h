// From a job as written to a resolved one: the preset's values and every default written out, then
// checked for meaning, with all faults reported at once beside the loader's.
//
// A resolved job sets every field that applies to it (fields of the other family, of another
// learning-rate shape or of the other data source stay unset), has no preset, and resolves to
// itself. It is what is stored, shown, sent to workers and compared.
//
// Pure functions apart from the dataset probe, safe from any thread. Errors are kInvalidArgument,
// one fault a line: place, path, value, limit, remedy.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "cluster/job/faults.h"
#include "proto/job.pb.h"

namespace carousel {

// What a job needs to know of its dataset.
struct DatasetFacts {
  std::string digest;      // of its manifest, lower-case hex
  int64_t vocab_size = 0;  // every token is below it
  int64_t tokens = 0;      // of the training part
};

// Opens the dataset in `folder` and says what it is; an error's message is shown to the user.
using DatasetProbe = std::function<absl::StatusOr<DatasetFacts>(const std::string& folder)>;

struct ResolveOptions {
  // Absent (`validate` away from the data): the dataset is not looked at and data.dataset_digest
  // stays as it is.
  DatasetProbe probe_dataset;
};

// A job as written, with its places and what was wrong with it so far.
struct JobDraft {
  JobSpec job;
  FieldPlaces places;
  Faults faults;
  bool readable =
      true;  // false: the text was no document, and its fields are not known to be absent
};

absl::StatusOr<JobSpec> ResolveJob(JobDraft draft, const ResolveOptions& options = {});

// The same for a job that came as a message. A list has no "left out": with a preset, an empty
// model.slstm_at gets the preset's, so whoever read a file resolves it before sending it.
absl::StatusOr<JobSpec> ResolveJob(const JobSpec& job, const ResolveOptions& options = {});

// Version of the CPU kernels' definition. Raised by any change of a bit: a job of another version
// is refused.
inline constexpr int64_t kKernelVersion = 2;

// G: the smallest power of two that is at least `max_replicas`.
int64_t GradientLeaves(int64_t max_replicas);

// Of a resolved job.
inline int64_t MicroBatches(const JobSpec& job) {
  return job.data().batch_size() / job.numerics().micro_batch_size();
}

// The embedding, the blocks, the head.
inline int64_t UnitCount(const ModelSpec& model) { return model.num_blocks() + 2; }

}  // namespace carousel
