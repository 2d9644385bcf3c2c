// A worker of the fake cluster: its session, the stage it holds, and what its store keeps.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "proto/coordinator.pb.h"
#include "proto/job.pb.h"
#include "proto/plan.pb.h"

namespace carousel {

struct FakeWorker {
  uint64_t session = 0;
  std::deque<CoordinatorMessage> in;
  std::deque<WorkerMessage> out;
  uint64_t newest_epoch = 0;
  // What its store holds, over all sessions: units by job and step.
  std::map<std::pair<std::string, int64_t>, std::set<uint32_t>> shards;
  // The stage it holds, if any.
  Plan plan;
  JobSpec spec;
  int stage = -1;
  bool started = false;
  int64_t step = 0;
  bool checkpoint = false, stop = false;  // asked of the last stage

  void LetGo() { stage = -1; }
  void LeaveSession() {
    session = 0;
    in.clear();
    out.clear();
    LetGo();
  }
  bool IsLast() const { return stage == plan.stages_size() - 1; }

  void Sweep(const Committed& committed) {
    const std::set<int64_t> kept(committed.kept().begin(), committed.kept().end());
    std::erase_if(shards, [&](const auto& shard) {
      const auto& [job, at] = shard.first;
      if (job != committed.job() || kept.contains(at)) return false;
      return committed.at_rest() || at < committed.step();
    });
  }
};

}  // namespace carousel
