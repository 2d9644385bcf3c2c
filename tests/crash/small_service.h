// A coordinator and workers as people start them by hand, each on its own state folder, so that any
// of them can be killed, stopped, and started again.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/crash/crash_job.h"

namespace carousel {

class SmallService {
 public:
  static constexpr int kLongLease = 600;  // no silence ends a session within a test

  explicit SmallService(int lease_seconds = 8) : lease_seconds_(lease_seconds) {
    StartCoordinator();
  }

  // On the address of the first time, so that workers and clients find it again.
  void StartCoordinator() {
    const std::string listen = address_.empty() ? "127.0.0.1:0" : address_;
    std::vector<std::string> words = CoordinatorWords(listen, folder_ / "coordinator");
    words.insert(words.end(), {"--lease-seconds", std::to_string(lease_seconds_)});
    coordinator_ = std::make_unique<Program>(words);
    ASSERT_TRUE(coordinator_->WaitForOut("\n")) << coordinator_->err();
    const std::string line = coordinator_->out();
    address_ = line.substr(line.rfind(' ') + 1, line.find('\n') - line.rfind(' ') - 1);
  }
  static std::vector<std::string> CoordinatorWords(const std::string& listen,
                                                   const std::string& state) {
    return {Binary("coordinator/coordinator"), "--listen", listen, "--state", state};
  }
  std::vector<std::string> WorkerWords(const std::string& state) const {
    return {Binary("worker/worker"), "--coordinator", address_, "--state", state};
  }

  void StartWorker(int number) {
    workers_[number] = std::make_unique<Program>(WorkerWords(WorkerFolder(number)));
    ASSERT_TRUE(Eventually([&] { return Alive(number); })) << workers_[number]->err();
  }
  void StartWorkers(int count) {
    for (int number = 0; number < count; ++number) StartWorker(number);
  }

  bool Alive(int number) const {
    const nlohmann::json nodes = nlohmann::json::parse(Ask({"get", "nodes"}).out, nullptr, false);
    for (const nlohmann::json& node :
         nodes.is_object() ? nodes.value("nodes", nlohmann::json::array()) : nodes) {
      if (node.value("worker", "") == WorkerId(number)) return node.value("alive", false);
    }
    return false;
  }

  Finished Ask(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--coordinator", address_, "-o", "json"});
    return RunToEnd(Carousel(arguments));
  }
  // The job's id.
  std::string Submit(const std::string& file) const {
    return Answer(Ask({"submit", file})).value("job", "none");
  }
  nlohmann::json Describe(const std::string& job) const { return Answer(Ask({"describe", job})); }
  bool WaitForStep(const std::string& job, int step) const {
    return Eventually([&] { return Describe(job).value("step", 0) >= step; });
  }
  bool WaitForState(const std::string& job, const std::string& state,
                    std::chrono::milliseconds patience = kPatience) const {
    return Eventually([&] { return Describe(job).value("state", "") == state; }, patience);
  }
  // Waits for the end of the job; its digest if all is well.
  std::string FinalDigest(const std::string& job) const {
    const Finished end = Ask({"wait", job});
    EXPECT_EQ(end.code, 0) << end.out << end.err;
    return Answer(end).value("state_digest", "none");
  }

  const std::string& address() const { return address_; }
  Program& coordinator() { return *coordinator_; }
  Program& worker(int number) { return *workers_.at(number); }
  std::string CoordinatorFolder() const { return folder_ / "coordinator"; }
  std::string WorkerFolder(int number) const {
    return folder_ / ("worker-" + std::to_string(number));
  }
  std::string WorkerId(int number) const {
    std::string id;
    std::ifstream(WorkerFolder(number) + "/worker-id") >> id;
    return id;
  }

 private:
  const int lease_seconds_;
  TemporaryFolder folder_;
  std::string address_;
  std::unique_ptr<Program> coordinator_;
  std::map<int, std::unique_ptr<Program>> workers_;
};

}  // namespace carousel
