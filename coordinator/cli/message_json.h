// Messages as the JSON that scripts read: the schema's field names in its order; 64-bit integers as
// plain numbers (unlike protobuf's own JSON), enum values in the words of job files (lower case,
// "1f1b"), bytes in hex, numbers that are not finite as null. Fields that are not set appear only
// if the schema gives them a value anyway.
//
// Pure functions.
#pragma once

#include <google/protobuf/message.h>

#include <nlohmann/json_fwd.hpp>

#include "proto/coordinator.pb.h"

namespace carousel {

nlohmann::ordered_json ToJsonDocument(const google::protobuf::Message& message);

// A job, with "perplexity" beside "loss"; both are null before the first step, and speed, time left
// and bubble where no step was measured.
nlohmann::ordered_json JobToJson(const Job& job);

}  // namespace carousel
