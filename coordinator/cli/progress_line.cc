#include "coordinator/cli/progress_line.h"

#include <algorithm>
#include <cstdio>

#include "coordinator/cli/figures.h"

namespace carousel {
namespace {

constexpr double kBetweenDraws = 0.1;  // seconds
constexpr int kBar = 24;

}  // namespace

void ProgressLine::Update(int64_t done, int64_t total, const std::string& detail) {
  if (!terminal_.interactive || (drawn_ && since_drawn_.Seconds() < kBetweenDraws)) return;
  since_drawn_.Restart();
  drawn_ = true;
  const double elapsed = begun_.Seconds();
  std::string line = what_;
  if (total > 0) {
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    line += "  " + terminal_.Bar(share, kBar) + "  " + Percent(share);
    if (share > 0.01) line += "  " + Duration(elapsed / share - elapsed) + " left";
  }
  line += "  " + detail;
  std::fprintf(stderr, "\r\x1b[K%s", Clipped(line, terminal_.width - 1).c_str());
  std::fflush(stderr);
}

void ProgressLine::Clear() {
  if (drawn_) std::fprintf(stderr, "\r\x1b[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace carousel
