// Jobs that come as messages, not as text, and must be refused: they have no places to name.
#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include <string>

#include "cluster/job/job_file.h"
#include "cluster/job/resolve.h"

namespace carousel {
namespace {

JobSpec Resolved() {
  return ResolveJob(ParseJob(R"(name: base
model: {preset: xlstm-tiny}
data: {synthetic: {}, sequence_length: 200, batch_size: 16}
learning_rate: {peak: 1e-3}
steps: 100
)",
                             "j"))
      .value();
}

TEST(MalformedMessagesTest, AJobThatCameAsAMessageIsCheckedAlike) {
  JobSpec job;
  job.set_name("a");
  job.mutable_model()->set_preset("xlstm-tiny");
  job.mutable_learning_rate()->set_peak(1e-3);
  job.set_steps(0);
  EXPECT_EQ(std::string(ResolveJob(job).status().message()),
            "steps: 0 is below the least allowed, 1\n"
            "data: has no source; set exactly one of data.dataset (a folder that `carousel data "
            "build` or `carousel data import` wrote) and data.synthetic\n"
            "data.sequence_length: missing; it has no default\n"
            "data.batch_size: missing; it has no default");
}

TEST(MalformedMessagesTest, AMessageOfAnotherSchemaIsRefusedNotMisread) {
  JobSpec job = Resolved();
  job.mutable_model()->set_family(static_cast<Family>(7));
  EXPECT_EQ(std::string(ResolveJob(job).status().message()),
            "model.family: missing; write xlstm or xlstm_large, or name a preset such as "
            "xlstm-125M-7:1");

  job.mutable_model()->set_family(XLSTM);
  job.mutable_learning_rate()->set_shape(static_cast<LearningRateShape>(7));
  job.mutable_pipeline()->set_schedule(static_cast<ScheduleKind>(7));
  EXPECT_EQ(std::string(ResolveJob(job).status().message()),
            "learning_rate.shape: is not set; write cosine, exponential or constant\n"
            "pipeline.schedule: 7 is no schedule; write auto, gpipe or 1f1b");

  JobSpec newer = Resolved();
  newer.mutable_numerics()
      ->GetReflection()
      ->MutableUnknownFields(newer.mutable_numerics())
      ->AddVarint(999, 1);
  EXPECT_EQ(std::string(ResolveJob(newer).status().message()),
            "the job has fields that this build does not know; use the same version on both sides");
}

}  // namespace
}  // namespace carousel
