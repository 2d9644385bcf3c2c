#include "cluster/job/job_file.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include "cluster/job/yaml_document.h"
#include "cluster/job/yaml_writer.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

// At most one byte more than ParseYaml takes.
absl::StatusOr<std::string> ReadJobFile(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    return absl::NotFoundError(path + ": there is no such file; examples are in cluster/jobs/");
  }
  if (!std::filesystem::is_regular_file(status)) {
    return absl::InvalidArgumentError(path + ": is not a file; name the job file itself");
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxYamlBytes + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file && !file.eof()) {
    return absl::InvalidArgumentError(path + ": cannot be read; check its permissions");
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

}  // namespace

const YamlDialect& JobDialect() {
  static const auto& dialect =
      *new YamlDialect{{{"ScheduleKind", "1f1b", "ONE_F_ONE_B"},
                        {"ScheduleKind", "auto", "SCHEDULE_KIND_UNSPECIFIED"},
                        {"WeightDecayRule", "kernel-only", "KERNEL_ONLY"}},
                       {{"data.dataset", {"data.synthetic"}},
                        {"data.synthetic", {"data.dataset", "data.dataset_digest"}}}};
  return dialect;
}

JobDraft ParseJob(std::string_view text, const std::string& source,
                  const std::vector<Override>& overrides) {
  JobDraft draft;
  std::optional<YamlNode> document = ParseYaml(text, source, &draft.faults);
  draft.readable = document && document->kind == YamlNode::Kind::kMap;
  if (!document) return draft;
  ApplyOverrides(overrides, JobDialect(), &*document, &draft.faults);
  LoadYaml(*document, JobDialect(), &draft.job, &draft.places, &draft.faults);
  return draft;
}

absl::StatusOr<JobSpec> LoadJobFile(const std::string& path, const std::vector<Override>& overrides,
                                    const ResolveOptions& options) {
  CAROUSEL_ASSIGN_OR_RETURN(const std::string text, ReadJobFile(path));
  return ResolveJob(ParseJob(text, path, overrides), options);
}

std::string JobToYaml(const JobSpec& job) { return ToYaml(job, JobDialect()); }

}  // namespace carousel
