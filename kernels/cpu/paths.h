// Runs an operation on a path of one's choice, without a backend around it: for tests and
// benchmarks.
#pragma once

#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/context.h"
#include "kernels/cpu/run.h"

namespace carousel::kernels {

inline const char* NameOf(Isa isa) {
  return isa == Isa::kAvx512 ? "avx512" : isa == Isa::kAvx2 ? "avx2" : "scalar";
}

// The paths that this processor has; the scalar one first.
inline std::vector<Isa> Paths() {
  std::vector<Isa> paths = {Isa::kScalar, Isa::kAvx2};
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
    paths.push_back(Isa::kAvx512);
  }
  return paths;
}

template <class OpType>
void RunOn(Isa isa, Context& context, const OpType& op) {
  switch (isa) {
    case Isa::kAvx512:
      return avx512::Run(context, op);
    case Isa::kAvx2:
      return avx2::Run(context, op);
    case Isa::kScalar:
      return scalar::Run(context, op);
  }
}

// Calls body(isa, context) for every path, each with one, two and three threads.
template <class Body>
void OnEveryPath(const Body& body) {
  for (const Isa isa : Paths()) {
    for (int threads = 1; threads <= 3; ++threads) {
      Context context(threads);
      body(isa, context);
    }
  }
}

}  // namespace carousel::kernels
