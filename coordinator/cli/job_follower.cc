#include "coordinator/cli/job_follower.h"

#include <memory>
#include <utility>

namespace carousel {

JobFollower::JobFollower(const Client* client, const std::string& job)
    : client_(client), thread_([this, job] { Read(job); }) {}

JobFollower::~JobFollower() {
  context_.TryCancel();
  thread_.join();
}

void JobFollower::Read(const std::string& job) {
  JobRequest request;
  request.set_job(job);
  const auto reader = client_->stub().WatchJob(&context_, request);
  const absl::Status status = ReadAll<Job>(*client_, &context_, reader.get(), [&](const Job& view) {
    const MutexLock lock(&mutex_);
    news_ = view;
    changed_.NotifyAll();
    return true;
  });
  const MutexLock lock(&mutex_);
  ended_ = true;
  status_ = status;
  changed_.NotifyAll();
}

std::optional<Job> JobFollower::WaitForNews(std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  const MutexLock lock(&mutex_);
  while (!news_.has_value() && !ended_ && std::chrono::steady_clock::now() < until) {
    changed_.WaitFor(&mutex_, until - std::chrono::steady_clock::now());
  }
  return std::exchange(news_, std::nullopt);
}

bool JobFollower::ended() const {
  const MutexLock lock(&mutex_);
  return ended_ && !news_.has_value();
}

absl::Status JobFollower::status() const {
  const MutexLock lock(&mutex_);
  return status_;
}

}  // namespace carousel
