#include "coordinator/progress.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "cluster/job/resolve.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr double kSmoothing = 0.2;  // weight of the newest step in the moving average

int64_t TokensBefore(const JobRecord& job) {
  if (job.restore_step() < 0 || job.checkpoints().empty()) return 0;
  return job.checkpoints(job.checkpoints_size() - 1).summary().tokens();
}

}  // namespace

JobProgress::JobProgress(const JobRecord& job)
    : plan_(job.plan()),
      batch_size_(job.spec().data().batch_size()),
      tokens_limit_(batch_size_ * job.spec().data().sequence_length()),
      steps_(job.spec().steps()),
      units_(static_cast<int>(UnitCount(job.spec().model()))),
      next_(plan_.stages_size(), std::max<int64_t>(0, job.restore_step()) + 1),
      tokens_(TokensBefore(job)) {
  for (const StagePlan& stage : plan_.stages()) {
    StageStatus& status = stages_.emplace_back();
    status.set_worker(stage.worker());
    status.set_first_unit(stage.first_unit());
    status.set_end_unit(stage.end_unit());
  }
}

absl::Status JobProgress::CheckReport(int stage, const StepReport& report) const {
  const StagePlan& place = plan_.stages(stage);
  const auto wrong = [&](const std::string& what) {
    return absl::InvalidArgumentError(
        absl::StrCat("worker ", place.worker(), " reported step ", report.step(), what));
  };
  if (report.step() != next_[stage])
    return wrong(absl::StrCat(" where ", next_[stage], " is next"));
  if (report.step() > steps_) return wrong(absl::StrCat(" of a job of ", steps_, " steps"));
  const int units = place.end_unit() - place.first_unit();
  if (report.unit_digests_size() != units || report.first_unit() != place.first_unit()) {
    return wrong(absl::StrCat(" with ", report.unit_digests_size(), " digests from unit ",
                              report.first_unit(), " for units ", place.first_unit(), "-",
                              place.end_unit() - 1));
  }
  for (const std::string& digest : report.unit_digests()) {
    if (digest.size() != Digest::kBytes) {
      return wrong(absl::StrCat(" with a digest of ", digest.size(), " bytes"));
    }
  }
  if (report.tokens() < 0 || report.tokens() > tokens_limit_) {
    return wrong(absl::StrCat(" with ", report.tokens(), " tokens of at most ", tokens_limit_));
  }
  for (double seconds : {report.seconds(), report.busy_seconds(), report.wait_seconds()}) {
    if (!(std::isfinite(seconds) && seconds >= 0)) {
      return wrong(absl::StrCat(" with a time of ", seconds, " s"));
    }
  }
  for (double figure : {report.loss(), report.grad_norm(), report.learning_rate()}) {
    if (!std::isfinite(figure)) {
      return wrong(absl::StrCat(" with a loss, norm or rate of ", figure));
    }
  }
  return absl::OkStatus();
}

absl::Status JobProgress::Report(int stage, const StepReport& report) {
  CAROUSEL_RETURN_IF_ERROR(CheckReport(stage, report));
  ++next_[stage];
  Reported& step = reported_[report.step()];
  step.units.resize(units_);
  for (int i = 0; i < report.unit_digests_size(); ++i) {
    step.units[report.first_unit() + i] =
        *DigestFromBytes(report.unit_digests(i), "a unit's digest");
  }
  step.busy_seconds += report.busy_seconds();
  if (stage == plan_.stages_size() - 1) {
    tokens_ += report.tokens();
    step.summary.set_step(report.step());
    step.summary.set_loss(report.loss());
    step.summary.set_tokens(tokens_);
    step.summary.set_grad_norm(report.grad_norm());
    step.summary.set_learning_rate(report.learning_rate());
    step.seconds = report.seconds();
    tokens_per_step_ = static_cast<double>(report.tokens());
  }
  if (report.seconds() > 0) {
    stages_[stage].set_busy_ratio(report.busy_seconds() / report.seconds());
    stages_[stage].set_wait_ratio(report.wait_seconds() / report.seconds());
  }
  stages_[stage].set_bytes(report.resident_bytes());
  if (++step.stages < plan_.stages_size()) return absl::OkStatus();
  Complete(report.step(), step);
  reported_.erase(report.step());
  return absl::OkStatus();
}

void JobProgress::Complete(int64_t step, const Reported& reported) {
  newest_ = {reported.summary, StateDigest(reported.units, step, step * batch_size_)};
  completed_.emplace(step, *newest_);
  if (completed_.size() > kStepsRemembered) completed_.erase(completed_.begin());
  const double seconds = reported.seconds;
  step_seconds_ =
      step_seconds_ == 0 ? seconds : (1 - kSmoothing) * step_seconds_ + kSmoothing * seconds;
  if (seconds > 0) bubble_ratio_ = 1 - reported.busy_seconds / (seconds * stages_.size());
  StepLoss& loss = recent_.emplace_back();
  loss.set_step(step);
  loss.set_loss(reported.summary.loss());
  if (recent_.size() > kRecentSteps) recent_.pop_front();
}

std::optional<JobProgress::Completed> JobProgress::At(int64_t step) const {
  const auto it = completed_.find(step);
  if (it == completed_.end()) return std::nullopt;
  return it->second;
}

void JobProgress::Committed(int64_t step) {
  completed_.erase(completed_.begin(), completed_.upper_bound(step));
}

void JobProgress::Show(Job* view) const {
  for (const StageStatus& stage : stages_) *view->add_stages() = stage;
  if (!newest_.has_value()) return;
  const StepSummary* newest = &newest_->summary;
  view->set_step(newest->step());
  view->set_loss(newest->loss());
  view->set_tokens(newest->tokens());
  view->set_grad_norm(newest->grad_norm());
  view->set_learning_rate(newest->learning_rate());
  view->set_state_digest(newest_->state.Hex());
  view->set_measured_bubble_ratio(bubble_ratio_);
  if (step_seconds_ > 0) view->set_tokens_per_second(tokens_per_step_ / step_seconds_);
  view->set_eta_seconds(step_seconds_ * static_cast<double>(steps_ - newest->step()));
  for (const StepLoss& loss : recent_) *view->add_recent() = loss;
}

}  // namespace carousel
