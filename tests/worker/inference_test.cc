#include "worker/inference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "cluster/data/builder.h"
#include "cluster/data/dataset.h"
#include "cluster/data/tokenizer.h"
#include "tests/cluster/temporary_folder.h"
#include "tests/worker/saved_model.h"

namespace carousel {
namespace {

using ::testing::HasSubstr;

JobSpec OneSequence(std::vector<Override> more = {}) {
  more.push_back({"", "numerics.micro_batch_size", "1"});
  more.push_back({"", "learning_rate.peak", "1e-2"});
  more.push_back({"", "steps", "12"});
  return SmallJob(more);
}

// -log softmax(logits)[label], in double.
double LossOf(const std::vector<float>& logits, int label) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - most);
  return most + std::log(sum) - logits[label];
}

// The same stories on a backend that runs at once and on one that runs late.
class InferenceTest : public ::testing::TestWithParam<const char*> {
 protected:
  InferenceParts Parts() { return {.backend = backend_.get(), .shards = &model_.shards()}; }

  template <typename Request>
  Request RequestOf() {
    Request request;
    *request.mutable_spec() = model_.job();
    *request.mutable_manifest() = model_.manifest();
    return request;
  }

  absl::StatusOr<std::string> Generate(const std::string& prompt, int64_t tokens,
                                       double temperature = 0, int64_t seed = 1) {
    WorkerGenerateRequest request = RequestOf<WorkerGenerateRequest>();
    request.mutable_request()->set_prompt(prompt);
    request.mutable_request()->set_max_tokens(tokens);
    request.mutable_request()->set_temperature(temperature);
    request.mutable_request()->set_seed(seed);
    std::string text;
    const absl::Status status = GenerateText(request, Parts(), [&](const std::string& piece) {
      text += piece;
      return true;
    });
    if (!status.ok()) return status;
    return text;
  }

  SavedModel model_{OneSequence(), /*steps=*/12};
  std::unique_ptr<kernels::Backend> backend_ = *kernels::NewBackend(GetParam(), 1);
};

INSTANTIATE_TEST_SUITE_P(Backends, InferenceTest, ::testing::Values("cpu", "test"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(InferenceTest, TheHeldOutLossIsTheMeanOfWhatEveryTokenCosts) {
  EvaluateProgress last;
  int calls = 0;

  const absl::Status status = EvaluateCheckpoint(RequestOf<WorkerEvaluateRequest>(), Parts(),
                                                 [&](const EvaluateProgress& progress) {
                                                   last = progress;
                                                   ++calls;
                                                   return true;
                                                 });

  ASSERT_TRUE(status.ok()) << status;
  const BatchReader reader =
      *BatchReader::ForEvaluation(*Dataset::Open(model_.job().data()), model_.job().data());
  double sum = 0;
  int64_t tokens = 0, bytes = 0;
  for (int64_t window = 0; window < reader.windows(); ++window) {
    MicroBatch rows;
    ASSERT_TRUE(reader.Read(window, 1, &rows).ok());
    const auto logits = model_.Logits(rows);
    for (size_t row = 0; row < rows.labels.size(); ++row) {
      if (rows.labels[row] == kIgnoredLabel) continue;
      sum += LossOf(logits[row], rows.labels[row]);
      ++tokens;
      bytes += ByteTokenizer::TextBytes(rows.labels[row]);
    }
  }
  ASSERT_GT(tokens, 100);
  EXPECT_TRUE(last.done());
  EXPECT_EQ(last.step(), 12);
  EXPECT_EQ(last.tokens(), tokens);
  EXPECT_EQ(last.total_tokens(), tokens);
  EXPECT_EQ(calls, reader.windows() + 1);
  EXPECT_NEAR(last.loss(), sum / static_cast<double>(tokens), 1e-5);
  EXPECT_NEAR(last.perplexity(), std::exp(last.loss()), 1e-9);
  EXPECT_NEAR(last.bits_per_byte(), sum / static_cast<double>(bytes) / std::log(2.0), 1e-5);
}

// Held-out blocks of another dataset under the same path may be what the model was trained on.
TEST_P(InferenceTest, ADatasetThatIsNotTheJobsIsNotMeasuredAsIfItWere) {
  WorkerEvaluateRequest request = RequestOf<WorkerEvaluateRequest>();
  request.mutable_spec()->mutable_data()->set_dataset_digest("0123");

  const absl::Status refused =
      EvaluateCheckpoint(request, Parts(), [](const EvaluateProgress&) { return true; });

  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("the job was made with 0123"));
}

TEST_P(InferenceTest, ADatasetThatHasVanishedIsNamedWithTheWayToNameItsNewPlace) {
  WorkerEvaluateRequest request = RequestOf<WorkerEvaluateRequest>();
  request.mutable_spec()->mutable_data()->clear_synthetic();
  request.mutable_spec()->mutable_data()->set_dataset("/nowhere/corpus");

  const absl::Status refused =
      EvaluateCheckpoint(request, Parts(), [](const EvaluateProgress&) { return true; });

  EXPECT_TRUE(absl::IsNotFound(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("data.dataset: /nowhere/corpus"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("name the place with --dataset DIR"));
}

// The model was trained on a made-up corpus; another one is named for the evaluation.
TEST_P(InferenceTest, AnotherDatasetTakesThePlaceOfAMadeUpOne) {
  const TemporaryFolder folder;
  std::ofstream(folder / "text") << std::string(2000, 'a');
  BuildOptions options;
  options.inputs = {folder / "text"};
  options.output = folder / "dataset";
  options.held_out_block_tokens = 256;
  options.held_out_every = 2;
  ASSERT_TRUE(BuildDataset(options).ok());
  ASSERT_TRUE(model_.job().data().has_synthetic());
  WorkerEvaluateRequest request = RequestOf<WorkerEvaluateRequest>();
  request.mutable_request()->set_dataset(options.output);

  EvaluateProgress last;
  const absl::Status status =
      EvaluateCheckpoint(request, Parts(), [&](const EvaluateProgress& progress) {
        last = progress;
        return true;
      });

  ASSERT_TRUE(status.ok()) << status;
  EXPECT_GT(last.tokens(), 256);
}

TEST_P(InferenceTest, TheLikeliestTextIsWhatAForwardOverTheWholeOfItFindsLikeliest) {
  const std::string prompt = "the cat";

  const absl::StatusOr<std::string> text = Generate(prompt, /*tokens=*/16);

  ASSERT_TRUE(text.ok()) << text.status();
  ASSERT_FALSE(text->empty());
  const std::string all = prompt + *text;
  MicroBatch rows;
  rows.sequence_length = model_.job().data().sequence_length();
  rows.sequences = 1;
  rows.tokens.assign(rows.sequence_length, ByteTokenizer::kSeparator);
  rows.labels.assign(rows.sequence_length, kIgnoredLabel);
  rows.resets.assign(rows.sequence_length, 0);
  rows.resets[0] = 1;
  ByteTokenizer::Encode(all, rows.tokens.data() + 1);
  const auto logits = model_.Logits(rows);
  for (size_t i = 0; i < text->size(); ++i) {
    const std::vector<float>& seen = logits[prompt.size() + i];
    const auto likeliest = std::max_element(seen.begin(), seen.end()) - seen.begin();
    EXPECT_EQ(likeliest, static_cast<unsigned char>((*text)[i])) << "of token " << i;
  }
  if (text->size() < 16) {
    const std::vector<float>& seen = logits[all.size()];
    EXPECT_GE(std::max_element(seen.begin(), seen.end()) - seen.begin(), ByteTokenizer::kSeparator)
        << "it ended where a document ends";
  }
}

TEST_P(InferenceTest, AModelOfFewerTokensThanBytesIsNotAskedForText) {
  WorkerGenerateRequest request = RequestOf<WorkerGenerateRequest>();
  request.mutable_spec()->mutable_model()->set_vocab_size(100);
  request.mutable_request()->set_prompt("z");
  request.mutable_request()->set_max_tokens(1);

  const absl::Status refused =
      GenerateText(request, Parts(), [](const std::string&) { return true; });

  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("model.vocab_size: 100 tokens"));
}

// What its tokens stand for is known to the dataset alone.
TEST_P(InferenceTest, AModelWhoseDatasetHasVanishedIsNotTakenForOneOfBytes) {
  WorkerGenerateRequest request = RequestOf<WorkerGenerateRequest>();
  request.mutable_spec()->mutable_data()->clear_synthetic();
  request.mutable_spec()->mutable_data()->set_dataset("/nowhere/corpus");
  request.mutable_request()->set_prompt("z");
  request.mutable_request()->set_max_tokens(1);

  const absl::Status refused =
      GenerateText(request, Parts(), [](const std::string&) { return true; });

  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  const std::string message(refused.message());
  EXPECT_THAT(message, HasSubstr("data.dataset: /nowhere/corpus"));
  EXPECT_THAT(message, HasSubstr("bring the folder back to this path"));
  EXPECT_THAT(message, HasSubstr("`carousel resume JOB --dataset DIR`"));
}

TEST_P(InferenceTest, TheSameSeedGivesTheSameTextAndAnotherAnother) {
  const std::string once = *Generate("a", 16, /*temperature=*/1, /*seed=*/5);

  EXPECT_EQ(*Generate("a", 16, 1, 5), once);
  EXPECT_NE(*Generate("a", 16, 1, 6), once);
}

TEST_P(InferenceTest, ACallerThatLeftEndsItEvenInsideThePrompt) {
  WorkerGenerateRequest request = RequestOf<WorkerGenerateRequest>();
  request.mutable_request()->set_prompt(std::string(1 << 20, 'x'));  // minutes
  request.mutable_request()->set_max_tokens(1);
  InferenceParts parts = Parts();
  int asked = 0;
  parts.cancelled = [&] { return ++asked > 20; };

  const absl::Status ended = GenerateText(request, parts, [](const std::string&) { return true; });

  EXPECT_TRUE(absl::IsCancelled(ended)) << ended;
}

}  // namespace
}  // namespace carousel
