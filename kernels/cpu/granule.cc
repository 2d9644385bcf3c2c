#include "kernels/granule.h"

#include <xxhash.h>

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/operands.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// Calls body(granule, first, count) for every granule of n elements.
template <class Body>
void ForEachGranule(Context& context, int64_t n, const Body& body) {
  Parallel(context, GranuleCount(n), [&](int64_t granule, int) {
    const int64_t first = granule * kGranule;
    body(granule, first, Min(n - first, kGranule));
  });
}

}  // namespace

void Run(Context& context, const GranuleSquares& op) {
  KERNEL_CHECK(Holds(op.partial, GranuleCount(op.x.size())));
  Typed(op.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = op.x.As<T>();
    double* partial = op.partial.As<double>();
    ForEachGranule(context, op.x.size(), [&](int64_t granule, int64_t first, int64_t count) {
      partial[granule] = DotInDouble<T>(x + first, x + first, count);
    });
  });
}

void Run(Context& context, const GranuleDigests& op) {
  KERNEL_CHECK(Holds(op.digest, 16 * GranuleCount(op.x.size())));
  Typed(op.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = op.x.As<T>();
    uint8_t* digest = op.digest.As<uint8_t>();
    ForEachGranule(context, op.x.size(), [&](int64_t granule, int64_t first, int64_t count) {
      XXH128_canonical_t canonical;
      XXH128_canonicalFromHash(&canonical, XXH3_128bits(x + first, count * sizeof(T)));
      std::memcpy(digest + granule * sizeof(canonical), &canonical, sizeof(canonical));
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
