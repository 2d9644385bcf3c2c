// A job under way, shown: redrawn in place on a terminal, elsewhere a line now and then (the first
// step, at most one line each two seconds, every change of state, the last step).
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "cluster/stopwatch.h"
#include "coordinator/cli/terminal.h"
#include "proto/coordinator.pb.h"

namespace carousel {

// Not thread-safe.
class ProgressView {
 public:
  explicit ProgressView(FILE* stream) : stream_(stream), terminal_(Terminal::Of(stream)) {}

  void Show(const Job& job);
  // A line that stays, above what is redrawn.
  void Note(const std::string& line);
  // Shows the last view, whatever was left out; what is shown stays.
  void Finish();

 private:
  void PrintLine(const Job& job);
  void Redraw(const Job& job);
  void Erase();

  FILE* const stream_;
  const Terminal terminal_;
  Job latest_;
  // lines
  JobState state_shown_ = JOB_STATE_UNSPECIFIED;
  int64_t step_shown_ = -1;
  std::string reason_shown_;
  Stopwatch since_shown_;
  // redrawn
  int drawn_ = 0;  // lines on the screen
};

// What a terminal shows of a job, one string a line, without escapes but `terminal`'s own.
std::vector<std::string> LiveLines(const Job& job, const Terminal& terminal);

}  // namespace carousel
