#include "coordinator/partition.h"

#include <algorithm>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cluster/check.h"

namespace carousel {
namespace {

// Sums of the first i costs.
std::vector<double> Prefix(std::span<const double> costs) {
  std::vector<double> sums = {0};
  for (double cost : costs) {
    CAROUSEL_CHECK(cost >= 0);
    sums.push_back(sums.back() + cost);
  }
  return sums;
}

constexpr double kNever = std::numeric_limits<double>::infinity();

// table[k][b]: the best that stages 0..k can do with units 0..b-1, where `join` puts the value of
// the stages before together with the time of one more; cut[k][b]: where that stage begins.
template <typename Join>
std::vector<std::vector<int>> BestCuts(const std::vector<double>& sums, int stages, Join join,
                                       double* best) {
  const int units = static_cast<int>(sums.size()) - 1;
  std::vector<double> before(units + 1, kNever);
  before[0] = 0;
  std::vector<std::vector<int>> cuts;
  for (int k = 0; k < stages; ++k) {
    std::vector<double> now(units + 1, kNever);
    std::vector<int> cut(units + 1, 0);
    for (int end = 1; end <= units; ++end) {
      for (int begin = 0; begin < end; ++begin) {
        if (before[begin] == kNever) continue;
        const double value = join(before[begin], sums[end] - sums[begin]);
        if (value < now[end]) {
          now[end] = value;
          cut[end] = begin;
        }
      }
    }
    before = now;
    cuts.push_back(std::move(cut));
  }
  *best = before[units];
  return cuts;
}

}  // namespace

absl::StatusOr<Partition> MinMaxPartition(std::span<const double> unit_costs, int stages) {
  const int units = static_cast<int>(unit_costs.size());
  CAROUSEL_CHECK(stages >= 1);
  if (stages > units) {
    return absl::InvalidArgumentError(
        absl::StrCat(stages, " stages need at least as many units; the model has ", units,
                     " (embedding, blocks, head): use at most ", units, " stages"));
  }
  const std::vector<double> sums = Prefix(unit_costs);
  Partition partition;
  BestCuts(
      sums, stages, [](double before, double stage) { return std::max(before, stage); },
      &partition.largest);
  double squares = 0;
  const std::vector<std::vector<int>> cuts = BestCuts(
      sums, stages,
      [&](double before, double stage) {
        return stage <= partition.largest ? before + stage * stage : kNever;
      },
      &squares);
  partition.end_unit.resize(stages);
  for (int k = stages - 1, end = units; k >= 0; --k) {
    partition.end_unit[k] = end;
    end = cuts[k][end];
  }
  return partition;
}

}  // namespace carousel
