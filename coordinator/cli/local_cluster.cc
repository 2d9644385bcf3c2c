#include "coordinator/cli/local_cluster.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

namespace fs = std::filesystem;

constexpr auto kStartPatience = std::chrono::seconds(60);
constexpr auto kStopPatience = std::chrono::seconds(10);
constexpr auto kPoll = std::chrono::milliseconds(50);
constexpr char kListening[] = "listening on ";

}  // namespace

absl::StatusOr<std::string> FindBinary(const std::string& name) {
  std::vector<std::string> folders;
  if (const char* given = std::getenv("CAROUSEL_BIN_DIR"); given != nullptr && *given != '\0') {
    folders = {given, absl::StrCat(given, "/", name)};
  } else {
    std::error_code error;
    const fs::path self = fs::read_symlink("/proc/self/exe", error).parent_path();
    folders = {self.string(), self.parent_path().string(),
               (self.parent_path().parent_path() / name).string()};
  }
  for (const std::string& folder : folders) {
    const std::string path = folder + "/" + name;
    std::error_code error;
    if (fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0) return path;
  }
  return absl::NotFoundError(absl::StrCat(
      "the program `", name, "` is not in ", absl::StrJoin(folders, ", "),
      "; build it (bazel build //", name, "), or set CAROUSEL_BIN_DIR to the folder that has it"));
}

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Start(
    std::unique_ptr<StateFolder> folder, const Abandoned& abandoned) {
  std::unique_ptr<LocalCluster> cluster(new LocalCluster(std::move(folder)));
  const absl::Status started = cluster->StartCoordinator(abandoned);
  if (!started.ok()) cluster->Stop(/*kill=*/true);  // it may not have come to where it listens
  CAROUSEL_RETURN_IF_ERROR(started);
  return cluster;
}

LocalCluster::~LocalCluster() { Stop(); }

absl::Status LocalCluster::StartCoordinator(const Abandoned& abandoned) {
  CAROUSEL_ASSIGN_OR_RETURN(const std::string binary, FindBinary("coordinator"));
  ChildOptions options;
  options.name = "coordinator";
  options.argv = {binary, "--listen", "127.0.0.1:0", "--state", folder_->Coordinator()};
  options.log = folder_->Log("coordinator");
  options.inherited = folder_->lock();
  CAROUSEL_ASSIGN_OR_RETURN(coordinator_, ChildProcess::Start(options));
  CAROUSEL_ASSIGN_OR_RETURN(const std::string line,
                            coordinator_->WaitForLine(kListening, kStartPatience, abandoned));
  CAROUSEL_ASSIGN_OR_RETURN(client_, Client::Connect(line.substr(sizeof kListening - 1)));
  return absl::OkStatus();
}

absl::Status LocalCluster::StartWorker(int number, const WorkerOptions& options, bool serve_only) {
  CAROUSEL_ASSIGN_OR_RETURN(const std::string binary, FindBinary("worker"));
  ChildOptions child;
  child.name = absl::StrCat("worker-", number);
  child.argv = {binary,
                "--coordinator",
                client_->address(),
                "--state",
                folder_->Worker(number),
                "--threads",
                absl::StrCat(options.threads),
                "--backend",
                options.backend};
  if (serve_only) child.argv.push_back("--serve-only");
  child.log = folder_->Log(child.name);
  child.inherited = folder_->lock();
  CAROUSEL_ASSIGN_OR_RETURN(workers_.emplace_back(), ChildProcess::Start(child));
  numbers_.push_back(number);
  return absl::OkStatus();
}

absl::StatusOr<bool> LocalCluster::AllAttached() const {
  CAROUSEL_ASSIGN_OR_RETURN(const ListNodesResponse nodes,
                            client_->Call(&Coordinator::Stub::ListNodes, ListNodesRequest()));
  std::set<std::string> alive;
  for (const Node& node : nodes.nodes()) {
    if (node.alive()) alive.insert(node.worker());
  }
  for (const int number : numbers_) {
    if (!alive.contains(folder_->WorkerId(number))) return false;
  }
  return true;
}

absl::Status LocalCluster::StartWorkers(const WorkerOptions& options, const Abandoned& abandoned) {
  const std::vector<int> known = folder_->Workers();
  for (int number = 0; number < options.workers; ++number) {
    CAROUSEL_RETURN_IF_ERROR(StartWorker(number, options, /*serve_only=*/false));
  }
  for (const int number : known) {
    if (number < options.workers) continue;
    CAROUSEL_RETURN_IF_ERROR(StartWorker(number, options, /*serve_only=*/true));
  }
  const auto until = std::chrono::steady_clock::now() + kStartPatience;
  while (std::chrono::steady_clock::now() < until) {
    if (abandoned()) return absl::CancelledError("interrupted while the workers started");
    if (const ChildProcess* fallen = Fallen()) return absl::UnavailableError(fallen->Obituary());
    CAROUSEL_ASSIGN_OR_RETURN(const bool all, AllAttached());
    if (all) return absl::OkStatus();
    std::this_thread::sleep_for(kPoll);
  }
  return absl::UnavailableError(absl::StrCat("the workers did not attach within ",
                                             kStartPatience.count(), " s; see ", folder_->path(),
                                             "/logs"));
}

const ChildProcess* LocalCluster::Fallen() {
  for (const auto& worker : workers_) {
    if (!worker->Running()) return worker.get();
  }
  return coordinator_->Running() ? nullptr : coordinator_.get();
}

std::string LocalCluster::Renamed(std::string text) const {
  for (const int number : numbers_) {
    const std::string id = folder_->WorkerId(number);
    if (id.empty()) continue;
    text = absl::StrReplaceAll(
        text, {{absl::StrCat("worker ", id), absl::StrCat("worker-", number, " (", id, ")")}});
  }
  return text;
}

void LocalCluster::Stop(bool kill) {
  const auto until =
      std::chrono::steady_clock::now() + (kill ? std::chrono::seconds(0) : kStopPatience);
  for (const auto& worker : workers_) worker->RequestStop();
  for (const auto& worker : workers_) worker->WaitOrKill(until);
  if (coordinator_ == nullptr) return;
  coordinator_->RequestStop();
  coordinator_->WaitOrKill(until);
}

absl::Status PauseQueued(const Client& client) {
  CAROUSEL_ASSIGN_OR_RETURN(const ListJobsResponse jobs,
                            client.Call(&Coordinator::Stub::ListJobs, ListJobsRequest()));
  for (const Job& job : jobs.jobs()) {
    if (job.state() != QUEUED) continue;
    JobRequest request;
    request.set_job(job.job());
    CAROUSEL_RETURN_IF_ERROR(client.Ask(&Coordinator::Stub::PauseJob, request).status());
  }
  return absl::OkStatus();
}

}  // namespace carousel
