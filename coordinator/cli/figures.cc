#include "coordinator/cli/figures.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cluster/counted.h"
#include "cluster/job/job_file.h"

namespace carousel {

std::string Bytes(double bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  for (; bytes >= 1024 && unit < 4; ++unit) bytes /= 1024;
  return absl::StrFormat("%.*f %s", unit == 0 ? 0 : 1, bytes, units[unit]);
}

std::string Duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  if (seconds < 10) return absl::StrFormat("%.1f s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return absl::StrFormat("%d s", whole);
  if (whole < 3600) return absl::StrFormat("%d min %02d s", whole / 60, whole % 60);
  if (whole < 86400) return absl::StrFormat("%d h %02d min", whole / 3600, whole / 60 % 60);
  return absl::StrFormat("%d d %d h", whole / 86400, whole / 3600 % 24);
}

std::string Percent(double ratio) { return absl::StrFormat("%.0f %%", 100 * ratio); }

std::string TimeOfDay(double wall_time) {
  const auto seconds = static_cast<std::time_t>(wall_time);
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%F %T UTC", &utc);
  return text;
}

std::string LossText(double loss) { return absl::StrFormat("%.4f", loss); }

std::string Perplexity(double loss) { return absl::StrFormat("%.4g", std::exp(loss)); }

std::string ProgressText(const Job& job) {
  std::string text = absl::StrCat("step ", job.step(), "/", job.steps());
  if (job.step() == 0) return text;
  absl::StrAppend(&text, "  loss ", LossText(job.loss()), "  perplexity ", Perplexity(job.loss()),
                  "  ", Counted(job.tokens(), "token"));
  if (job.tokens_per_second() > 0) {
    absl::StrAppend(&text, "  ", Grouped(std::llround(job.tokens_per_second())), " tokens/s");
    if (job.step() < job.steps()) absl::StrAppend(&text, "  eta ", Duration(job.eta_seconds()));
  }
  std::vector<std::string> busy;
  for (const StageStatus& stage : job.stages()) busy.push_back(Percent(stage.busy_ratio()));
  if (!busy.empty()) absl::StrAppend(&text, "  busy ", absl::StrJoin(busy, ", "));
  return text;
}

bool HasMeasuredBubble(const Job& job) {
  return job.measured_bubble_ratio() != 0 || job.tokens_per_second() > 0;
}

std::string BubbleText(const Job& job) {
  const std::string measured =
      HasMeasuredBubble(job) ? Percent(std::max(0.0, job.measured_bubble_ratio())) : "-";
  return absl::StrCat("bubble ", measured, ", predicted ", Percent(job.predicted_bubble_ratio()));
}

std::string PlanText(const Job& job) {
  if (job.stages().empty()) return "";
  const auto* kind = ScheduleKind_descriptor()->FindValueByNumber(job.schedule());
  return absl::StrCat(JobDialect().NameOf(*kind), ", ", Counted(job.stages_size(), "stage"), ", ",
                      Counted(job.segments(), "segment"));
}

}  // namespace carousel
