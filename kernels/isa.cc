#include "kernels/isa.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace carousel::kernels {
namespace {

constexpr std::pair<Isa, const char*> kNames[] = {
    {Isa::kAvx512, "avx512"}, {Isa::kAvx2, "avx2"}, {Isa::kScalar, "scalar"}};

}  // namespace

const char* IsaName(Isa isa) {
  for (const auto& [value, name] : kNames) {
    if (value == isa) return name;
  }
  return "";
}

std::vector<Isa> SupportedIsas() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return {};
  std::vector<Isa> isas = {Isa::kScalar, Isa::kAvx2};
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
    isas.push_back(Isa::kAvx512);
  }
  return isas;
}

absl::StatusOr<Isa> IsaNamed(std::string_view name) {
  const std::vector<Isa> supported = SupportedIsas();
  std::vector<const char*> choices;
  for (const Isa isa : supported) {
    if (name == IsaName(isa)) return isa;
    choices.push_back(IsaName(isa));
  }
  for (const auto& [isa, known] : kNames) {
    if (name != known) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("\"", known, "\" needs instructions that this processor lacks; it runs: ",
                     absl::StrJoin(choices, ", ")));
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", absl::string_view(name.data(), name.size()),
                                                 "\" is not one of: avx512, avx2, scalar"));
}

absl::StatusOr<Isa> ChooseIsa() {
  const std::vector<Isa> supported = SupportedIsas();
  if (supported.empty()) {
    return absl::FailedPreconditionError(
        "this processor lacks AVX2 and FMA (x86-64-v3), which every path needs; run the worker on "
        "a newer machine");
  }
  const char* wish = std::getenv("CAROUSEL_ISA");
  if (wish == nullptr || *wish == '\0') return supported.back();
  absl::StatusOr<Isa> isa = IsaNamed(wish);
  if (isa.ok()) return isa;
  return absl::Status(isa.status().code(), absl::StrCat("CAROUSEL_ISA=", isa.status().message()));
}

}  // namespace carousel::kernels
