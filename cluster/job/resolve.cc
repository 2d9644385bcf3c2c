#include "cluster/job/resolve.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cluster/counted.h"
#include "cluster/job/defaults.h"
#include "cluster/job/validate.h"

namespace carousel {
namespace {

void ProbeDataset(const DatasetProbe& probe, JobDraft* draft) {
  DataSpec* data = draft->job.mutable_data();
  if (!probe || data->dataset().empty()) return;
  const Place place = draft->places.Find("data.dataset");
  const auto facts = probe(data->dataset());
  if (!facts.ok()) {
    draft->faults.Add(place, "data.dataset", std::string(facts.status().message()));
    return;
  }
  if (data->has_dataset_digest() && data->dataset_digest() != facts->digest) {
    draft->faults.Add(place, "data.dataset",
                      Quoted(data->dataset()) + " holds other data than the job was accepted with",
                      "its digest is " + facts->digest + ", the job's " + data->dataset_digest());
  }
  data->set_dataset_digest(facts->digest);
  const ModelSpec& model = draft->job.model();
  if (model.has_vocab_size() && model.vocab_size() < facts->vocab_size) {
    draft->faults.Add(draft->places.Find("model.vocab_size"), "model.vocab_size",
                      std::to_string(model.vocab_size()) + " is below the dataset's vocabulary, " +
                          std::to_string(facts->vocab_size));
  }
  if (data->has_sequence_length() && facts->tokens <= data->sequence_length()) {
    draft->faults.Add(place, "data.dataset",
                      "its training part of " + Counted(facts->tokens, "token") +
                          " does not fill one window of data.sequence_length + 1 = " +
                          std::to_string(data->sequence_length() + 1));
  }
}

// True if the message, or one inside it, came from a build whose schema has fields that ours lacks.
bool HasUnknownFields(const google::protobuf::Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (!reflection.GetUnknownFields(message).empty()) return true;
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  return std::any_of(fields.begin(), fields.end(), [&](const auto* field) {
    return !field->is_repeated() &&
           field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE &&
           HasUnknownFields(reflection.GetMessage(message, field));
  });
}

}  // namespace

absl::StatusOr<JobSpec> ResolveJob(JobDraft draft, const ResolveOptions& options) {
  if (!draft.readable) return draft.faults.ToStatus();
  FillDefaults(&draft);
  const bool blocks_are_known = ValidateModel(&draft);
  ValidateTraining(&draft, blocks_are_known);
  ProbeDataset(options.probe_dataset, &draft);
  if (absl::Status status = draft.faults.ToStatus(); !status.ok()) return status;
  return std::move(draft.job);
}

absl::StatusOr<JobSpec> ResolveJob(const JobSpec& job, const ResolveOptions& options) {
  JobDraft draft;
  draft.job = job;
  if (HasUnknownFields(job)) {
    draft.faults.Add({}, "", "the job has fields that this build does not know",
                     "use the same version on both sides");
  }
  return ResolveJob(std::move(draft), options);
}

int64_t GradientLeaves(int64_t max_replicas) {
  int64_t leaves = 1;
  while (leaves < max_replicas && leaves < (int64_t{1} << 62)) leaves *= 2;
  return leaves;
}

}  // namespace carousel
