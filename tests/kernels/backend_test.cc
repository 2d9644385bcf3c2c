#include "kernels/backend.h"

#include <cstdlib>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "tests/kernels/values.h"

namespace carousel::kernels {
namespace {

constexpr int64_t kSize = 40001;

// A backend by name, and arrays on it.
class Device {
 public:
  explicit Device(const std::string& name)
      : backend_(*NewBackend(name, 2)), stream_(backend_->NewStream()) {}

  Backend& backend() { return *backend_; }
  Stream stream() const { return stream_; }
  void Run(const Op& op) { backend_->Enqueue(stream_, op); }

  Span New(int64_t size) {
    buffers_.push_back(*backend_->Allocate(size * static_cast<int64_t>(sizeof(float))));
    return buffers_.back().As(DType::kF32);
  }
  // `values` must stay until the stream has passed.
  Span NewFrom(const std::vector<float>& values) {
    const Span span = New(static_cast<int64_t>(values.size()));
    backend_->CopyToDevice(stream_, values.data(), span);
    return span;
  }
  std::vector<float> Fetch(Span span) {
    std::vector<float> values(span.size(), -1);
    backend_->CopyToHost(stream_, span, values.data());
    outcome_ = backend_->Record(stream_).Wait();
    return values;
  }
  // Of the last Fetch.
  const absl::Status& outcome() const { return outcome_; }

 private:
  std::unique_ptr<Backend> backend_;
  Stream stream_;
  std::vector<Buffer> buffers_;
  absl::Status outcome_;
};

class BackendTest : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Both, BackendTest, testing::Values("cpu", "test"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(BackendTest, MemoryIsAlignedAndStartsAsZeros) {
  Device device(GetParam());
  for (const int64_t size : {1, 7, 100000}) {
    const Span span = device.New(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(span.address()) % 64, 0);
    EXPECT_EQ(device.Fetch(span), std::vector<float>(size, 0));
  }
}

TEST_P(BackendTest, OperationsOfAStreamRunInOrder) {
  Device device(GetParam());
  const std::vector<float> ones(kSize, 1);
  const Span sum = device.New(kSize), one = device.NewFrom(ones);
  for (int i = 0; i < 20; ++i) device.Run(Add{sum, one, sum});
  EXPECT_EQ(device.Fetch(sum), std::vector<float>(kSize, 20));
}

TEST_P(BackendTest, WaitOrdersStreams) {
  Device device(GetParam());
  const Stream other = device.backend().NewStream();
  const std::vector<float> ones(kSize, 1);
  const Span one = device.NewFrom(ones), sum = device.New(kSize);
  for (int i = 0; i < 10; ++i) device.Run(Add{sum, one, sum});
  device.backend().Wait(other, device.backend().Record(device.stream()));
  device.backend().Enqueue(other, Add{sum, sum, sum});
  device.backend().Wait(device.stream(), device.backend().Record(other));
  EXPECT_EQ(device.Fetch(sum), std::vector<float>(kSize, 20));
}

TEST_P(BackendTest, StreamsOfDifferentThreadsDoNotDisturbEachOther) {
  Device device(GetParam());
  const std::vector<float> ones(kSize, 1);
  const Span one = device.NewFrom(ones);
  ASSERT_TRUE(device.backend().Record(device.stream()).Wait().ok());
  std::vector<std::vector<float>> sums(3, std::vector<float>(kSize));
  std::vector<std::thread> threads;
  for (std::vector<float>& sum : sums) {
    threads.emplace_back([&device, &sum, one] {
      Backend& backend = device.backend();
      const Stream stream = backend.NewStream();
      const Buffer buffer = *backend.Allocate(kSize * static_cast<int64_t>(sizeof(float)));
      const Span mine = buffer.As(DType::kF32);
      for (int i = 0; i < 30; ++i) backend.Enqueue(stream, Add{mine, one, mine});
      backend.CopyToHost(stream, mine, sum.data());
      EXPECT_TRUE(backend.Record(stream).Wait().ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& sum : sums) EXPECT_EQ(sum, std::vector<float>(kSize, 30));
}

TEST_P(BackendTest, AFailedEventPoisonsItsStreamAndNoOther) {
  Device device(GetParam());
  const std::vector<float> ones(kSize, 1);
  const Span one = device.NewFrom(ones), sum = device.New(kSize);
  Event failed = Event::Pending();
  failed.Complete(absl::UnavailableError("the link broke"));
  const Stream poisoned = device.backend().NewStream();
  device.backend().Wait(poisoned, device.backend().Record(device.stream()));
  device.backend().Wait(poisoned, failed);

  device.backend().Enqueue(poisoned, Add{one, one, sum});
  std::vector<float> untouched(kSize, 7);
  device.backend().CopyToHost(poisoned, one, untouched.data());
  const absl::Status first = device.backend().Record(poisoned).Wait();
  const absl::Status later = device.backend().Record(poisoned).Wait();

  EXPECT_EQ(first, absl::UnavailableError("the link broke"));
  EXPECT_EQ(later, first);
  EXPECT_EQ(untouched, std::vector<float>(kSize, 7));
  EXPECT_EQ(device.Fetch(sum), std::vector<float>(kSize, 0));
  EXPECT_TRUE(device.outcome().ok());
}

TEST_P(BackendTest, FailurePassesFromStreamToStreamByEvents) {
  Device device(GetParam());
  Event failed = Event::Pending();
  failed.Complete(absl::DataLossError("torn frame"));
  const Stream other = device.backend().NewStream();
  device.backend().Wait(other, failed);
  device.backend().Wait(device.stream(), device.backend().Record(other));
  EXPECT_EQ(device.backend().Record(device.stream()).Wait(), absl::DataLossError("torn frame"));
}

TEST_P(BackendTest, AFreedStreamHasRunAndItsNumberIsUsedAgain) {
  Device device(GetParam());
  const std::vector<float> ones(kSize, 1);
  const Span one = device.NewFrom(ones), sum = device.New(kSize);
  const Stream first = device.backend().NewStream();
  device.backend().Wait(first, device.backend().Record(device.stream()));
  for (int i = 0; i < 10; ++i) device.backend().Enqueue(first, Add{sum, one, sum});
  std::vector<float> values(kSize);
  device.backend().CopyToHost(first, sum, values.data());

  device.backend().FreeStream(first);

  EXPECT_EQ(values, std::vector<float>(kSize, 10));
  EXPECT_EQ(device.backend().NewStream(), first);
}

TEST_P(BackendTest, AStreamStartsSoundWhereAFailedOneWasFreed) {
  Device device(GetParam());
  Event failed = Event::Pending();
  failed.Complete(absl::UnavailableError("the link broke"));
  const Stream first = device.backend().NewStream();
  device.backend().Wait(first, failed);
  device.backend().FreeStream(first);
  const Stream second = device.backend().NewStream();
  ASSERT_EQ(second, first);
  EXPECT_TRUE(device.backend().Record(second).Wait().ok());
}

TEST_P(BackendTest, AnOwnedStreamIsGivenBackOnceByItsLastOwner) {
  Device device(GetParam());
  Stream number = -1;
  {
    OwnedStream first(&device.backend());
    number = first.get();
    const OwnedStream moved = std::move(first);
    EXPECT_EQ(moved.get(), number);
  }
  const OwnedStream next(&device.backend()), other(&device.backend());
  EXPECT_EQ(next.get(), number);
  EXPECT_NE(other.get(), number);
}

using BackendDeathTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Both, BackendDeathTest, testing::Values("cpu", "test"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(BackendDeathTest, AFreedStreamIsNotUsedAnyMore) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        Device device(GetParam());
        const Stream stream = device.backend().NewStream();
        device.backend().FreeStream(stream);
        device.backend().Record(stream);
      },
      "broken precondition");
}

// Some of each kind: random numbers, sums in lanes, own functions, chains over rows.
std::vector<float> SomeComputation(Device& device) {
  constexpr int64_t kRows = 33, kWidth = 200, kAll = kRows * kWidth;
  const Span x = device.New(kAll), weight = device.New(kWidth), y = device.New(kAll),
             dx = device.New(kAll), dweight = device.New(kWidth), m = device.New(kWidth),
             v = device.New(kWidth);
  const NormShape shape = {.rows = kRows, .groups = 2, .width = kWidth / 2};
  RandomInit init = {.kind = InitKind::kNormal, .a = 1, .seed = 3, .x = x};
  const Span stats = device.New(2 * 2 * kRows);
  device.Run(init);
  init.x = weight, init.tensor = 1;
  device.Run(init);
  device.Run(NormForward{shape, x, weight, y, stats});
  device.Run(SoftCapForward{y, y, 2});
  device.Run(NormBackwardInput{shape, x, weight, stats, y, x, dx});
  device.Run(NormBackwardWeight{shape, x, stats, dx, dweight});
  device.Run(AdamW{weight, m, v, dweight, {.learning_rate = 0.1}});
  device.Run(Copy{weight, y.Slice(0, kWidth)});
  return device.Fetch(y);
}

TEST(TestBackendTest, GivesTheBitsOfTheCpuBackend) {
  Device cpu("cpu"), test("test");
  const std::vector<float> expected = SomeComputation(cpu);
  EXPECT_NE(expected[0], 0);
  EXPECT_EQ(FirstDifference(SomeComputation(test), expected), -1);
}

TEST(TestBackendTest, NothingRunsBeforeWhatItWaitsFor) {
  Device device("test");
  Event gate = Event::Pending();
  device.backend().Wait(device.stream(), gate);
  const Event done = device.backend().Record(device.stream());
  EXPECT_FALSE(done.ready());
  gate.Complete();
  EXPECT_TRUE(done.Wait().ok());
}

TEST(TestBackendDeathTest, TheHostMayNotTouchItsMemory) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        Device device("test");
        *device.New(16).As<float>() = 1;
      },
      "");
  EXPECT_DEATH(
      {
        Device device("test");
        std::exit(static_cast<int>(*device.New(16).As<float>()));
      },
      "");
}

TEST(TestBackendTest, AnAddressIsNeverUsedAgain) {
  auto backend = *NewBackend("test", 1);
  std::byte* first = backend->Allocate(100)->As(DType::kU8).address();  // given back at once
  EXPECT_NE(backend->Allocate(100)->As(DType::kU8).address(), first);
}

TEST(TestBackendTest, AFullDeviceSaysHowMuchWasAskedFor) {
  auto backend = *NewBackend("test", 1);
  const absl::Status status = backend->Allocate(int64_t{1} << 50).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("1125899906842624 bytes"), absl::string_view::npos) << status;
}

TEST(NewBackendTest, AnUnknownNameIsAnsweredWithTheChoices) {
  const absl::Status status = NewBackend("gpu", 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "backend \"gpu\" is not one of: cpu, test");
}

TEST(IsaTest, EveryPathIsFoundByItsName) {
  const std::vector<Isa> supported = SupportedIsas();
  ASSERT_GE(supported.size(), 2u);
  EXPECT_EQ(supported.front(), Isa::kScalar);
  for (const Isa isa : supported) EXPECT_EQ(*IsaNamed(IsaName(isa)), isa);
}

TEST(ChooseIsaTest, TheVariableNamesAPathOrIsRefused) {
  setenv("CAROUSEL_ISA", "scalar", 1);
  EXPECT_EQ(*ChooseIsa(), Isa::kScalar);
  setenv("CAROUSEL_ISA", "avx2", 1);
  EXPECT_EQ(*ChooseIsa(), Isa::kAvx2);
  setenv("CAROUSEL_ISA", "sse2", 1);
  EXPECT_EQ(ChooseIsa().status().message(),
            "CAROUSEL_ISA=\"sse2\" is not one of: avx512, avx2, scalar");
  unsetenv("CAROUSEL_ISA");
  EXPECT_NE(*ChooseIsa(), Isa::kScalar);
}

}  // namespace
}  // namespace carousel::kernels
