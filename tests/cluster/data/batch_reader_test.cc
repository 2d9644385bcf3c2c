#include "cluster/data/batch_reader.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/data/builder.h"
#include "cluster/data/keyed_permutation.h"
#include "proto/job.pb.h"
#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

using absl::StatusCode;

DataSpec Spec(int64_t tokens = 100000, int64_t sequence_length = 100) {
  DataSpec spec;
  spec.mutable_synthetic()->set_seed(1);
  spec.mutable_synthetic()->set_tokens(tokens);
  spec.mutable_synthetic()->set_mean_document_length(300);
  spec.set_sequence_length(sequence_length);
  spec.set_batch_size(8);
  spec.set_shuffle_seed(5);
  spec.set_reset_at_document_boundaries(true);
  return spec;
}

std::shared_ptr<const Dataset> Open(const DataSpec& spec) {
  auto dataset = Dataset::Open(spec);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return *std::move(dataset);
}

BatchReader Training(const DataSpec& spec) {
  auto reader = BatchReader::ForTraining(Open(spec), spec);
  EXPECT_TRUE(reader.ok()) << reader.status();
  return *std::move(reader);
}

MicroBatch Read(const BatchReader& reader, int64_t first, int64_t sequences) {
  MicroBatch batch;
  EXPECT_TRUE(reader.Read(first, sequences, &batch).ok());
  return batch;
}

std::vector<int32_t> Column(const std::vector<int32_t>& tensor, int64_t sequences, int64_t b) {
  std::vector<int32_t> column;
  for (size_t i = static_cast<size_t>(b); i < tensor.size(); i += sequences) {
    column.push_back(tensor[i]);
  }
  return column;
}

TEST(BatchReaderTest, RowsAreTimeMajorAndRowBIsTheBthSequence) {
  const BatchReader reader = Training(Spec());

  const MicroBatch batch = Read(reader, 40, 4);

  ASSERT_EQ(batch.tokens.size(), 400u);
  int64_t predicted = 0;
  for (int64_t b = 0; b < 4; ++b) {
    const MicroBatch alone = Read(reader, 40 + b, 1);
    EXPECT_EQ(Column(batch.tokens, 4, b), alone.tokens);
    EXPECT_EQ(Column(batch.labels, 4, b), alone.labels);
    predicted += alone.predicted;
  }
  EXPECT_EQ(batch.predicted, predicted);
}

TEST(BatchReaderTest, TheSequencesOfAStepDoNotDependOnTheMicroBatch) {
  const BatchReader reader = Training(Spec());
  const int64_t step = 7, batch_size = 8;

  std::vector<std::vector<int32_t>> by_two, by_four;
  for (int64_t j = 0; j < 4; ++j) {
    const auto batch = Read(reader, FirstSequence(step, batch_size, j, 2), 2);
    for (int64_t b = 0; b < 2; ++b) by_two.push_back(Column(batch.tokens, 2, b));
  }
  for (int64_t j = 0; j < 2; ++j) {
    const auto batch = Read(reader, FirstSequence(step, batch_size, j, 4), 4);
    for (int64_t b = 0; b < 4; ++b) by_four.push_back(Column(batch.tokens, 4, b));
  }

  EXPECT_EQ(by_two, by_four);
}

TEST(BatchReaderTest, SequenceNIsTheWindowThatThePermutationSays) {
  const DataSpec spec = Spec();
  const auto dataset = Open(spec);
  const BatchReader reader = Training(spec);
  const TokenWindows windows(dataset->Part(CorpusSide::kTraining), 100, true);
  ASSERT_EQ(reader.windows(), windows.count());

  for (int64_t n :
       {int64_t{0}, int64_t{3}, windows.count() - 1, windows.count(), 5 * windows.count() + 17}) {
    const int64_t window =
        KeyedPermutation(5, n / windows.count(), windows.count()).At(n % windows.count());
    MicroBatch expected = Read(reader, n, 1);
    MicroBatch actual = expected;
    actual.predicted = actual.predicted_bytes = 0;
    ASSERT_TRUE(windows.Read(window, 0, &actual).ok());
    EXPECT_EQ(actual.tokens, expected.tokens);
    EXPECT_EQ(actual.labels, expected.labels);
    EXPECT_EQ(actual.resets, expected.resets);
  }
}

TEST(BatchReaderTest, ADataEpochReadsEveryWindowOnceAndTheNextInAnotherOrder) {
  const BatchReader reader = Training(Spec(20000, 64));
  const int64_t count = reader.windows();
  const auto epoch = [&](int64_t number) {
    std::vector<std::pair<std::vector<int32_t>, std::vector<int32_t>>> rows;
    for (int64_t i = 0; i < count; ++i) {
      MicroBatch batch = Read(reader, number * count + i, 1);
      rows.emplace_back(std::move(batch.tokens), std::move(batch.labels));
    }
    return rows;
  };

  auto first = epoch(0);
  auto second = epoch(1);

  EXPECT_NE(first, second);
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  EXPECT_EQ(first, second);
}

TEST(BatchReaderTest, AMicroBatchMayStraddleTwoDataEpochs) {
  const BatchReader reader = Training(Spec());
  const int64_t last = reader.windows() - 1;

  const MicroBatch batch = Read(reader, last, 2);

  EXPECT_EQ(Column(batch.tokens, 2, 0), Read(reader, last, 1).tokens);
  EXPECT_EQ(Column(batch.tokens, 2, 1), Read(reader, last + 1, 1).tokens);
}

TEST(BatchReaderTest, EvaluationReadsTheHeldOutPartInOrderAndThenEmptySequences) {
  const DataSpec spec = Spec();
  const auto dataset = Open(spec);
  auto reader = BatchReader::ForEvaluation(dataset, spec);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const int64_t sequences = reader->windows() + 3;

  const MicroBatch batch = Read(*reader, 0, sequences);

  const CorpusPart part = dataset->Part(CorpusSide::kHeldOut);
  std::vector<int32_t> text(static_cast<size_t>(part.token_count()));
  std::vector<uint8_t> starts(text.size());
  ASSERT_TRUE(part.Read(0, part.token_count(), text.data(), starts.data()).ok());
  int64_t position = 0;
  int64_t predicted = 0;
  for (int64_t b = 0; b < sequences; ++b) {
    for (int32_t label : Column(batch.labels, sequences, b)) {
      ++position;
      const bool expected = position < part.token_count() && !starts[position];
      ASSERT_EQ(label, expected ? text[position] : kIgnoredLabel) << position;
      predicted += expected;
    }
    ASSERT_EQ(batch.resets[b], 1);
  }
  EXPECT_EQ(batch.predicted, predicted);
}

TEST(BatchReaderTest, AReusedBatchKeepsNothingOfItsFormerContent) {
  const BatchReader reader = Training(Spec());
  MicroBatch batch = Read(reader, 0, 8);
  ASSERT_TRUE(reader.Read(3, 2, &batch).ok());

  const MicroBatch fresh = Read(reader, 3, 2);
  EXPECT_EQ(batch.tokens, fresh.tokens);
  EXPECT_EQ(batch.labels, fresh.labels);
  EXPECT_EQ(batch.resets, fresh.resets);
  EXPECT_EQ(batch.predicted, fresh.predicted);
  EXPECT_EQ(batch.predicted_bytes, fresh.predicted_bytes);
}

TEST(BatchReaderTest, ThreadsMayReadAtOnce) {
  const BatchReader reader = Training(Spec());
  std::vector<MicroBatch> batches(16);
  std::vector<std::thread> threads;
  for (int k = 0; k < 4; ++k) {
    threads.emplace_back([&, k] {
      for (int i = k; i < 16; i += 4) ASSERT_TRUE(reader.Read(8 * i, 8, &batches[i]).ok());
    });
  }
  for (auto& thread : threads) thread.join();

  for (int i = 0; i < 16; ++i) EXPECT_EQ(batches[i].tokens, Read(reader, 8 * i, 8).tokens);
}

TEST(BatchReaderTest, RefusesWhatCannotBeReadByFieldName) {
  DataSpec spec = Spec();
  const auto dataset = Open(spec);
  spec.set_sequence_length(0);
  ExpectError(BatchReader::ForTraining(dataset, spec).status(), StatusCode::kInvalidArgument,
              {"data.sequence_length: is 0"});
  spec.set_sequence_length(int64_t{1} << 40);
  ExpectError(BatchReader::ForEvaluation(dataset, spec).status(), StatusCode::kInvalidArgument,
              {"data.sequence_length"});

  spec = Spec(/*tokens=*/5000);  // less than two blocks of the synthetic corpus
  ExpectError(BatchReader::ForEvaluation(Open(spec), spec).status(),
              StatusCode::kFailedPrecondition,
              {"nothing is held out", "raise data.synthetic.tokens"});
}

TEST(BatchReaderTest, ATokenOutsideTheVocabularyPointsToTheCommandThatFindsAll) {
  const std::string folder = ScratchFolder();
  BuildOptions options;
  options.inputs = {WriteText(folder + "/a.txt", "some text to train on")};
  options.output = folder + "/set";
  ASSERT_TRUE(BuildDataset(options).ok());
  DataSpec spec;
  spec.set_dataset(options.output);
  spec.set_sequence_length(21);
  const BatchReader reader = Training(spec);
  std::string tokens = ReadText(options.output + "/tokens.bin");
  tokens[1] = 2;  // 's' + 512
  WriteText(options.output + "/tokens.bin", tokens);

  MicroBatch batch;
  ExpectError(reader.Read(0, 1, &batch), StatusCode::kDataLoss,
              {"tokens.bin: token 0 is 627, not in the vocabulary of 257",
               "`carousel data verify " + options.output + "`"});
}

}  // namespace
}  // namespace carousel
