// YAML into any protobuf message, by reflection: a field of the message is a field of the file.
//
// Strict, and complete: unknown fields (with did-you-mean), wrong types, numbers out of range and
// fields set twice are all reported at once, each with its place and path. Scalars are written as
// in cluster/job/scalars.h; booleans are true and false; a floating-point field whose name ends in
// `_seconds` takes durations (10min); enum values are written in any case, with - or _, or by an
// alias. Limits that depend on meaning are not the loader's business.
//
// Pure functions, safe from any thread.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "cluster/job/faults.h"
#include "cluster/job/yaml_document.h"

namespace carousel {

// What a schema cannot say of its documents.
struct YamlDialect {
  // Names of enum values that the language of the schema cannot spell, or that people prefer. The
  // writer uses them too; the first alias of a value wins.
  struct EnumAlias {
    std::string enum_name;  // "ScheduleKind"
    std::string written;    // "1f1b"
    std::string value;      // "ONE_F_ONE_B"
  };
  std::vector<EnumAlias> enum_aliases;

  // A field that takes the place of others when it is set from outside the file (overrides.h): of
  // two sources, the one that was named last.
  struct Replacement {
    std::string path;                   // "data.dataset"
    std::vector<std::string> replaced;  // {"data.synthetic"}
  };
  std::vector<Replacement> replacements;

  // What to write for a value of an enum: its alias, else its name in lower case. Empty for an
  // UNSPECIFIED value without alias, which nobody can write.
  std::string NameOf(const google::protobuf::EnumValueDescriptor& value) const;
};

// Sets in `message` what `root` (a map) sets; a list replaces the field's list, a map is merged
// into the field's message. Adds to `faults` what is wrong; fields without fault (of a list:
// without any) are set all the same, so that later checks can go on. `places`: where each field was
// written.
void LoadYaml(const YamlNode& root, const YamlDialect& dialect, google::protobuf::Message* message,
              FieldPlaces* places, Faults* faults);

}  // namespace carousel
