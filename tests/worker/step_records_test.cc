#include "worker/step_records.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace carousel {
namespace {

uint64_t Bits(double x) { return std::bit_cast<uint64_t>(x); }

const double kOddDoubles[] = {
    0.0,
    -0.0,
    1.0 / 3.0,
    std::numeric_limits<double>::denorm_min(),
    std::numeric_limits<double>::max(),
    std::numeric_limits<double>::infinity(),
    -std::numeric_limits<double>::infinity(),
    std::bit_cast<double>(uint64_t{0x7ff800000000beef})};  // a NaN with a payload

TEST(StepRecords, EvidenceKeepsEveryBit) {
  for (double odd : kOddDoubles) {
    const StepEvidence sent = {.loss_sum = odd,
                               .tokens = int64_t{1} << 40,
                               .squares = {odd, 2, odd},
                               .non_finite = {0, 7}};

    const auto received = DecodeEvidence(EncodeEvidence(sent));

    ASSERT_TRUE(received.ok()) << received.status();
    EXPECT_EQ(Bits(received->loss_sum), Bits(odd));
    EXPECT_EQ(received->tokens, int64_t{1} << 40);
    ASSERT_EQ(received->squares.size(), 3u);
    EXPECT_EQ(Bits(received->squares[0]), Bits(odd));
    EXPECT_EQ(Bits(received->squares[2]), Bits(odd));
    EXPECT_EQ(received->non_finite, sent.non_finite);
  }
}

TEST(StepRecords, EvidenceOfOtherUnitsThanThePlanSaysIsRefused) {
  ModelLayout layout;
  for (int64_t elements : {10, 70'000}) {  // one granule and two
    TensorLayout tensor;
    tensor.shape = {elements};
    layout.units.emplace_back().tensors.push_back(tensor);
  }

  const StepEvidence right = {.squares = {1, 2, 3}, .non_finite = {0, 0}};
  const StepEvidence short_of_one = {.squares = {1, 2}, .non_finite = {0, 0}};
  const StepEvidence of_one_unit = {.squares = {1, 2, 3}, .non_finite = {0}};

  EXPECT_TRUE(CheckEvidence(right, layout, 2).ok());
  for (const StepEvidence& wrong : {short_of_one, of_one_unit}) {
    const absl::Status status = CheckEvidence(wrong, layout, 2);
    EXPECT_TRUE(absl::IsDataLoss(status));
    EXPECT_NE(status.message().find("the plan says 3 of 2"), std::string::npos) << status;
  }
}

TEST(StepRecords, ADecisionKeepsEveryBitOfEveryScalar) {
  StepDecision sent;
  sent.apply = true;
  sent.reason = "none";
  sent.loss = kOddDoubles[7];
  sent.grad_norm = kOddDoubles[3];
  sent.update = {.scale = 0.1,
                 .learning_rate = 1e-3 / 7,
                 .beta1 = 0.9,
                 .beta2 = 0.95,
                 .epsilon = 1e-8,
                 .weight_decay = -0.0,
                 .correction1 = 1 - 0.9,
                 .correction2 = std::sqrt(1 - 0.95)};
  sent.checkpoint = true;

  const auto received = DecodeDecision(EncodeDecision(sent));

  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_TRUE(received->apply);
  EXPECT_EQ(received->reason, "none");
  EXPECT_EQ(Bits(received->loss), Bits(sent.loss));
  EXPECT_EQ(Bits(received->grad_norm), Bits(sent.grad_norm));
  EXPECT_EQ(Bits(received->update.scale), Bits(sent.update.scale));
  EXPECT_EQ(Bits(received->update.learning_rate), Bits(sent.update.learning_rate));
  EXPECT_EQ(Bits(received->update.beta1), Bits(sent.update.beta1));
  EXPECT_EQ(Bits(received->update.beta2), Bits(sent.update.beta2));
  EXPECT_EQ(Bits(received->update.epsilon), Bits(sent.update.epsilon));
  EXPECT_EQ(Bits(received->update.weight_decay), Bits(sent.update.weight_decay));
  EXPECT_EQ(Bits(received->update.correction1), Bits(sent.update.correction1));
  EXPECT_EQ(Bits(received->update.correction2), Bits(sent.update.correction2));
  EXPECT_TRUE(received->checkpoint);
  EXPECT_FALSE(received->stop);
}

TEST(StepRecords, BytesThatAreNoRecordAreDataLoss) {
  const std::string noise = "\xff\xff\xff";

  EXPECT_TRUE(absl::IsDataLoss(DecodeEvidence(noise).status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeDecision(noise).status()));
}

}  // namespace
}  // namespace carousel
