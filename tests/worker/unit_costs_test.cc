#include "worker/unit_costs.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <variant>

#include "tests/worker/small_job.h"

namespace carousel {
namespace {

TEST(UnitCosts, EveryUnitHasACostAndUnitsOfAKindHaveTheSame) {
  const JobSpec job = SmallJob({{"", "model.num_blocks", "4"}});
  for (const std::string name : {"cpu", "test"}) {
    const auto backend = *kernels::NewBackend(name, 1);

    const absl::StatusOr<std::vector<UnitCost>> costs = MeasureUnitCosts(job, backend.get());

    ASSERT_TRUE(costs.ok()) << costs.status();
    ASSERT_EQ(costs->size(), 6u) << "the embedding, four blocks, the head";
    for (const UnitCost& cost : *costs) {
      EXPECT_GT(cost.forward(), 0);
      EXPECT_GE(cost.backward(), 0);
      EXPECT_GT(cost.weight_gradient(), 0);
    }
    EXPECT_EQ((*costs)[1].SerializeAsString(), (*costs)[3].SerializeAsString()) << "both mLSTM";
    EXPECT_NE((*costs)[1].SerializeAsString(), (*costs)[2].SerializeAsString()) << "an sLSTM";
  }
}

// Passes everything on, and writes down the head's way.
class Watched : public kernels::Backend {
 public:
  absl::StatusOr<kernels::Buffer> Allocate(int64_t bytes) override { return cpu_->Allocate(bytes); }
  kernels::Stream NewStream() override { return cpu_->NewStream(); }
  void FreeStream(kernels::Stream stream) override { cpu_->FreeStream(stream); }
  void Enqueue(kernels::Stream stream, const kernels::Op& op) override {
    if (std::holds_alternative<kernels::CrossEntropyForward>(op)) way += 'F';
    if (std::holds_alternative<kernels::CrossEntropyBackward>(op)) way += 'B';
    cpu_->Enqueue(stream, op);
  }
  void CopyToDevice(kernels::Stream stream, const void* host, kernels::Span device) override {
    cpu_->CopyToDevice(stream, host, device);
  }
  void CopyToHost(kernels::Stream stream, kernels::Span device, void* host) override {
    cpu_->CopyToHost(stream, device, host);
  }
  kernels::Event Record(kernels::Stream stream) override { return cpu_->Record(stream); }
  void Wait(kernels::Stream stream, const kernels::Event& event) override {
    cpu_->Wait(stream, event);
  }

  std::string way;

 private:
  const std::unique_ptr<kernels::Backend> cpu_ = *kernels::NewBackend("cpu", 1);
};

// Backward overwrites logits and the like with their gradients: run twice, it would work on values
// that no step has, and that shrink to denormal ones, which are slow.
TEST(UnitCosts, EveryBackwardHasAForwardOfItsOwn) {
  Watched backend;

  ASSERT_TRUE(MeasureUnitCosts(SmallJob(), &backend).ok());

  EXPECT_EQ(backend.way, "FBFBFBFB");
}

// A worker that is given other work must not finish this first.
TEST(UnitCosts, AMeasurementEndsBetweenTwoOperations) {
  const JobSpec job = SmallJob();
  const auto backend = *kernels::NewBackend("cpu", 1);
  for (const int last : {1, 2, 14, 30}) {
    int asked = 0;

    const auto costs = MeasureUnitCosts(job, backend.get(), [&] { return ++asked == last; });

    EXPECT_TRUE(absl::IsCancelled(costs.status())) << costs.status();
    EXPECT_EQ(asked, last);
  }
}

TEST(UnitCosts, DataThatCannotBeReadIsAnErrorThatNamesIt) {
  JobSpec job = SmallJob();
  job.mutable_data()->clear_synthetic();
  job.mutable_data()->set_dataset("/nowhere");
  const auto backend = *kernels::NewBackend("cpu", 1);

  const auto costs = MeasureUnitCosts(job, backend.get());

  EXPECT_NE(std::string(costs.status().message()).find("/nowhere"), std::string::npos)
      << costs.status();
}

}  // namespace
}  // namespace carousel
