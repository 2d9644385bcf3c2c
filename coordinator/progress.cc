#include "coordinator/progress.h"

#include <algorithm>

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
      steps_(job.spec().steps()),
      units_(static_cast<int>(UnitCount(job.spec().model()))),
      tokens_(TokensBefore(job)) {
  for (const StagePlan& stage : plan_.stages()) {
    StageStatus& status = stages_.emplace_back();
    status.set_worker(stage.worker());
    status.set_first_unit(stage.first_unit());
    status.set_end_unit(stage.end_unit());
  }
}

absl::Status JobProgress::Report(int stage, const StepReport& report) {
  const StagePlan& place = plan_.stages(stage);
  const int units = place.end_unit() - place.first_unit();
  if (report.unit_digests_size() != units || report.first_unit() != place.first_unit()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "worker ", place.worker(), " reported ", report.unit_digests_size(), " digests from unit ",
        report.first_unit(), " for units ", place.first_unit(), "-", place.end_unit() - 1));
  }
  Reported& step = reported_[report.step()];
  step.units.resize(units_);
  for (int i = 0; i < units; ++i) {
    CAROUSEL_ASSIGN_OR_RETURN(step.units[place.first_unit() + i],
                              DigestFromBytes(report.unit_digests(i), "a unit's digest"));
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
  if (++step.stages == plan_.stages_size()) Complete(report.step(), &step);
  return absl::OkStatus();
}

void JobProgress::Complete(int64_t step, Reported* reported) {
  std::vector<Digest> units;
  for (const std::optional<Digest>& unit : reported->units) units.push_back(*unit);
  reported->state = StateDigest(units, step, step * batch_size_);
  newest_ = std::max(newest_, step);
  const double seconds = reported->seconds;
  step_seconds_ =
      step_seconds_ == 0 ? seconds : (1 - kSmoothing) * step_seconds_ + kSmoothing * seconds;
  if (seconds > 0) bubble_ratio_ = 1 - reported->busy_seconds / (seconds * stages_.size());
  StepLoss& loss = recent_.emplace_back();
  loss.set_step(step);
  loss.set_loss(reported->summary.loss());
  if (recent_.size() > kStepsKept) recent_.pop_front();
  while (reported_.size() > kStepsKept) reported_.erase(reported_.begin());
}

std::optional<StepSummary> JobProgress::Summary(int64_t step) const {
  const auto it = reported_.find(step);
  if (it == reported_.end() || !it->second.state.has_value()) return std::nullopt;
  return it->second.summary;
}

std::optional<Digest> JobProgress::StateDigestAt(int64_t step) const {
  const auto it = reported_.find(step);
  return it == reported_.end() ? std::nullopt : it->second.state;
}

const StepSummary* JobProgress::Newest() const {
  return newest_ < 0 ? nullptr : &reported_.at(newest_).summary;
}

std::optional<Digest> JobProgress::NewestDigest() const { return StateDigestAt(newest_); }

void JobProgress::Show(Job* view) const {
  for (const StageStatus& stage : stages_) *view->add_stages() = stage;
  const StepSummary* newest = Newest();
  if (newest == nullptr) return;
  view->set_step(newest->step());
  view->set_loss(newest->loss());
  view->set_tokens(newest->tokens());
  view->set_grad_norm(newest->grad_norm());
  view->set_learning_rate(newest->learning_rate());
  view->set_state_digest(NewestDigest()->Hex());
  view->set_measured_bubble_ratio(bubble_ratio_);
  if (step_seconds_ > 0) view->set_tokens_per_second(tokens_per_step_ / step_seconds_);
  view->set_eta_seconds(step_seconds_ * static_cast<double>(steps_ - newest->step()));
  for (const StepLoss& loss : recent_) *view->add_recent() = loss;
}

}  // namespace carousel
