// Schedules: the ordered operations of every stage for one step, as data. A schedule is a pure
// function of its shape; a new one is a file beside this header, a line in MakeSchedule and a table
// in its test. What it must satisfy is proved by verifier.h before it is sent anywhere.
//
// Words: n = m * s segments run through each stage. The u-th forward unit is segment u % s of
// micro-batch u / s (time forward), the u-th backward unit is segment s - 1 - u % s of micro-batch
// u / s (time backward): a segment's F needs the state that the segment before it left on the same
// stage, its B the state gradient of the segment after it.
//
// Weight gradients (W) of a micro-batch follow its last B back to back, segments descending. Three
// things speak for that place: it is the canonical order of the sums (micro-batch ascending,
// segment descending), so no schedule changes a bit; nobody waits for a W, so holding it back lets
// the B's run to the previous stage sooner; and neighbours may run as one call, which is up to 1.7
// times faster per token on short segments. It costs no slot, as a micro-batch's activations are
// released as one. (A worker that released them by segment would want each W right after its B: the
// peak is then (p + s - 1) / s micro-batches.)
//
// Time of a step with equal stages and F, B, W seconds per micro-batch:
// m (F + B + W) + (p - 1) (F + B) / s. (W hides behind the previous stage's B.)
#pragma once

#include <compare>
#include <string>
#include <vector>

#include "proto/plan.pb.h"

namespace carousel {

// Operation `kind` on one segment of one micro-batch.
struct Op {
  OpKind kind = FORWARD;
  int micro_batch = 0;
  int segment = 0;
  friend auto operator<=>(const Op&, const Op&) = default;
};

struct ScheduleShape {
  int stages = 1;         // p >= 1
  int micro_batches = 1;  // m >= 1
  int segments = 1;       // s >= 1
};

struct StageSchedule {
  std::vector<Op> ops;
  int slots = 0;  // micro-batches whose activations are alive at once: from first F to last W
};

using Schedule = std::vector<StageSchedule>;  // by stage

// GPipe (Huang et al. 2019): all forwards, then all backwards, micro-batches ascending in both.
Schedule GPipe(const ScheduleShape& shape);

// 1F1B (Narayanan et al. 2019) and, with segments, Seq1F1B (Sun et al. 2024): stage k forwards
// w = min(p - k - 2 + s, n) units, then alternates one forward with one backward, then drains.
Schedule OneFOneB(const ScheduleShape& shape);

// `kind` is GPIPE or ONE_F_ONE_B.
Schedule MakeSchedule(ScheduleKind kind, const ScheduleShape& shape);

// The most micro-batches that are under way at once in `ops`.
int SlotsNeeded(const std::vector<Op>& ops, int segments);

// "F0.0 F0.1 B0.1 B0.0 W0.1 W0.0": kind, micro-batch, segment. Without segments: "F0 B0 W0".
std::string ToString(const Op& op, int segments);
std::string ToString(const std::vector<Op>& ops, int segments);

namespace schedule_internal {

// The u-th forward unit; the u-th backward unit with the weight gradients it completes.
void AppendForward(int unit, int segments, std::vector<Op>* ops);
void AppendBackward(int unit, int segments, std::vector<Op>* ops);

}  // namespace schedule_internal
}  // namespace carousel
