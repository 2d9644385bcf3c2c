// A cluster in one thread: the real coordinator, and workers that train by writing down what they
// would have computed. Messages lie in queues until somebody delivers them, in an order of the
// test's choosing; a session keeps its own order, as a stream does. Time is moved by hand.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/state_digest.h"
#include "cluster/store.h"
#include "coordinator/core.h"
#include "tests/coordinator/failing_store.h"
#include "tests/coordinator/fake_worker.h"
#include "tests/coordinator/tiny_job.h"

namespace carousel {

class FakeCluster : public Outbox {
 public:
  FakeCluster() : memory_(NewMemoryStore()), store_(memory_.get()) { Start(); }

  // --- the coordinator ---

  void Start() {
    CoreOptions options;
    options.store = &store_;
    options.cluster_id = "cluster";
    options.clock = &clock_;
    options.outbox = this;
    auto coordinator = CoordinatorCore::Open(options);
    ASSERT_TRUE(coordinator.ok()) << coordinator.status();
    coordinator_ = *std::move(coordinator);
  }

  // kill -9 and start again: sessions are over, the store stays (and is whole again).
  void RestartCoordinator() {
    const std::string before = Durable(coordinator_->state());
    const bool broken = !coordinator_->broken().ok();
    coordinator_.reset();
    store_.Repair();
    CoordinatorState replayed;
    ASSERT_TRUE(Journal::Open(&store_, &replayed).ok());
    // A broken one may have one event more, which it did not see land.
    if (!broken) {
      EXPECT_EQ(Durable(replayed), before) << "the journal is the state";
    }
    for (auto& [id, worker] : workers_) worker.LeaveSession();
    Start();
  }

  CoordinatorCore& operator*() { return *coordinator_; }
  CoordinatorCore* operator->() { return coordinator_.get(); }
  SimulatedClock& clock() { return clock_; }
  FailingStore& store() { return store_; }

  std::string Submit(const JobSpec& spec) {
    auto id = coordinator_->Submit(NewRequest(), spec, "contract");
    EXPECT_TRUE(id.ok()) << id.status();
    return id.ok() ? *id : "";
  }
  std::string NewRequest() { return "request-" + std::to_string(++requests_); }
  Job View(const std::string& job) { return *coordinator_->View(job); }
  JobState StateOf(const std::string& job) { return View(job).state(); }

  // --- workers ---

  void Attach(const std::string& id, bool serves_only = false) {
    Worker& worker = workers_[id];
    if (worker.session != 0) return;
    worker.session = ++sessions_;
    Hello hello = HelloOf(id);
    hello.set_serves_only(serves_only);
    hello.set_newest_epoch(worker.newest_epoch);
    const absl::Status joined = coordinator_->Join(worker.session, hello);
    if (!joined.ok()) worker.LeaveSession();
    EXPECT_TRUE(joined.ok()) << joined;
  }
  void AttachAll(int count) {
    for (int w = 1; w <= count; ++w) Attach("w" + std::to_string(w));
  }

  // The process dies; the end of its stream is noticed at once.
  void Kill(const std::string& id) {
    Worker& worker = workers_[id];
    const uint64_t session = worker.session;
    worker.LeaveSession();
    if (session != 0) coordinator_->Lose(session, "its connection closed");
  }

  // The disk under a worker's shards loses those of one step.
  void LoseShards(const std::string& id, int64_t step) {
    std::erase_if(workers_[id].shards,
                  [&](const auto& shard) { return shard.first.second == step; });
  }
  // Steps of the job whose shards lie in the worker's store.
  std::set<int64_t> StoredSteps(const std::string& id, const std::string& job) {
    std::set<int64_t> steps;
    for (const auto& [key, units] : workers_[id].shards) {
      if (key.first == job) steps.insert(key.second);
    }
    return steps;
  }

  // Stages that did not find the shards that they were to start from.
  int unreadable() const { return unreadable_; }

  // What a worker that holds a stage says when something goes wrong there; false if it holds none.
  bool Fail(const std::string& id, StageFailure failure) {
    Worker& worker = workers_[id];
    if (worker.session == 0 || worker.stage < 0) return false;
    failure.set_job(worker.plan.job());
    failure.set_epoch(worker.plan.epoch());
    WorkerMessage message;
    *message.mutable_failure() = failure;
    worker.LetGo();
    worker.out.push_back(message);
    return true;
  }

  bool IsAttached(const std::string& id) { return workers_[id].session != 0; }
  void Heartbeats() {
    for (auto& [id, worker] : workers_) {
      if (worker.session == 0) continue;
      WorkerMessage message;
      message.mutable_heartbeat();
      coordinator_->Receive(worker.session, message);
    }
  }
  void SendFrom(const std::string& id, const WorkerMessage& message) {
    coordinator_->Receive(workers_[id].session, message);
  }

  // --- the world moves: one thing at a time ---

  // Does one of the possible things, chosen by `random`: a message arrives, or a run makes a step.
  // False if nothing is possible.
  bool Move(std::mt19937* random) {
    if (!coordinator_->broken().ok()) return false;
    std::vector<std::string> possible;
    for (auto& [id, worker] : workers_) {
      if (!worker.in.empty()) possible.push_back("<" + id);
      if (!worker.out.empty()) possible.push_back(">" + id);
      if (CanStep(id)) possible.push_back("!" + id);
    }
    if (possible.empty()) return false;
    const std::string chosen = possible[(*random)() % possible.size()];
    const std::string id = chosen.substr(1);
    if (chosen[0] == '<') Deliver(id);
    if (chosen[0] == '>') Report(id);
    if (chosen[0] == '!') StepRun(id);
    return true;
  }

  // Until nothing is possible any more.
  void Settle(uint32_t seed = 1) {
    std::mt19937 random(seed);
    for (int i = 0; i < 100000; ++i) {
      if (!Move(&random)) return;
    }
    FAIL() << "the cluster never comes to rest";
  }

  // Until the job has applied `step` steps (as reported).
  void RunToStep(const std::string& job, int64_t step, uint32_t seed = 1) {
    std::mt19937 random(seed);
    while (View(job).step() < step) {
      ASSERT_TRUE(Move(&random)) << JobState_Name(StateOf(job)) << " " << View(job).reason();
    }
  }

  // --- Outbox ---

  void Send(uint64_t session, CoordinatorMessage message) override {
    for (auto& [id, worker] : workers_) {
      if (worker.session == session) return worker.in.push_back(std::move(message));
    }
  }
  void Close(uint64_t session, std::string_view) override {
    for (auto& [id, worker] : workers_) {
      if (worker.session == session) worker.LeaveSession();
    }
  }

 private:
  using Worker = FakeWorker;

  static std::string Durable(CoordinatorState state) {
    std::string text;
    for (const auto& [id, worker] : std::map(state.workers().begin(), state.workers().end())) {
      text += id + worker.SerializeAsString();
    }
    state.clear_workers();
    return text + state.SerializeAsString();
  }

  void Deliver(const std::string& id) {
    Worker& worker = workers_[id];
    const CoordinatorMessage message = worker.in.front();
    worker.in.pop_front();
    WorkerMessage answer;
    switch (message.message_case()) {
      case CoordinatorMessage::kMeasure:
        answer.mutable_measured()->set_job(message.measure().job());
        answer.mutable_measured()->set_epoch(message.measure().epoch());
        for (int u = 0; u < message.measure().spec().model().num_blocks() + 2; ++u) {
          UnitCost* cost = answer.mutable_measured()->add_units();
          cost->set_forward(1);
          cost->set_backward(1);
          cost->set_weight_gradient(1);
        }
        worker.out.push_back(answer);
        break;
      case CoordinatorMessage::kInstall:
        Begin(id, message.install());
        break;
      case CoordinatorMessage::kStart:
        if (worker.stage >= 0 && worker.plan.epoch() == message.start().epoch()) {
          worker.started = true;
        }
        break;
      case CoordinatorMessage::kBoundary:
        if (worker.stage >= 0 && worker.plan.epoch() == message.boundary().epoch()) {
          EXPECT_TRUE(worker.IsLast());
          worker.checkpoint |= message.boundary().checkpoint();
          worker.stop |= message.boundary().stop();
        }
        break;
      case CoordinatorMessage::kDrop:
        if (worker.stage >= 0 && worker.plan.job() == message.drop().job() &&
            worker.plan.epoch() <= message.drop().epoch()) {
          worker.LetGo();
        }
        break;
      case CoordinatorMessage::kCommitted:
        worker.Sweep(message.committed());
        break;
      default:
        break;
    }
  }

  void Begin(const std::string& id, const Install& install) {
    Worker& worker = workers_[id];
    WorkerMessage answer;
    EXPECT_GT(install.plan().epoch(), worker.newest_epoch) << "epochs only grow";
    worker.newest_epoch = install.plan().epoch();
    worker.plan = install.plan();
    worker.spec = install.spec();
    worker.stage = install.stage();
    worker.started = worker.checkpoint = worker.stop = false;
    worker.step = install.has_restore() ? install.restore().step() : 0;
    for (const ShardRef& shard : install.restore().units()) {
      EXPECT_EQ(shard.digest(), TrainedUnit(shard.unit(), worker.step).AsBytes());
    }
    if (const std::optional<StageFailure> failure = Unreadable(install)) {
      ++unreadable_;
      Fail(id, *failure);
      return;
    }
    answer.mutable_installed()->set_job(install.plan().job());
    answer.mutable_installed()->set_epoch(install.plan().epoch());
    worker.out.push_back(answer);
  }

  // What a stage says that cannot fetch its units' shards.
  std::optional<StageFailure> Unreadable(const Install& install) {
    const StagePlan& stage = install.plan().stages(install.stage());
    for (const ShardRef& shard : install.restore().units()) {
      const int unit = static_cast<int>(shard.unit());
      if (unit < stage.first_unit() || unit >= stage.end_unit()) continue;
      const auto& stored = workers_[shard.holder()].shards;
      const auto at = stored.find({install.plan().job(), install.restore().step()});
      if (at != stored.end() && at->second.contains(shard.unit())) continue;
      StageFailure failure;
      failure.set_reason(shard.holder() + " has no unit " + std::to_string(unit));
      failure.set_restore_unreadable(true);
      return failure;
    }
    return std::nullopt;
  }

  void Report(const std::string& id) {
    Worker& worker = workers_[id];
    const WorkerMessage message = worker.out.front();
    worker.out.pop_front();
    coordinator_->Receive(worker.session, message);
  }

  Worker* Neighbour(const Worker& worker, int stage) {
    Worker& other = workers_[worker.plan.stages(stage).worker()];
    const bool same = other.stage == stage && other.plan.epoch() == worker.plan.epoch();
    return same && other.started ? &other : nullptr;
  }

  // The last stage of a run whose every stage has started and not stopped.
  bool CanStep(const std::string& id) {
    Worker& worker = workers_[id];
    if (worker.stage < 0 || !worker.started || !worker.IsLast()) return false;
    for (int k = 0; k < worker.plan.stages_size(); ++k) {
      if (Neighbour(worker, k) == nullptr) return false;
    }
    return true;
  }

  // One step of all stages, with what the last one decides for its end.
  void StepRun(const std::string& id) {
    Worker& last = workers_[id];
    const int64_t step = last.step + 1;
    const int64_t every = last.spec.checkpoint().every_steps();
    const bool end = step == last.spec.steps();
    const bool stop = last.stop || end;
    const bool checkpoint = last.checkpoint || stop || (every > 0 && step % every == 0);
    last.checkpoint = false;
    for (int k = 0; k < last.plan.stages_size(); ++k) {
      Worker& worker = *Neighbour(last, k);
      EXPECT_EQ(worker.step, step - 1);
      worker.step = step;
      ReportStep(&worker, step);
      if (checkpoint) Prepare(&worker, step);
    }
    if (!stop) return;
    for (auto& [other_id, worker] : workers_) {
      if (worker.stage < 0 || worker.plan.epoch() != last.plan.epoch()) continue;
      WorkerMessage message;
      message.mutable_stopped()->set_job(worker.plan.job());
      message.mutable_stopped()->set_epoch(worker.plan.epoch());
      message.mutable_stopped()->set_step(step);
      worker.out.push_back(message);
      worker.started = false;
    }
  }

  void ReportStep(Worker* worker, int64_t step) {
    WorkerMessage message;
    StepReport* report = message.mutable_step();
    const StagePlan& stage = worker->plan.stages(worker->stage);
    report->set_job(worker->plan.job());
    report->set_epoch(worker->plan.epoch());
    report->set_step(step);
    report->set_first_unit(stage.first_unit());
    for (int u = stage.first_unit(); u < stage.end_unit(); ++u) {
      report->add_unit_digests(std::string(TrainedUnit(u, step).AsBytes()));
    }
    report->set_seconds(1);
    report->set_busy_seconds(0.75);
    if (worker->IsLast()) {
      report->set_loss(10.0 / static_cast<double>(step));
      report->set_tokens(100);
    }
    worker->out.push_back(message);
  }

  void Prepare(Worker* worker, int64_t step) {
    WorkerMessage message;
    Prepared* prepared = message.mutable_prepared();
    const StagePlan& stage = worker->plan.stages(worker->stage);
    prepared->set_job(worker->plan.job());
    prepared->set_epoch(worker->plan.epoch());
    prepared->set_step(step);
    for (int u = stage.first_unit(); u < stage.end_unit(); ++u) {
      ShardRecord* shard = prepared->add_shards();
      shard->set_unit(u);
      shard->set_digest(std::string(TrainedUnit(u, step).AsBytes()));
      shard->set_bytes(1000);
      worker->shards[{worker->plan.job(), step}].insert(u);
    }
    if (worker->stage == 0 || worker->IsLast()) {
      prepared->mutable_cursor()->set_step(step);
      prepared->mutable_cursor()->set_sequences(step * worker->spec.data().batch_size());
    }
    worker->out.push_back(message);
  }

  SimulatedClock clock_;
  const std::unique_ptr<Store> memory_;
  FailingStore store_;
  std::map<std::string, Worker> workers_;
  uint64_t sessions_ = 0;
  int requests_ = 0;
  int unreadable_ = 0;
  std::unique_ptr<CoordinatorCore> coordinator_;
};

}  // namespace carousel
