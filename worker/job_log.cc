#include "worker/job_log.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace carousel {

void JobLog::Write(LogLevel level, std::string_view job, std::string_view line) {
  std::string text(line);
  log_->Write(level, "worker", job.empty() ? text : "job " + std::string(job) + ": " + text);
  if (job.empty()) return;
  WorkerLog message;
  message.set_job(std::string(job));
  message.set_line(std::move(text));
  MutexLock lock(&mutex_);
  if (waiting_.size() == kMostWaiting) {
    waiting_.pop_front();
    ++dropped_;
  }
  waiting_.push_back(std::move(message));
}

std::vector<WorkerLog> JobLog::Take() {
  MutexLock lock(&mutex_);
  std::vector<WorkerLog> taken(std::make_move_iterator(waiting_.begin()),
                               std::make_move_iterator(waiting_.end()));
  waiting_.clear();
  if (std::exchange(dropped_, 0) > 0 && !taken.empty())
    taken.front().set_line("(lines before this one were lost) " + taken.front().line());
  return taken;
}

}  // namespace carousel
