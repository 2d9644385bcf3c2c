// No bit of a document depends on another document of the same window: of whole models, so that
// every block has to pass on where documents begin.
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>

#include "kernels/backend.h"
#include "tests/worker/small_job.h"
#include "worker/job_terms.h"
#include "worker/micro_batch_inputs.h"
#include "worker/stage.h"

namespace carousel {
namespace {

constexpr int64_t kSteps = 48, kChunk = 16, kSequences = 2;

struct Family {
  const char* title;
  std::vector<Override> overrides;
};
void PrintTo(const Family& family, std::ostream* out) { *out << family.title; }

// What a window computes, by row: logits [rows, V], losses [rows], and the gradient of the rows
// that enter the first block, [rows, D]. And the gradients of all weights.
template <class T>
struct Outcome {
  std::vector<T> logits, losses, gradient, weights;
};

// Two documents in sequence 0, the second from `border` on; one in sequence 1. Time-major.
MicroBatch Window(int64_t border) {
  MicroBatch window{.sequence_length = kSteps, .sequences = kSequences};
  for (int64_t row = 0; row < kSteps * kSequences; ++row) {
    window.tokens.push_back(static_cast<int32_t>((row * 37 + row * row * 5) % 256));
    window.labels.push_back(static_cast<int32_t>((row * 11 + 3) % 256));
    window.resets.push_back(0);
  }
  window.labels[(border - 1) * kSequences] = kIgnoredLabel;
  window.resets[border * kSequences] = 1;
  return window;
}

// Rows [first, end) of sequence 0 of a tensor with so many elements a row.
template <class T>
std::vector<T> RowsOf(const std::vector<T>& tensor, int64_t first, int64_t end) {
  const int64_t width = static_cast<int64_t>(tensor.size()) / (kSteps * kSequences);
  std::vector<T> rows;
  for (int64_t t = first; t < end; ++t) {
    const auto row = tensor.begin() + t * kSequences * width;
    rows.insert(rows.end(), row, row + width);
  }
  return rows;
}

template <class T>
Outcome<T> RowsOf(const Outcome<T>& window, int64_t first, int64_t end) {
  return {RowsOf(window.logits, first, end),
          RowsOf(window.losses, first, end),
          RowsOf(window.gradient, first, end),
          {}};
}

// The document of these rows in a window of its own.
MicroBatch Alone(const MicroBatch& window, int64_t first, int64_t end) {
  MicroBatch alone{.sequence_length = end - first, .sequences = 1};
  alone.tokens = RowsOf(window.tokens, first, end);
  alone.labels = RowsOf(window.labels, first, end);
  alone.resets.assign(end - first, 0);
  return alone;
}

// Another token for every row of the document.
MicroBatch WithOtherTokens(MicroBatch window, int64_t first, int64_t end) {
  for (int64_t t = first; t < end; ++t) {
    int32_t& token = window.tokens[t * kSequences];
    token = (token + 101) % 256;
  }
  return window;
}

// A whole model, with the weights of its seed, on one micro-batch.
template <class T>
class Model {
 public:
  explicit Model(const JobSpec& job)
      : job_(job), layout_(LayOut(job.model())), backend_(*kernels::NewBackend("cpu", 1)) {}

  Outcome<T> Run(const MicroBatch& micro_batch, int segments = 1) {
    StageCapacity capacity = CapacityOf(job_, /*slots=*/1, segments);
    capacity.sequence_length = micro_batch.sequence_length;
    capacity.batch = micro_batch.sequences;
    capacity.dtype = kernels::DTypeOf<T>::value;
    stream_ = backend_->NewStream();
    const auto stage = *Stage::Create(backend_.get(), stream_,
                                      {.model = &job_.model(),
                                       .layout = &layout_,
                                       .first_unit = 0,
                                       .end_unit = static_cast<int>(layout_.units.size()),
                                       .capacity = capacity});
    stage->Initialize(job_.numerics().seed());
    stage->ResetStepCounters();
    auto inputs = *MicroBatchInputs::Create(backend_.get(), stream_, capacity, segments);
    EXPECT_TRUE(inputs.Load(0, micro_batch).ok());

    Outcome<T> outcome;
    for (int i = 0; i < segments; ++i) {
      const Segment segment = inputs.At(0, i);
      stage->Forward(segment);
      Append(stage->head()->logits(segment), &outcome.logits);
      Append(stage->head()->losses(segment), &outcome.losses);
    }
    for (int i = segments - 1; i >= 0; --i) {
      stage->BackwardInput(inputs.At(0, i));
    }
    const Segment whole = inputs.Run(0, 0, segments);
    Append(stage->UnitInputGradient(1, whole), &outcome.gradient);
    for (const UnitParameters& unit : stage->parameters())
      backend_->Enqueue(stream_, kernels::Zero{.x = unit.gradients()});
    stage->BackwardWeight(whole);
    for (const UnitParameters& unit : stage->parameters())
      Append(unit.gradients(), &outcome.weights);
    return outcome;
  }

 private:
  void Append(kernels::Span span, std::vector<T>* values) {
    const size_t at = values->size();
    values->resize(at + span.size());
    backend_->CopyToHost(stream_, span, values->data() + at);
    EXPECT_TRUE(backend_->Record(stream_).Wait().ok());
  }

  const JobSpec job_;
  const ModelLayout layout_;
  std::unique_ptr<kernels::Backend> backend_;
  kernels::Stream stream_ = 0;
};

template <class T>
void ExpectSameBits(const Outcome<T>& a, const Outcome<T>& b) {
  EXPECT_TRUE(a.logits == b.logits) << "logits";
  EXPECT_TRUE(a.losses == b.losses) << "losses";
  EXPECT_TRUE(a.gradient == b.gradient) << "input gradients";
}

void ExpectNear(const std::vector<double>& a, const std::vector<double>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t e = 0; e < a.size(); ++e)
    ASSERT_NEAR(a[e], b[e], 1e-11 * (1 + std::abs(b[e]))) << "element " << e;
}

class DocumentIndependence : public testing::TestWithParam<Family> {
 protected:
  const JobSpec job_ = SmallJob(GetParam().overrides);
};
INSTANTIATE_TEST_SUITE_P(Families, DocumentIndependence,
                         testing::Values(Family{"Mlstm", {{"", "model.slstm_at", "[]"}}},
                                         Family{"Slstm", {{"", "model.slstm_at", "[0, 1]"}}},
                                         Family{"Large",
                                                {{"", "model.family", "xlstm_large"},
                                                 {"", "model.slstm_at", "[]"}}}),
                         [](const auto& info) { return std::string(info.param.title); });

TEST_P(DocumentIndependence, AnotherDocumentsTokensChangeNoBit) {
  Model<float> model(job_);
  for (int segments : {1, 3}) {
    for (int64_t border : {1, 16, 21, 32, 47}) {
      SCOPED_TRACE(testing::Message() << segments << " segments, border at " << border);
      const MicroBatch window = Window(border);
      const auto before = model.Run(window, segments);

      const auto other_first = model.Run(WithOtherTokens(window, 0, border), segments);
      ExpectSameBits(RowsOf(other_first, border, kSteps), RowsOf(before, border, kSteps));
      EXPECT_FALSE(RowsOf(other_first.logits, 0, border) == RowsOf(before.logits, 0, border));

      const auto other_second = model.Run(WithOtherTokens(window, border, kSteps), segments);
      ExpectSameBits(RowsOf(other_second, 0, border), RowsOf(before, 0, border));
      EXPECT_FALSE(RowsOf(other_second.logits, border, kSteps) ==
                   RowsOf(before.logits, border, kSteps));
    }
  }
}

TEST_P(DocumentIndependence, ADocumentThatStartsAtAChunkBorderHasTheBitsOfItselfAlone) {
  Model<float> model(job_);
  for (int64_t border : {16, 21, 32, 47}) {
    SCOPED_TRACE(testing::Message() << "border at " << border);
    const MicroBatch window = Window(border);
    const auto together = model.Run(window);

    ExpectSameBits(RowsOf(together, 0, border), model.Run(Alone(window, 0, border)));
    if (border % kChunk != 0) continue;
    ExpectSameBits(RowsOf(together, border, kSteps), model.Run(Alone(window, border, kSteps)));
  }
}

// A document of which nothing is predicted has zeros for gradients, so it adds nothing to those of
// the weights, unless one of its rows is taken for the past of another document.
TEST_P(DocumentIndependence, ADocumentIsNoPastOfAnotherInTheWeightsGradients) {
  Model<float> model(job_);
  for (int segments : {1, 3}) {
    for (int64_t border : {1, 16, 21, 32, 47}) {
      SCOPED_TRACE(testing::Message() << segments << " segments, border at " << border);
      MicroBatch window = Window(border);
      for (int64_t t = 0; t < border; ++t) window.labels[t * kSequences] = kIgnoredLabel;

      const auto before = model.Run(window, segments);
      const auto other = model.Run(WithOtherTokens(window, 0, border), segments);

      EXPECT_TRUE(other.weights == before.weights);
      const auto predicted = model.Run(WithOtherTokens(window, border, kSteps), segments);
      EXPECT_FALSE(predicted.weights == before.weights);
    }
  }
}

// Chunks of the mLSTM are cut elsewhere, so its sums are other sums.
TEST_P(DocumentIndependence, OneThatStartsInsideAChunkAgreesWithItselfAlone) {
  Model<double> model(job_);
  const MicroBatch window = Window(21);

  const auto together = RowsOf(model.Run(window), 21, kSteps);
  const auto alone = model.Run(Alone(window, 21, kSteps));

  ExpectNear(together.logits, alone.logits);
  ExpectNear(together.losses, alone.losses);
  ExpectNear(together.gradient, alone.gradient);
}

}  // namespace
}  // namespace carousel
