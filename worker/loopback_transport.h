// Loopback: the stages of a plan as threads of one process. For tests: the same executor, queues,
// credits, order and checks, without a network.
#pragma once

#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "worker/transport.h"

namespace carousel {

// One transport for each stage, stage k on backends[k]; they refer to each other and share their
// lives. Each may be used by its own thread. `credits`: tensors and records that a stage makes room
// for on each incoming edge.
std::vector<std::unique_ptr<Transport>> NewLoopbackTransports(
    const std::vector<kernels::Backend*>& backends, int credits = 2);

}  // namespace carousel
