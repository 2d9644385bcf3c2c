#include "cluster/clock.h"

#include <chrono>

namespace carousel {
namespace {

template <class Source>
double SecondsOf() {
  return std::chrono::duration<double>(Source::now().time_since_epoch()).count();
}

class RealClock : public Clock {
 public:
  double Now() const override { return SecondsOf<std::chrono::steady_clock>(); }
  double WallTime() const override { return SecondsOf<std::chrono::system_clock>(); }
};

}  // namespace

const Clock& Clock::Real() {
  static const RealClock clock;
  return clock;
}

}  // namespace carousel
