#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "kernels/cpu/paths.h"
#include "tests/kernels/math_paths.h"
#include "tests/kernels/values.h"

namespace carousel::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Named {
  Function function;
  const char* name;
  double (*reference)(double);
};

double SigmoidOf(double x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}
double LogSigmoidOf(double x) { return std::fmin(x, 0) - std::log1p(std::exp(-std::fabs(x))); }

const Named kFunctions[] = {
    {Function::kExp, "exp", [](double x) { return std::exp(x); }},
    {Function::kLog, "log", [](double x) { return std::log(x); }},
    {Function::kLog1p, "log1p", [](double x) { return std::log1p(x); }},
    {Function::kSigmoid, "sigmoid", SigmoidOf},
    {Function::kLogSigmoid, "log sigmoid", LogSigmoidOf},
    {Function::kTanh, "tanh", [](double x) { return std::tanh(x); }},
    {Function::kErf, "erf", [](double x) { return std::erf(x); }},
};

// Steps between neighbouring floats from a to b; infinity counts as the one after the largest.
int64_t UlpsApart(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b) ? 0 : INT64_MAX;
  const auto ordered = [](float x) {
    int32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    return bits < 0 ? -int64_t{bits & 0x7fffffff} : int64_t{bits};
  };
  return std::abs(ordered(a) - ordered(b));
}

// Floats of every exponent and sign, denormals, infinities and NaN among them.
std::vector<float> EveryKindOfFloat() {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 2003) {
    const auto word = static_cast<uint32_t>(bits);
    x.emplace_back();
    std::memcpy(&x.back(), &word, sizeof(word));
  }
  // And finely where the functions bend: a million between -20 and 20.
  for (int i = 0; i < 1000000; ++i) x.push_back(static_cast<float>(i - 500000) * 4e-5f);
  for (const float edge : {0.0f, -0.0f, kInfinity, -kInfinity, kNaN, 88.72283f, 88.72284f, -87.4f,
                           -103.97f, -103.98f, 0.625f, 0.927f, 0.41421357f, -1.0f, 1e-45f}) {
    x.push_back(edge);
  }
  return x;
}

std::vector<float> Evaluated(Isa isa, Function function, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  EvaluateOn<float>(isa, function, x.data(), y.data(), x.size());
  return y;
}

float At(Isa isa, Function function, float x) { return Evaluated(isa, function, {x})[0]; }

TEST(MathTest, IsWithinTwoUlpOfTheCorrectlyRoundedValue) {
  const std::vector<float> x = EveryKindOfFloat();
  for (const Named& named : kFunctions) {
    const std::vector<float> y = Evaluated(Paths().back(), named.function, x);
    int64_t worst = 0;
    float at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const int64_t apart = UlpsApart(y[i], static_cast<float>(named.reference(x[i])));
      if (apart > worst) worst = apart, at = x[i];
    }
    EXPECT_LE(worst, 2) << named.name << "(" << at << ")";
    RecordProperty(named.name, static_cast<int>(worst));
    std::printf("%-12s at most %d ulp over %zu floats\n", named.name, static_cast<int>(worst),
                x.size());
  }
}

TEST(MathTest, EveryPathGivesTheSameBitsInVectorsAndOneByOne) {
  std::vector<float> x = EveryKindOfFloat();
  for (float& v : x) {
    if (std::isnan(v)) v = 1;  // which NaN comes out is not promised
  }
  const auto quiet = [](std::vector<float> y) {
    for (float& v : y) {
      if (std::isnan(v)) v = kNaN;
    }
    return y;
  };
  for (const Named& named : kFunctions) {
    const std::vector<float> expected = quiet(Evaluated(Isa::kScalar, named.function, x));
    for (const Isa isa : Paths()) {
      EXPECT_TRUE(SameBits(quiet(Evaluated(isa, named.function, x)), expected))
          << named.name << " on " << NameOf(isa);
      std::vector<float> one_by_one(x.size());
      EvaluateOneByOneOn<float>(isa, named.function, x.data(), one_by_one.data(), x.size());
      EXPECT_TRUE(SameBits(quiet(one_by_one), expected))
          << named.name << " one by one on " << NameOf(isa);
    }
  }
}

TEST(MathTest, EdgesAreExact) {
  for (const Isa isa : Paths()) {
    SCOPED_TRACE(NameOf(isa));
    for (const float low : {-kInfinity, -1e30f, -104.0f}) {
      EXPECT_EQ(At(isa, Function::kExp, low), 0.0f);
      EXPECT_FALSE(std::signbit(At(isa, Function::kExp, low)));
    }
    EXPECT_EQ(At(isa, Function::kExp, 0), 1);
    EXPECT_EQ(At(isa, Function::kExp, kInfinity), kInfinity);
    EXPECT_EQ(At(isa, Function::kExp, 89), kInfinity);
    EXPECT_EQ(At(isa, Function::kLog, 0), -kInfinity);
    EXPECT_EQ(At(isa, Function::kLog, 1), 0);
    EXPECT_EQ(At(isa, Function::kLog, kInfinity), kInfinity);
    EXPECT_TRUE(std::isnan(At(isa, Function::kLog, -1)));
    EXPECT_EQ(At(isa, Function::kLog1p, -1), -kInfinity);
    EXPECT_EQ(At(isa, Function::kLog1p, 1e-45f), 1e-45f);
    EXPECT_TRUE(std::isnan(At(isa, Function::kLog1p, -2)));
    EXPECT_EQ(At(isa, Function::kSigmoid, -kInfinity), 0);
    EXPECT_EQ(At(isa, Function::kSigmoid, kInfinity), 1);
    EXPECT_EQ(At(isa, Function::kSigmoid, 0), 0.5f);
    EXPECT_EQ(At(isa, Function::kLogSigmoid, -kInfinity), -kInfinity);
    EXPECT_EQ(At(isa, Function::kLogSigmoid, kInfinity), 0);
    for (const Function odd : {Function::kTanh, Function::kErf}) {
      EXPECT_EQ(At(isa, odd, kInfinity), 1);
      EXPECT_EQ(At(isa, odd, -kInfinity), -1);
      EXPECT_TRUE(std::signbit(At(isa, odd, -0.0f)));
      EXPECT_FALSE(std::signbit(At(isa, odd, 0.0f)));
    }
    for (const Named& named : kFunctions) {
      EXPECT_TRUE(std::isnan(At(isa, named.function, kNaN))) << named.name;
    }
  }
}

TEST(MathTest, DoublesAreThoseOfTheLibrary) {
  const std::vector<double> x = Values<double>(37, 1);
  for (const Named& named : kFunctions) {
    for (const Isa isa : Paths()) {
      std::vector<double> y(x.size());
      EvaluateOn<double>(isa, named.function, x.data(), y.data(), x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const double reference = named.reference(x[i]);
        if (std::isnan(reference)) continue;
        EXPECT_NEAR(y[i], reference, 4e-16 * std::fabs(reference)) << named.name << x[i];
      }
    }
  }
}

}  // namespace
}  // namespace carousel::kernels
