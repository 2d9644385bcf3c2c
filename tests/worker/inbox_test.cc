#include "worker/inbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

namespace carousel {
namespace {

using kernels::DType;
using kernels::Event;
using kernels::Span;
using ::testing::HasSubstr;

const Tag kFirst = {3, ACTIVATION, 0, 0};
const Tag kSecond = {3, ACTIVATION, 0, 1};

std::string BytesOf(std::vector<float> values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

// The same stories on a backend that runs at once and on one that runs late.
class InboxTest : public ::testing::TestWithParam<const char*> {
 protected:
  Span NewSpan(int64_t elements) {
    buffers_.push_back(*backend_->Allocate(elements * 4));
    return buffers_.back().As(DType::kF32);
  }

  std::vector<float> Content(Span span) {
    std::vector<float> values(span.size());
    backend_->CopyToHost(stream_, span, values.data());
    EXPECT_TRUE(backend_->Record(stream_).Wait().ok());
    return values;
  }

  void Deliver(const Tag& tag, std::string bytes, int from = 0) {
    inbox_.Deliver(from, tag, std::move(bytes), [this] { ++consumed_; });
  }

  std::vector<kernels::Buffer> buffers_;
  std::unique_ptr<kernels::Backend> backend_ = *kernels::NewBackend(GetParam(), 1);
  kernels::Stream stream_ = backend_->NewStream();
  std::atomic<int> consumed_{0};
  Inbox inbox_{backend_.get(), /*stage=*/1, /*credits=*/3};
};

INSTANTIATE_TEST_SUITE_P(Backends, InboxTest, ::testing::Values("cpu", "test"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(InboxTest, ATensorThatCameFirstFillsTheSpanThatIsAskedLater) {
  const Span span = NewSpan(2);

  Deliver(kFirst, BytesOf({1, 2}));
  EXPECT_EQ(consumed_, 0) << "no credit while it waits here";
  const absl::Status done = inbox_.Recv(0, kFirst, span, Event()).Wait();

  EXPECT_TRUE(done.ok()) << done;
  EXPECT_EQ(Content(span), (std::vector<float>{1, 2}));
  EXPECT_EQ(consumed_, 1);
}

TEST_P(InboxTest, ASpanThatWasAskedFirstIsFilledWhenTheTensorComes) {
  const Span one = NewSpan(1), other = NewSpan(1);

  const Event first = inbox_.Recv(0, kFirst, one, Event());
  const Event second = inbox_.Recv(0, kSecond, other, Event());
  EXPECT_FALSE(first.ready());
  Deliver(kFirst, BytesOf({1}));
  Deliver(kSecond, BytesOf({2}));

  EXPECT_TRUE(first.Wait().ok());
  EXPECT_TRUE(second.Wait().ok());
  EXPECT_EQ(Content(one), (std::vector<float>{1}));
  EXPECT_EQ(Content(other), (std::vector<float>{2}));
  EXPECT_EQ(consumed_, 2);
}

TEST_P(InboxTest, EdgesDoNotMix) {
  const Span from_zero = NewSpan(1), from_two = NewSpan(1);

  const Event first = inbox_.Recv(0, kFirst, from_zero, Event());
  const Event second = inbox_.Recv(2, kSecond, from_two, Event());
  Deliver(kSecond, BytesOf({2}), /*from=*/2);

  EXPECT_TRUE(second.Wait().ok());
  EXPECT_FALSE(first.ready());
  Deliver(kFirst, BytesOf({1}), /*from=*/0);
  EXPECT_TRUE(first.Wait().ok());
}

TEST_P(InboxTest, ASpanIsNotWrittenBeforeItIsFree) {
  const Span span = NewSpan(1);
  const Event free = Event::Pending();

  Event done;
  std::thread asking([&] { done = inbox_.Recv(0, kFirst, span, free); });
  std::thread delivering([&] { Deliver(kFirst, BytesOf({5})); });
  EXPECT_EQ(Content(span), (std::vector<float>{0}));
  Event(free).Complete();
  asking.join();
  delivering.join();

  EXPECT_TRUE(done.Wait().ok());
  EXPECT_EQ(Content(span), (std::vector<float>{5}));
}

TEST_P(InboxTest, AnotherTagThanExpectedFailsByNameAndForGood) {
  const Span span = NewSpan(1);

  const Event done = inbox_.Recv(0, kFirst, span, Event());
  const Event later = inbox_.Recv(0, kSecond, span, Event());
  Deliver(kSecond, BytesOf({1}));

  EXPECT_TRUE(absl::IsDataLoss(done.Wait()));
  EXPECT_EQ(done.Wait().message(),
            "stage 1 expected activation of step 3, micro-batch 0, segment 0 from stage 0 and got "
            "activation of step 3, micro-batch 0, segment 1");
  EXPECT_EQ(later.Wait(), done.Wait());
  EXPECT_EQ(inbox_.status(), done.Wait());
  EXPECT_EQ(Content(span), (std::vector<float>{0}));
}

TEST_P(InboxTest, AnotherSizeThanPlannedFailsByName) {
  const Span span = NewSpan(2);

  const Event done = inbox_.Recv(0, kFirst, span, Event());
  Deliver(kFirst, BytesOf({1, 2, 3}));

  EXPECT_TRUE(absl::IsDataLoss(done.Wait()));
  EXPECT_THAT(std::string(done.Wait().message()), HasSubstr("has 12 bytes where the plan says 8"));
  EXPECT_EQ(Content(span), (std::vector<float>{0, 0}));
}

TEST_P(InboxTest, RecordsOfAnySizeComeAsBytesBetweenTensors) {
  const Span span = NewSpan(1);
  Deliver(kFirst, BytesOf({1}));
  Deliver({3, DECISION}, "decided");
  Deliver({4, DECISION}, "");

  EXPECT_TRUE(inbox_.Recv(0, kFirst, span, Event()).Wait().ok());
  EXPECT_EQ(*inbox_.ReceiveBytes(0, {3, DECISION}), "decided");
  EXPECT_EQ(*inbox_.ReceiveBytes(0, {4, DECISION}), "");
  EXPECT_EQ(consumed_, 3);
}

TEST_P(InboxTest, AbortEndsEveryWaitWithItsReasonAndTheFirstReasonStays) {
  const Span span = NewSpan(1);
  const Event waiting = inbox_.Recv(0, kFirst, span, Event());
  absl::Status blocked;
  std::thread asking([&] { blocked = inbox_.ReceiveBytes(2, {3, DECISION}).status(); });

  inbox_.Abort(absl::CancelledError("epoch over"));
  inbox_.Abort(absl::InternalError("too late"));
  asking.join();

  EXPECT_EQ(waiting.Wait(), absl::CancelledError("epoch over"));
  EXPECT_EQ(blocked, absl::CancelledError("epoch over"));
  EXPECT_EQ(inbox_.Recv(0, kFirst, span, Event()).Wait(), absl::CancelledError("epoch over"));
  EXPECT_EQ(inbox_.ReceiveBytes(0, kFirst).status(), absl::CancelledError("epoch over"));
  EXPECT_EQ(inbox_.status(), absl::CancelledError("epoch over"));
}

TEST_P(InboxTest, WhatArrivesAfterAnAbortIsDropped) {
  inbox_.Abort(absl::CancelledError("over"));

  Deliver(kFirst, BytesOf({1}));

  EXPECT_EQ(consumed_, 0);
}

// A sender that ignores the credits must not fill this worker's memory.
TEST_P(InboxTest, AnArrivalBeyondTheCreditsFailsTheInboxByName) {
  for (int i = 0; i < 3; ++i) Deliver({i, ACTIVATION}, BytesOf({1}));
  Deliver({7, ACTIVATION}, BytesOf({1}), /*from=*/2);
  ASSERT_TRUE(inbox_.status().ok()) << "three of each edge";

  Deliver({3, ACTIVATION}, BytesOf({1}));

  EXPECT_TRUE(absl::IsResourceExhausted(inbox_.status())) << inbox_.status();
  EXPECT_THAT(std::string(inbox_.status().message()),
              HasSubstr("stage 0 sent activation of step 3, micro-batch 0, segment 0 to stage 1 "
                        "without a credit; there is room for 3"));
}

TEST_P(InboxTest, ATensorThatWasConsumedMakesRoomForAnother) {
  const Span span = NewSpan(1);
  for (int i = 0; i < 20; ++i) {
    Deliver({i, ACTIVATION}, BytesOf({1}));
    ASSERT_TRUE(inbox_.Recv(0, {i, ACTIVATION}, span, Event()).Wait().ok()) << inbox_.status();
  }
}

// A place that becomes free only once the tensor before it was used, as in a pipeline: whatever
// thread makes which pair, the earlier tensor is never held up by the later one.
TEST_P(InboxTest, TensorsReachTheirEdgesStreamInOrder) {
  constexpr int kTensors = 300;
  const Span span = NewSpan(1);
  Inbox inbox(backend_.get(), /*stage=*/1, /*credits=*/kTensors);
  std::thread delivering([&] {
    for (int i = 0; i < kTensors; ++i) {
      inbox.Deliver(0, {i, ACTIVATION}, BytesOf({static_cast<float>(i)}), [&] { ++consumed_; });
    }
  });
  for (int i = 0; i < kTensors; ++i) {
    backend_->Wait(stream_, inbox.Recv(0, {i, ACTIVATION}, span, backend_->Record(stream_)));
  }
  delivering.join();

  EXPECT_TRUE(backend_->Record(stream_).Wait().ok());
  EXPECT_EQ(Content(span), (std::vector<float>{kTensors - 1}));
  EXPECT_EQ(consumed_, kTensors);
}

}  // namespace
}  // namespace carousel
