#include "coordinator/timeline.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "cluster/check.h"

namespace carousel {
namespace {

// Messages from one stage to a neighbour, of one kind. They are read in the order they are sent
// (the verifier proves it), so the i-th sent may go once the (i - credits)-th was read.
struct Channel {
  std::vector<double> read_at;
  std::map<std::pair<int, int>, double> arrived_at;  // by micro-batch and segment
};

class Player {
 public:
  Player(const Schedule& schedule, int segments, const std::vector<StageCost>& costs, int credits)
      : schedule_(schedule),
        segments_(segments),
        costs_(costs),
        credits_(credits),
        next_(schedule.size(), 0),
        free_at_(schedule.size(), 0),
        forward_(schedule.size()),
        backward_(schedule.size()) {}

  Timeline Run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t k = 0; k < schedule_.size(); ++k) {
        while (next_[k] < schedule_[k].ops.size() && Step(k)) moved = true;
      }
    }
    return Result();
  }

 private:
  // Channels are named by their sender.
  Channel* Inbound(int k, OpKind kind) {
    if (kind == FORWARD) return k > 0 ? &forward_[k - 1] : nullptr;
    if (kind == BACKWARD) return k + 1 < schedule_.size() ? &backward_[k + 1] : nullptr;
    return nullptr;
  }
  Channel* Outbound(int k, OpKind kind) {
    if (kind == FORWARD) return k + 1 < schedule_.size() ? &forward_[k] : nullptr;
    if (kind == BACKWARD) return k > 0 ? &backward_[k] : nullptr;
    return nullptr;
  }

  double Seconds(int k, OpKind kind) const {
    const StageCost& cost = costs_[k];
    if (kind == WEIGHT_GRADIENT) return cost.weight_gradient / segments_;
    return (kind == FORWARD ? cost.forward : cost.backward) / segments_ + cost.overhead;
  }

  // Runs stage k's next operation if its message is there and there is room for its output.
  bool Step(int k) {
    const Op& op = schedule_[k].ops[next_[k]];
    const std::pair<int, int> tag = {op.micro_batch, op.segment};
    double start = free_at_[k];
    Channel* in = Inbound(k, op.kind);
    if (in != nullptr) {
      const auto message = in->arrived_at.find(tag);
      if (message == in->arrived_at.end()) return false;
      start = std::max(start, message->second);
    }
    const double end = start + Seconds(k, op.kind);
    double sent = end;
    Channel* out = Outbound(k, op.kind);
    if (out != nullptr && out->arrived_at.size() >= static_cast<size_t>(credits_)) {
      const size_t must_be_read = out->arrived_at.size() - credits_;
      if (out->read_at.size() <= must_be_read) return false;
      sent = std::max(end, out->read_at[must_be_read]);
    }
    if (out != nullptr) out->arrived_at[tag] = sent;
    if (in != nullptr) in->read_at.push_back(end);
    work_ += end - start;
    free_at_[k] = sent;
    ++next_[k];
    return true;
  }

  Timeline Result() const {
    Timeline timeline;
    for (size_t k = 0; k < schedule_.size(); ++k) {
      timeline.seconds = std::max(timeline.seconds, free_at_[k]);
      if (next_[k] == schedule_[k].ops.size()) continue;
      timeline.standstill += (timeline.standstill.empty() ? "stage " : ", stage ") +
                             std::to_string(k) + " stands before " +
                             ToString(schedule_[k].ops[next_[k]], segments_);
    }
    timeline.finished = timeline.standstill.empty();
    const double available = timeline.seconds * schedule_.size();
    timeline.bubble_ratio = available > 0 ? 1 - work_ / available : 0;
    return timeline;
  }

  const Schedule& schedule_;
  const int segments_;
  const std::vector<StageCost>& costs_;
  const int credits_;
  std::vector<size_t> next_;     // operation of each stage
  std::vector<double> free_at_;  // when each stage's last operation let it go
  std::vector<Channel> forward_, backward_;
  double work_ = 0;
};

}  // namespace

Timeline Play(const Schedule& schedule, int segments, const std::vector<StageCost>& costs,
              int credits) {
  CAROUSEL_CHECK(costs.size() == schedule.size() && credits >= 1 && segments >= 1);
  return Player(schedule, segments, costs, credits).Run();
}

}  // namespace carousel
