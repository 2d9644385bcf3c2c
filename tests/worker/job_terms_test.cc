#include "worker/job_terms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cluster/data/builder.h"
#include "tests/cluster/temporary_folder.h"
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

// Trying again reads the same bytes.
TEST(JobTerms, ATokenOutsideTheVocabularyNamesTheDatasetAndHowToLookAtIt) {
  // Given a dataset that is damaged after it was opened,
  const TemporaryFolder folder;
  std::ofstream(folder / "text") << std::string(4000, 'a');
  BuildOptions options;
  options.inputs = {folder / "text"};
  options.output = folder / "corpus";
  ASSERT_TRUE(BuildDataset(options).ok());
  JobSpec job = SmallJob();
  job.mutable_data()->clear_synthetic();
  job.mutable_data()->clear_dataset_digest();
  job.mutable_data()->set_dataset(options.output);
  const auto reader = OpenTrainingData(job);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const std::string tokens = TokensPrefix(options.output) + ".bin";
  const auto size = std::filesystem::file_size(tokens);
  std::fstream(tokens, std::ios::in | std::ios::out) << std::string(size, '\x7f');

  const absl::Status damaged = ReadMicroBatch(*reader, job, /*step=*/0, /*index=*/0).status();

  EXPECT_TRUE(absl::IsDataLoss(damaged)) << damaged;
  EXPECT_EQ(
      std::string(damaged.message()),
      "data.dataset: " + tokens +
          ": token 2304 is 32639, not in the vocabulary of 257; the file is damaged or was made "
          "with another tokenizer; before trying again, let "
          "`carousel data verify " +
          options.output + "` name all that is damaged");
}

TEST(JobTerms, UnitsAreNamedAsInShards) {
  const ModelLayout layout = LayOut(SmallJob().model());

  EXPECT_EQ(UnitName(layout.units.front()), "embedding");
  EXPECT_EQ(UnitName(layout.units[2]), "blocks.1");
  EXPECT_EQ(UnitName(layout.units.back()), "head");
}

}  // namespace
}  // namespace carousel
