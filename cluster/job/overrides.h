// Single fields set from outside a job file: `--set path=value`, `--steps N`.
//
// A path names a field (`pipeline.stages`), or one element of a list (`model.slstm_at[1]`); the
// value is read as YAML (`model.slstm_at=[1, 3]`). Where a document holds one of several fields,
// naming one replaces the other: `data.dataset=DIR` takes data.synthetic out, and back with
// `data.synthetic={}`; a field within one (`data.synthetic.tokens`) does not. Overrides are applied
// to the parsed document, so what is wrong with them is reported by the loader beside the file's
// own faults, with the flag as the place.
//
// Pure functions, safe from any thread.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/job/faults.h"
#include "cluster/job/yaml_document.h"
#include "cluster/job/yaml_loader.h"

namespace carousel {

struct Override {
  std::string flag;  // as typed, for messages: "--steps 6"
  std::string path;
  std::string value;
};

// "path=value" as given to --set.
absl::StatusOr<Override> ParseOverride(std::string_view assignment);

// --steps N.
Override StepsOverride(std::string_view steps);

// Sets the fields in `document`, later overrides over earlier ones.
void ApplyOverrides(const std::vector<Override>& overrides, const YamlDialect& dialect,
                    YamlNode* document, Faults* faults);

// The same on a message. kInvalidArgument, with every fault, for a path that does not begin with
// `allowed` ("pipeline."; empty: all are allowed); `message` is changed only if all is well.
absl::Status OverrideMessage(const std::vector<Override>& overrides, std::string_view allowed,
                             const YamlDialect& dialect, google::protobuf::Message* message);

}  // namespace carousel
