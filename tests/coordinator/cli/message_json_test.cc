#include "coordinator/cli/message_json.h"

#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace carousel {
namespace {

TEST(MessageJson, AJobHasItsFiguresAtTheTop) {
  Job job;
  job.set_job("smoke-1");
  job.set_state(RUNNING);
  job.set_step(3);
  job.set_loss(0);
  job.set_tokens(9'007'199'254'740'991);
  job.set_state_digest("ab");

  const nlohmann::ordered_json json = JobToJson(job);

  EXPECT_EQ(json["job"], "smoke-1");
  EXPECT_EQ(json["state"], "running");
  EXPECT_EQ(json["step"], 3);
  EXPECT_EQ(json["loss"], 0.0);
  EXPECT_EQ(json["perplexity"], 1.0);
  EXPECT_EQ(json["tokens"].dump(), "9007199254740991");
  EXPECT_EQ(json["state_digest"], "ab");
}

TEST(MessageJson, BeforeTheFirstStepThereIsNoLoss) {
  const nlohmann::ordered_json json = JobToJson(Job());
  EXPECT_TRUE(json.contains("loss"));
  EXPECT_TRUE(json["loss"].is_null());
  EXPECT_TRUE(json["perplexity"].is_null());
}

TEST(MessageJson, WhatWasNotMeasuredIsNull) {
  Job job;
  job.set_step(3);
  for (const char* figure : {"tokens_per_second", "eta_seconds", "measured_bubble_ratio"}) {
    EXPECT_TRUE(JobToJson(job)[figure].is_null()) << figure;
  }
  job.set_tokens_per_second(1000);
  job.set_measured_bubble_ratio(0.5);
  EXPECT_EQ(JobToJson(job)["tokens_per_second"], 1000);
  EXPECT_EQ(JobToJson(job)["eta_seconds"], 0);  // its last step
  EXPECT_EQ(JobToJson(job)["measured_bubble_ratio"], 0.5);
}

TEST(MessageJson, NumbersThatJsonCannotWriteAreNull) {
  Job job;
  job.set_step(1);
  job.set_loss(std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(JobToJson(job)["loss"].is_null());
}

TEST(MessageJson, EnumsAreWrittenAsInJobFiles) {
  Job job;
  job.mutable_spec()->mutable_pipeline()->set_schedule(ONE_F_ONE_B);
  job.mutable_spec()->mutable_model()->add_slstm_at(1);

  const nlohmann::ordered_json spec = ToJsonDocument(job.spec());

  EXPECT_EQ(spec["pipeline"]["schedule"], "1f1b");
  EXPECT_EQ(spec["model"]["slstm_at"].dump(), "[1]");
  EXPECT_FALSE(spec.contains("steps"));  // left out
}

// Rather than as null, which nobody would notice.
TEST(MessageJsonDeathTest, AListOfAnotherKindIsOurMistake) {
  google::protobuf::FileDescriptorProto file;
  file.add_public_dependency(1);  // int32
  EXPECT_DEATH(ToJsonDocument(file), "broken invariant");
}

}  // namespace
}  // namespace carousel
