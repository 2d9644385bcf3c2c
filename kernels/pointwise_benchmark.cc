// Operations that are bound by memory or by exp, one thread: time and memory traffic of an element,
// beside a plain copy of the same size.
//
//   bazel run //kernels:pointwise_benchmark [avx512|avx2|scalar]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "kernels/benchmark.h"
#include "kernels/cpu/paths.h"

namespace carousel::kernels {
namespace {

constexpr int64_t kBatch = 4, kSteps = 512, kRows = kBatch * kSteps;
constexpr int64_t kWidth = 512, kAll = kRows * kWidth;
constexpr int64_t kLossRows = 256, kVocab = 50304;

// Numbers from -4 to 4, none of them special.
class Operand : public Tensor {
 public:
  explicit Operand(int64_t size) : Tensor(size, static_cast<uint64_t>(size), 4) {}
  Matrix rows() const { return Tensor::rows(kWidth); }
};

class Benchmark {
 public:
  explicit Benchmark(Isa isa) : isa_(isa), context_(1) {
    std::printf("%s, one thread, %ld x %ld unless said\n", IsaName(isa), kRows, kWidth);
    std::printf("%-34s %12s %12s %8s\n", "operation", "ns/element", "bytes/element", "GB/s");
  }

  // The fastest of some runs. `bytes` are those an element must move, read and written.
  template <class OpType>
  void Time(const char* name, const OpType& op, double elements, double bytes) {
    double best = 1e9;
    for (int round = 0; round < 30; ++round) {
      const auto start = std::chrono::steady_clock::now();
      RunOn(isa_, context_, op);
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      best = std::min(best, taken.count());
    }
    const double nanoseconds = best * 1e9 / elements;
    std::printf("%-34s %12.3f %12.0f %8.1f\n", name, nanoseconds, bytes, bytes / nanoseconds);
  }

 private:
  Isa isa_;
  Context context_;
};

void TimeNorms(Benchmark& benchmark) {
  Operand x(kAll), y(kAll), dy(kAll), dx(kAll), weight(kWidth), dweight(kWidth), stats(8 * kRows);
  for (const int64_t groups : {1, 4}) {
    const NormShape shape = {
        .rows = kRows, .groups = groups, .width = kWidth / groups, .residual_weight = true};
    std::printf("  %ld group%s a row\n", groups, groups > 1 ? "s" : "");
    benchmark.Time("norm", NormForward{shape, x.all(), weight.all(), y.all(), stats.all()}, kAll,
                   8);
    benchmark.Time(
        "norm, input gradient",
        NormBackwardInput{shape, x.all(), weight.all(), stats.all(), dy.all(), y.all(), dx.all()},
        kAll, 16);
    benchmark.Time("norm, weight gradient",
                   NormBackwardWeight{shape, x.all(), stats.all(), dy.all(), dweight.all()}, kAll,
                   8);
  }
}

void TimeConvolution(Benchmark& benchmark) {
  Operand x(kAll), y(kAll), dy(kAll), dz(kAll), dx(kAll), weight(4 * kWidth), bias(kWidth),
      dweight(4 * kWidth), dbias(kWidth);
  std::vector<uint8_t> reset(kRows);
  const Span resets = Span::Of(reset.data(), kRows);
  const ConvShape shape = {kSteps, kBatch, kWidth};
  ConvForward forward;
  forward.shape = shape;
  forward.x = x.rows(), forward.weight = weight.all(), forward.bias = bias.all();
  forward.reset = resets, forward.y = y.all();
  benchmark.Time("conv4 + SiLU", forward, kAll, 8);
  ConvBackwardInput input;
  input.shape = shape;
  input.x = x.rows(), input.weight = weight.all(), input.bias = bias.all(), input.reset = resets;
  input.dy = dy.all(), input.dz = dz.all(), input.dx = dx.rows();
  benchmark.Time("conv4 + SiLU, input gradient", input, kAll, 20);
  benchmark.Time(
      "conv4, weight gradient",
      ConvBackwardWeight{shape, x.rows(), resets, {}, dz.all(), dweight.all(), dbias.all()}, kAll,
      8);
}

void TimeGates(Benchmark& benchmark) {
  Operand a(kAll), b(kAll), c(kAll), dy(kAll), y(kAll), da(kAll), db(kAll), dc(kAll), skip(kWidth);
  for (const GateKind kind : {GateKind::kSilu, GateKind::kGelu}) {
    const bool silu = kind == GateKind::kSilu;
    benchmark.Time(silu ? "SwiGLU" : "gated GELU",
                   GatedUnitForward{kind, a.rows(), b.rows(), y.rows(), kRows, kWidth}, kAll, 12);
    benchmark.Time(
        silu ? "SwiGLU, gradient" : "gated GELU, gradient",
        GatedUnitBackward{kind, a.rows(), b.rows(), dy.rows(), da.rows(), db.rows(), kRows, kWidth},
        kAll, 20);
  }
  benchmark.Time("output gate", OutputGateForward{a.all(), b.all(), y.all()}, kAll, 12);
  benchmark.Time("output gate, gradient",
                 OutputGateBackward{a.all(), b.all(), dy.all(), da.all(), db.all()}, kAll, 20);
  benchmark.Time("skip and gate",
                 SkipGateForward{a.rows(), b.rows(), c.rows(), skip.all(), y.rows(), kRows, kWidth},
                 kAll, 16);
  benchmark.Time("skip and gate, input gradient",
                 SkipGateBackwardInput{a.rows(), b.rows(), c.rows(), skip.all(), dy.rows(),
                                       da.rows(), db.rows(), dc.rows(), false, kRows, kWidth},
                 kAll, 28);
  benchmark.Time("skip, weight gradient",
                 SkipGateBackwardWeight{a.rows(), b.rows(), skip.all(), kRows, kWidth}, kAll, 8);
  benchmark.Time("soft cap", SoftCapForward{a.all(), y.all(), 15}, kAll, 8);
}

void TimeLoss(Benchmark& benchmark) {
  constexpr int64_t kLogits = kLossRows * kVocab;
  Operand logits(kLogits), dlogits(kLogits), loss(kLossRows), stats(2 * kLossRows);
  std::vector<int32_t> label(kLossRows, 77);
  const Span labels = Span::Of(label.data(), kLossRows);
  std::printf("  %ld x %ld\n", kLossRows, kVocab);
  for (const double cap : {0.0, 30.0}) {
    benchmark.Time(
        cap > 0 ? "capped cross-entropy" : "cross-entropy",
        CrossEntropyForward{logits.all(), labels, loss.all(), stats.all(), kLossRows, kVocab, cap},
        kLogits, 4);
    benchmark.Time(cap > 0 ? "capped cross-entropy, gradient" : "cross-entropy, gradient",
                   CrossEntropyBackward{logits.all(), labels, stats.all(), dlogits.all(), kLossRows,
                                        kVocab, cap},
                   kLogits, 8);
  }
}

void TimeOptimizer(Benchmark& benchmark) {
  Operand weight(kAll), m(kAll), v(kAll), gradient(kAll);
  std::vector<double> partial(GranuleCount(kAll));
  std::vector<uint8_t> digest(16 * GranuleCount(kAll));
  const Span partials = Span::Of(partial.data(), GranuleCount(kAll));
  const Span digests = Span::Of(digest.data(), 16 * GranuleCount(kAll));
  benchmark.Time("AdamW",
                 AdamW{weight.all(), m.all(), v.all(), gradient.all(), {.learning_rate = 1e-3}},
                 kAll, 28);
  benchmark.Time("squares of granules", GranuleSquares{gradient.all(), partials}, kAll, 4);
  benchmark.Time("digests of granules", GranuleDigests{gradient.all(), digests}, kAll, 4);
  RandomInit init;
  init.kind = InitKind::kNormal, init.a = 1, init.x = weight.all();
  benchmark.Time("normal initial values", init, kAll, 4);
}

void Run(Isa isa) {
  Benchmark benchmark(isa);
  Operand a(kAll), b(kAll), y(kAll);
  benchmark.Time("copy", Copy{a.all(), y.all()}, kAll, 8);
  benchmark.Time("add", Add{a.all(), b.all(), y.all()}, kAll, 12);
  TimeNorms(benchmark);
  TimeConvolution(benchmark);
  TimeGates(benchmark);
  TimeOptimizer(benchmark);
  TimeLoss(benchmark);
}

}  // namespace
}  // namespace carousel::kernels

int main(int argc, char** argv) {
  const auto paths = carousel::kernels::BenchmarkPaths(argc, argv);
  if (!paths.ok()) {
    std::fprintf(stderr, "pointwise_benchmark: %s\n",
                 std::string(paths.status().message()).c_str());
    return 2;
  }
  for (const carousel::kernels::Isa isa : *paths) carousel::kernels::Run(isa);
}
