// What a worker's message says, as an event. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proto/coordinator.pb.h"
#include "proto/journal.pb.h"

namespace carousel {

// Of a job and its epoch; whether it is of the present is for the receiver to see. A heartbeat
// comes with an event that is not set: it says only that the worker works for that epoch.
struct Fact {
  std::string job;
  uint64_t epoch = 0;
  Event event;
};

// Nothing for messages that are no facts about a job: Hello, logs, step reports, an idle heartbeat.
std::optional<Fact> FactOf(const CoordinatorState& state, const Hello& sender,
                           const WorkerMessage& message);

}  // namespace carousel
