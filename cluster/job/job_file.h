// The front door: a job file, with overrides from the command line, to a resolved job.
//
// Thread-safe. Errors: kNotFound if there is no such file, kInvalidArgument with every fault, one a
// line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cluster/job/overrides.h"
#include "cluster/job/resolve.h"
#include "cluster/job/yaml_loader.h"
#include "proto/job.pb.h"

namespace carousel {

// What job files call things: 1f1b, auto. And that a source of data named by --set takes the place
// of the file's.
const YamlDialect& JobDialect();

// A job as written: loaded, not yet resolved. `source` names the text in messages.
JobDraft ParseJob(std::string_view text, const std::string& source,
                  const std::vector<Override>& overrides = {});

absl::StatusOr<JobSpec> LoadJobFile(const std::string& path,
                                    const std::vector<Override>& overrides = {},
                                    const ResolveOptions& options = {});

// A job with every field written out, as YAML that ParseJob reads back to the same job.
std::string JobToYaml(const JobSpec& job);

}  // namespace carousel
