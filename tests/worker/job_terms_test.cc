#include "worker/job_terms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/small_job.h"

namespace carousel {
namespace {

using ::testing::HasSubstr;

TEST(JobTerms, TheDataOfAJobOpens) {
  const JobSpec job = SmallJob();

  const auto reader = OpenTrainingData(job);

  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(CursorTermsOf(job, *reader).windows, reader->windows());
  EXPECT_TRUE(ReadMicroBatch(*reader, job, /*step=*/0, /*index=*/3).ok());
}

// A token without a row of the embedding would end the worker.
TEST(JobTerms, DataWithMoreTokensThanTheModelIsRefusedByName) {
  JobSpec job = SmallJob();
  job.mutable_model()->set_vocab_size(64);  // as no resolved job has

  const auto reader = OpenTrainingData(job);

  EXPECT_TRUE(absl::IsInvalidArgument(reader.status())) << reader.status();
  EXPECT_THAT(std::string(reader.status().message()), HasSubstr("model.vocab_size: is 64"));
}

TEST(JobTerms, AnotherDatasetThanTheJobWasMadeWithIsRefused) {
  JobSpec job = SmallJob();
  job.mutable_data()->set_dataset_digest("0123");

  const auto reader = OpenTrainingData(job);

  EXPECT_TRUE(absl::IsFailedPrecondition(reader.status())) << reader.status();
  EXPECT_THAT(std::string(reader.status().message()), HasSubstr("the job was made with 0123"));
}

TEST(JobTerms, UnitsAreNamedAsInShards) {
  const ModelLayout layout = LayOut(SmallJob().model());

  EXPECT_EQ(UnitName(layout.units.front()), "embedding");
  EXPECT_EQ(UnitName(layout.units[2]), "blocks.1");
  EXPECT_EQ(UnitName(layout.units.back()), "head");
}

}  // namespace
}  // namespace carousel
