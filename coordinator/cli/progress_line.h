// Progress of one long operation, on stderr: a bar on a terminal, elsewhere nothing but the end.
#pragma once

#include <cstdint>
#include <string>

#include "cluster/stopwatch.h"
#include "coordinator/cli/terminal.h"

namespace carousel {

// Not thread-safe.
class ProgressLine {
 public:
  explicit ProgressLine(std::string what)
      : what_(std::move(what)), terminal_(Terminal::Of(stderr)) {}
  ~ProgressLine() { Clear(); }

  // `total` 0: unknown. `detail` stands behind the bar. Cheap enough to be called often.
  void Update(int64_t done, int64_t total, const std::string& detail);

  // Takes the bar away.
  void Clear();

 private:
  const std::string what_;
  const Terminal terminal_;
  const Stopwatch begun_;
  Stopwatch since_drawn_;
  bool drawn_ = false;
};

}  // namespace carousel
