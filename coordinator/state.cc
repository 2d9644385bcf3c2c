// Reading the state, and which transitions a job may make.
#include "coordinator/state.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace carousel {

const std::vector<std::pair<JobState, JobState>> kLegalTransitions = {
    {QUEUED, STARTING},  {QUEUED, PAUSED},        {QUEUED, CANCELLED},   {QUEUED, FAILED},
    {STARTING, RUNNING}, {STARTING, PAUSED},      {STARTING, CANCELLED}, {STARTING, FAILED},
    {RUNNING, PAUSING},  {RUNNING, CANCELLING},   {RUNNING, PAUSED},     {RUNNING, FAILED},
    {RUNNING, DONE},     {PAUSING, PAUSED},       {PAUSING, CANCELLING}, {PAUSING, FAILED},
    {PAUSING, DONE},     {CANCELLING, CANCELLED}, {CANCELLING, FAILED},  {CANCELLING, DONE},
    {PAUSED, QUEUED},    {CANCELLED, QUEUED},     {FAILED, QUEUED},      {PAUSED, CANCELLED},
    {FAILED, CANCELLED},
};

bool IsLegalTransition(JobState from, JobState to) {
  return std::find(kLegalTransitions.begin(), kLegalTransitions.end(), std::pair(from, to)) !=
         kLegalTransitions.end();
}

const JobRecord* FindJob(const CoordinatorState& state, std::string_view job) {
  for (const JobRecord& record : state.jobs()) {
    if (record.job() == job) return &record;
  }
  return nullptr;
}

const RequestRecord* FindRequest(const CoordinatorState& state, std::string_view request_id) {
  for (const RequestRecord& request : state.requests()) {
    if (request.request_id() == request_id) return &request;
  }
  return nullptr;
}

bool IsActive(JobState state) {
  return state == STARTING || state == RUNNING || state == PAUSING || state == CANCELLING;
}

bool IsAtRest(JobState state) {
  return state == DONE || state == FAILED || state == CANCELLED || state == PAUSED;
}

bool IsStopping(JobState state) { return state == PAUSING || state == CANCELLING; }

bool WaitsForPlan(const JobRecord& job) {
  if (job.state() == QUEUED) return true;
  return job.state() == STARTING && job.measuring_worker().empty() &&
         job.plan().epoch() != job.epoch();
}

int64_t CommittedStep(const JobRecord& job) {
  return job.checkpoints().empty() ? -1 : job.checkpoints(job.checkpoints_size() - 1).step();
}

int StageOf(const JobRecord& job, std::string_view worker) {
  for (int k = 0; k < job.plan().stages_size(); ++k) {
    if (job.plan().stages(k).worker() == worker) return k;
  }
  return -1;
}

bool Uses(const JobRecord& job, std::string_view worker) {
  if (!IsActive(job.state())) return false;
  if (job.measuring_worker() == worker) return true;
  return job.plan().epoch() == job.epoch() && StageOf(job, worker) >= 0;
}

bool RestoresFrom(const JobRecord& job, std::string_view worker) {
  if (job.state() != STARTING || job.plan().epoch() != job.epoch() || job.restore_step() < 0) {
    return false;
  }
  const auto& shards = job.checkpoints(job.checkpoints_size() - 1).shards();
  return std::any_of(shards.begin(), shards.end(),
                     [&](const ShardRef& shard) { return shard.holder() == worker; });
}

const JobRecord* JobOf(const CoordinatorState& state, std::string_view worker) {
  for (const JobRecord& job : state.jobs()) {
    if (Uses(job, worker)) return &job;
  }
  return nullptr;
}

int AttachedForStages(const CoordinatorState& state) {
  return static_cast<int>(
      std::count_if(state.workers().begin(), state.workers().end(),
                    [](const auto& worker) { return !worker.second.hello().serves_only(); }));
}

std::vector<std::string> FreeWorkers(const CoordinatorState& state) {
  std::vector<std::string> free;
  for (const auto& [id, worker] : state.workers()) {
    if (!worker.hello().serves_only() && JobOf(state, id) == nullptr) free.push_back(id);
  }
  std::sort(free.begin(), free.end());
  return free;
}

std::string MissingHolders(const CoordinatorState& state, const JobRecord& job) {
  if (job.checkpoints().empty()) return "";
  std::map<std::string, std::vector<uint32_t>> missing;
  for (const ShardRef& shard : job.checkpoints(job.checkpoints_size() - 1).shards()) {
    if (!state.workers().contains(shard.holder())) missing[shard.holder()].push_back(shard.unit());
  }
  std::vector<std::string> parts;
  for (const auto& [worker, units] : missing) {
    const std::string range = units.size() == 1
                                  ? absl::StrCat("unit ", units.front())
                                  : absl::StrCat("units ", units.front(), "-", units.back());
    parts.push_back(absl::StrCat("worker ", worker, " (", range, ")"));
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace carousel
