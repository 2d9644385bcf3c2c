// What the coordinator should decide next, as a pure function of the state. The caller journals and
// applies the event, then asks again until there is nothing to decide.
//
// The queue is strict: jobs start in the order in which they were submitted or resumed, and one
// that waits for workers holds back those behind it (it may have waited for exactly the worker that
// a later one would take). A job whose shards lie in a store that is not attached is passed over.
#pragma once

#include <optional>
#include <string>

#include "proto/journal.pb.h"

namespace carousel {

// MeasureDecided, PlanDecided (verified) or PlanRefused, without wall_time; nothing if everything
// waits for the world.
std::optional<Event> Decide(const CoordinatorState& state);

// What a job in the queue waits for, for people; empty if nothing holds it back.
std::string WaitsFor(const CoordinatorState& state, const JobRecord& job);

}  // namespace carousel
