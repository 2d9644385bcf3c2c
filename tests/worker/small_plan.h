// A plan for a small job, as the coordinator makes it from units that all cost the same.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cluster/job/model_layout.h"
#include "coordinator/planner.h"

namespace carousel {

// A stage for each address, on workers "w0", "w1", …
inline Plan SmallPlan(const JobSpec& job, const std::vector<std::string>& addresses,
                      uint64_t epoch = 1) {
  PlanRequest request = {.job = "small", .epoch = epoch, .spec = job};
  request.spec.mutable_pipeline()->set_stages(static_cast<int>(addresses.size()));
  request.costs.resize(LayOut(job.model()).units.size());
  for (UnitCost& cost : request.costs) {
    cost.set_forward(1);
    cost.set_backward(1);
    cost.set_weight_gradient(1);
  }
  for (const std::string& address : addresses)
    request.workers.push_back({absl::StrCat("w", request.workers.size()), address});
  return *MakePlan(request);
}

}  // namespace carousel
