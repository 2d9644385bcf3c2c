// A protobuf message as YAML that LoadYaml reads back to the same message, bit for bit, and as
// JSON. Fields come in the order of the schema; every field that is set is written, lists also when
// empty, so a resolved job shows all its values.
//
// Pure functions, safe from any thread.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "cluster/job/yaml_loader.h"

namespace carousel {

std::string ToYaml(const google::protobuf::Message& message, const YamlDialect& dialect);

// Protobuf's JSON with the schema's field names. 64-bit integers are strings in it, as its
// specification asks.
std::string ToJson(const google::protobuf::Message& message);

}  // namespace carousel
