// A stage that holds some or all units of a small job, initialised from its seed.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "worker/job_terms.h"
#include "worker/stage.h"

namespace carousel {

struct SmallStage {
  // `end_unit` 0: to the last.
  SmallStage(const std::string& backend_name, const JobSpec& spec, int first_unit = 0,
             int end_unit = 0)
      : job(spec), layout(LayOut(job.model())), backend(*kernels::NewBackend(backend_name, 1)) {
    const int end = end_unit > 0 ? end_unit : static_cast<int>(layout.units.size());
    stage = *Stage::Create(backend.get(), backend->NewStream(),
                           {.model = &job.model(),
                            .layout = &layout,
                            .first_unit = first_unit,
                            .end_unit = end,
                            .capacity = CapacityOf(job, /*slots=*/1, /*segments=*/1)});
    stage->Initialize(job.numerics().seed());
  }

  void Write(kernels::Span span, const std::vector<float>& values) {
    backend->CopyToDevice(stage->stream(), values.data(), span);
    EXPECT_TRUE(backend->Record(stage->stream()).Wait().ok());
  }
  std::vector<float> Read(kernels::Span span) {
    std::vector<float> values(span.size());
    backend->CopyToHost(stage->stream(), span, values.data());
    EXPECT_TRUE(backend->Record(stage->stream()).Wait().ok());
    return values;
  }

  const JobSpec job;
  const ModelLayout layout;
  std::unique_ptr<kernels::Backend> backend;
  std::unique_ptr<Stage> stage;
};

}  // namespace carousel
