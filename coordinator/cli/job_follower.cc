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
    const std::lock_guard<std::mutex> lock(mutex_);
    news_ = view;
    changed_.notify_all();
    return true;
  });
  const std::lock_guard<std::mutex> lock(mutex_);
  ended_ = true;
  status_ = status;
  changed_.notify_all();
}

std::optional<Job> JobFollower::WaitForNews(std::chrono::milliseconds patience) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, patience, [this] { return news_.has_value() || ended_; });
  return std::exchange(news_, std::nullopt);
}

bool JobFollower::ended() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return ended_ && !news_.has_value();
}

absl::Status JobFollower::status() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return status_;
}

}  // namespace carousel
