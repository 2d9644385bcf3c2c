// Runs an operation on a path of one's choice: for the CPU backend, and without a backend around it
// for tests and benchmarks.
#pragma once

#include <vector>

#include "kernels/cpu/context.h"
#include "kernels/cpu/run.h"
#include "kernels/isa.h"

namespace carousel::kernels {

// As tests call them.
inline const char* NameOf(Isa isa) { return IsaName(isa); }
inline std::vector<Isa> Paths() { return SupportedIsas(); }

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
