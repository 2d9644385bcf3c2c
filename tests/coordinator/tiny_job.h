// A small job, what its training comes to, and a worker of this build.
#pragma once

#include <string>
#include <vector>

#include "cluster/job/resolve.h"
#include "cluster/state_digest.h"
#include "cluster/version.h"
#include "proto/coordinator.pb.h"
#include "proto/job.pb.h"

namespace carousel {

// A resolved job of `blocks` + 2 units.
inline JobSpec TinyJob(const std::string& name, int steps, int blocks = 4) {
  JobSpec spec;
  spec.set_name(name);
  spec.set_steps(steps);
  spec.mutable_model()->set_num_blocks(blocks);
  spec.mutable_data()->set_sequence_length(256);
  spec.mutable_data()->set_batch_size(8);
  spec.mutable_numerics()->set_micro_batch_size(2);
  spec.mutable_numerics()->set_chunk_length(64);
  spec.mutable_numerics()->set_kernel_version(kKernelVersion);
  spec.mutable_checkpoint()->set_keep(3);
  return spec;
}

// What unit `unit` of a job is after `step` steps: all that training comes to in this world.
inline Digest TrainedUnit(int unit, int64_t step) {
  return DigestOf("unit " + std::to_string(unit) + " step " + std::to_string(step));
}

inline std::string TrainedState(const JobSpec& spec, int64_t step) {
  std::vector<Digest> units;
  for (int u = 0; u < spec.model().num_blocks() + 2; ++u) units.push_back(TrainedUnit(u, step));
  return StateDigest(units, step, step * spec.data().batch_size()).Hex();
}

// A Hello of this build.
inline Hello HelloOf(const std::string& worker) {
  Hello hello;
  hello.set_worker(worker);
  hello.set_address(worker + ":1");
  hello.set_version(std::string(kVersion));
  hello.set_kernel_version(kKernelVersion);
  return hello;
}

}  // namespace carousel
