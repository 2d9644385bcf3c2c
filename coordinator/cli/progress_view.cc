#include "coordinator/cli/progress_view.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/counted.h"
#include "cluster/data/printable.h"
#include "coordinator/cli/figures.h"

namespace carousel {
namespace {

constexpr double kBetweenLines = 2;  // seconds
constexpr int kStageBar = 12;

std::string Headline(const Job& job) {
  std::string line = absl::StrCat(job.job(), "  ", JobState_Name(job.state()));
  if (!job.reason().empty()) absl::StrAppend(&line, ": ", Printable(job.reason()));
  if (const std::string plan = PlanText(job); !plan.empty())
    absl::StrAppend(&line, "  (", plan, ")");
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

std::string StageLine(const StageStatus& stage, int number, const Terminal& terminal) {
  return absl::StrFormat("stage %-2d %-11s units %2d-%-2d  %s %5s busy  %5s waiting  %s", number,
                         stage.worker(), stage.first_unit(), stage.end_unit() - 1,
                         terminal.Bar(stage.busy_ratio(), kStageBar), Percent(stage.busy_ratio()),
                         Percent(stage.wait_ratio()), Bytes(static_cast<double>(stage.bytes())));
}

}  // namespace

std::vector<std::string> LiveLines(const Job& job, const Terminal& terminal) {
  const auto fit = [&](const std::string& line) { return Clipped(line, terminal.width - 1); };
  std::vector<std::string> lines = {terminal.Bold(fit(Headline(job)))};
  const double share =
      job.steps() > 0 ? static_cast<double>(job.step()) / static_cast<double>(job.steps()) : 0;
  lines.push_back(fit(absl::StrFormat("%s %s  step %d of %d",
                                      terminal.Bar(share, std::clamp(terminal.width - 40, 10, 60)),
                                      Percent(share), job.step(), job.steps())));
  if (job.step() > 0) {
    lines.push_back(fit(absl::StrFormat("loss %s  perplexity %s  grad norm %.3g  rate %.3g",
                                        LossText(job.loss()), Perplexity(job.loss()),
                                        job.grad_norm(), job.learning_rate())));
    std::string speed = Counted(job.tokens(), "token");
    if (job.tokens_per_second() > 0) {
      absl::StrAppend(&speed, "  ", Grouped(std::llround(job.tokens_per_second())),
                      " tokens/s  eta ", Duration(job.eta_seconds()), "  ", BubbleText(job));
    }
    lines.push_back(fit(speed));
  }
  lines.push_back(job.committed_step() < 0
                      ? "no checkpoint yet"
                      : absl::StrCat("checkpoint of step ", job.committed_step()));
  for (int i = 0; i < job.stages_size(); ++i) {
    lines.push_back(fit(StageLine(job.stages(i), i, terminal)));
  }
  return lines;
}

void ProgressView::Show(const Job& job) {
  latest_ = job;
  if (terminal_.interactive) return Redraw(job);
  const bool news = job.state() != state_shown_ || job.reason() != reason_shown_;
  const bool step = job.step() != step_shown_ && (step_shown_ < 1 || job.step() == job.steps());
  const bool due = job.step() != step_shown_ && since_shown_.Seconds() >= kBetweenLines;
  if (news || step || due) PrintLine(job);
}

void ProgressView::PrintLine(const Job& job) {
  if (job.state() != state_shown_ || job.reason() != reason_shown_) {
    std::fprintf(stream_, "%s\n", Headline(job).c_str());
    state_shown_ = job.state();
    reason_shown_ = job.reason();
  }
  if (job.step() != step_shown_ && job.step() > 0) {
    std::fprintf(stream_, "%s\n", ProgressText(job).c_str());
  }
  step_shown_ = job.step();
  since_shown_.Restart();
  std::fflush(stream_);
}

void ProgressView::Erase() {
  if (drawn_ > 0) std::fprintf(stream_, "\x1b[%dA\r\x1b[J", drawn_);
  drawn_ = 0;
}

void ProgressView::Redraw(const Job& job) {
  Erase();
  Terminal terminal = terminal_;
  terminal.width = Terminal::Of(stream_).width;  // windows are resized
  const std::vector<std::string> lines = LiveLines(job, terminal);
  for (const std::string& line : lines) std::fprintf(stream_, "%s\n", line.c_str());
  drawn_ = static_cast<int>(lines.size());
  std::fflush(stream_);
}

void ProgressView::Note(const std::string& line) {
  Erase();
  std::fprintf(stream_, "%s\n", line.c_str());
  if (terminal_.interactive && !latest_.job().empty()) Redraw(latest_);
  std::fflush(stream_);
}

void ProgressView::Finish() {
  if (!terminal_.interactive && latest_.step() != step_shown_) PrintLine(latest_);
  drawn_ = 0;
}

}  // namespace carousel
