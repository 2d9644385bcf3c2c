#include "worker/step_decision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "kernels/granule.h"
#include "kernels/learning_rate.h"

namespace carousel {
namespace {

using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

class StepDecisionTest : public ::testing::Test {
 protected:
  StepDecisionTest() {
    ModelSpec& model = *job_.mutable_model();
    model.set_family(XLSTM);
    model.set_vocab_size(8192);
    model.set_dim(16);  // the embedding has two granules
    model.set_num_blocks(2);
    model.set_num_heads(2);
    model.set_slstm_num_heads(2);
    model.set_slstm_ffn_factor(1.3);
    model.set_mlstm_proj_factor(2);
    model.add_slstm_at(1);
    job_.set_steps(100);
    job_.mutable_optimizer()->set_beta1(0.9);
    job_.mutable_optimizer()->set_beta2(0.95);
    job_.mutable_optimizer()->set_epsilon(1e-8);
    job_.mutable_optimizer()->set_weight_decay(0.1);
    job_.mutable_optimizer()->set_clip_norm(1);
    job_.mutable_learning_rate()->set_shape(CONSTANT);
    job_.mutable_learning_rate()->set_peak(0.25);
    layout_ = LayOut(job_.model());
    evidence_.loss_sum = 40;
    evidence_.tokens = 10;
    evidence_.non_finite.assign(layout_.units.size(), 0);
    int64_t granules = 0;
    for (const UnitLayout& unit : layout_.units) granules += unit.Granules();
    evidence_.squares.assign(granules, 0);
    evidence_.squares[0] = 16;
  }

  // Place of the first granule of a tensor in the evidence.
  size_t GranuleOf(const std::string& name) const {
    size_t place = 0;
    for (const UnitLayout& unit : layout_.units) {
      for (const TensorLayout& tensor : unit.tensors) {
        if (tensor.name == name) return place;
        place += kernels::GranuleCount(tensor.Elements());
      }
    }
    ADD_FAILURE() << "no tensor " << name;
    return 0;
  }

  StepDecision Decide(int64_t step = 0) { return DecideStep(job_, layout_, step, evidence_); }

  JobSpec job_;
  ModelLayout layout_;
  StepEvidence evidence_;
};

TEST_F(StepDecisionTest, LossAndNormAreThoseOfTheMean) {
  const StepDecision decision = Decide();

  EXPECT_TRUE(decision.apply) << decision.reason;
  EXPECT_EQ(decision.loss, 4);
  EXPECT_EQ(decision.grad_norm, 0.4);  // sqrt(16) / 10
}

// 2^53 + 1 rounds back to 2^53, so the order of the sum shows.
TEST_F(StepDecisionTest, SquaresAreSummedFromTheFirstGranuleToTheLast) {
  evidence_.tokens = 1;
  const size_t last = evidence_.squares.size() - 1;
  evidence_.squares[0] = 0x1p53;
  evidence_.squares[1] = evidence_.squares[last] = 1;
  const double ascending = Decide().grad_norm;
  evidence_.squares[0] = 1;
  evidence_.squares[last] = 0x1p53;
  const double descending = Decide().grad_norm;

  EXPECT_EQ(ascending, std::sqrt(0x1p53));
  EXPECT_EQ(descending, std::sqrt(0x1p53 + 2));
}

TEST_F(StepDecisionTest, ALargeGradientIsClippedAndASmallOneIsNot) {
  evidence_.squares[0] = 1600;  // norm 4, limit 1
  EXPECT_EQ(Decide().update.scale, 1 / (4 + 1e-6) / 10);

  evidence_.squares[0] = 16;
  EXPECT_EQ(Decide().update.scale, 1.0 / 10);

  job_.mutable_optimizer()->set_clip_norm(0);
  evidence_.squares[0] = 1600;
  EXPECT_EQ(Decide().update.scale, 1.0 / 10) << "0 switches clipping off";
}

TEST_F(StepDecisionTest, TheUpdateCarriesTheScalarsOfItsStep) {
  job_.mutable_learning_rate()->set_shape(COSINE);
  job_.mutable_learning_rate()->set_warmup_steps(10);

  const StepDecision fifth = Decide(4);

  EXPECT_DOUBLE_EQ(fifth.update.learning_rate, 0.25 * 4 / 10);
  EXPECT_EQ(Decide(0).update.learning_rate, 0);
  EXPECT_NEAR(fifth.update.correction1, 1 - std::pow(0.9, 5), 1e-15);
  EXPECT_NEAR(fifth.update.correction2, std::sqrt(1 - std::pow(0.95, 5)), 1e-15);
  EXPECT_EQ(fifth.update.beta1, 0.9);
  EXPECT_EQ(fifth.update.beta2, 0.95);
  EXPECT_EQ(fifth.update.epsilon, 1e-8);
  EXPECT_EQ(fifth.update.weight_decay, 0.1);
}

TEST_F(StepDecisionTest, ANonFiniteLossIsNamed) {
  for (double bad : {kNan, kInf, -kInf}) {
    evidence_.loss_sum = bad;
    const StepDecision decision = Decide(7);
    EXPECT_FALSE(decision.apply);
    EXPECT_EQ(decision.reason, "the loss was not finite");
  }
}

TEST_F(StepDecisionTest, TheFirstUnitWhoseOutputWasNotFiniteIsNamed) {
  evidence_.loss_sum = kNan;
  evidence_.non_finite[2] = 5;
  evidence_.non_finite[3] = 9;  // it only passed on

  const StepDecision decision = Decide();

  EXPECT_FALSE(decision.apply);
  EXPECT_THAT(decision.reason, HasSubstr("5 values of the output of unit 2 (blocks.1)"));
}

TEST_F(StepDecisionTest, TheLastTensorWhoseGradientWasNotFiniteIsNamed) {
  const std::string& last = layout_.units[2].tensors.back().name;
  evidence_.squares[0] = kNan;  // gradients flow from the last unit to the first
  evidence_.squares[GranuleOf(last)] = kInf;

  const StepDecision decision = Decide();

  EXPECT_FALSE(decision.apply);
  EXPECT_THAT(decision.reason, HasSubstr("the gradient of " + last + " (unit 2)"));
}

TEST_F(StepDecisionTest, ASecondGranuleOfATensorCountsAsThatTensor) {
  evidence_.squares[1] = kNan;

  EXPECT_THAT(Decide().reason,
              HasSubstr("the gradient of " + layout_.units[0].tensors[0].name + " (unit 0)"));
}

// Every square is finite, their sum is not: no tensor is to blame, and neither is the loss.
TEST_F(StepDecisionTest, ANormThatOverflowsIsNamedAsSuch) {
  evidence_.squares[0] = evidence_.squares[1] = std::numeric_limits<double>::max();

  const StepDecision decision = Decide();

  EXPECT_FALSE(decision.apply);
  EXPECT_THAT(decision.reason, HasSubstr("norm"));
}

// Its squares are finite in f64, but the optimizer's are of f32.
TEST_F(StepDecisionTest, AGradientWhoseSquareOverflowsTheSecondMomentIsRefused) {
  job_.mutable_optimizer()->set_clip_norm(0);
  for (const double norm : {1.8e19, 2e19, 1e100}) {
    evidence_.squares[0] = std::pow(norm * 1.0000001 * 10, 2);  // of ten tokens

    const StepDecision decision = Decide();

    EXPECT_FALSE(decision.apply) << norm;
    EXPECT_THAT(decision.reason, HasSubstr(absl::StrCat("the norm of the gradient is ", norm)));
    EXPECT_THAT(decision.reason, HasSubstr("set optimizer.clip_norm"));
  }
  evidence_.squares[0] = std::pow(1.79e19 * 10, 2);
  EXPECT_TRUE(Decide().apply) << "its square is less than the largest float";
}

TEST_F(StepDecisionTest, ClippingBringsAnyFiniteGradientWithinReach) {
  evidence_.squares[0] = std::pow(1e100 * 10, 2);

  const StepDecision decision = Decide();

  EXPECT_TRUE(decision.apply) << decision.reason;
  EXPECT_NEAR(decision.update.scale * 1e100 * 10, 1, 1e-9);
}

}  // namespace
}  // namespace carousel
