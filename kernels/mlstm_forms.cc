#include "kernels/mlstm_forms.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/check.h"

namespace carousel::kernels {
namespace {

template <class T>
T LogSigmoid(T x) {
  return std::min(x, T(0)) - std::log1p(std::exp(-std::abs(x)));
}

template <class T>
T Sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

template <class T>
bool IsReset(const MlstmHead<T>& head, int64_t t) {
  return !head.reset.empty() && head.reset[t] != 0;
}

// 1 / (max(|r|, exp(-m)) + eps), and the slope of the denominator in r.
template <class T>
struct Normaliser {
  Normaliser(T r, T m, double epsilon) {
    const T floor = std::exp(-m);
    inverse = T(1) / (std::max(std::abs(r), floor) + T(epsilon));
    if (std::abs(r) >= floor) slope = T((r > 0) - (r < 0));
  }
  T inverse, slope = 0;
};

// State and gates of every step; index 0 is before the first.
template <class T>
struct Trace {
  std::vector<std::vector<T>> c, n;
  std::vector<T> m, forget, input;  // forget, input: [S] after activation
};

template <class T>
Trace<T> RunSteps(const MlstmHead<T>& head) {
  Trace<T> trace;
  std::vector<T> c = head.c, n = head.n;
  T m = head.m;
  const auto start = [&] {
    c.assign(head.qk_dim * head.v_dim, 0);
    n.assign(head.qk_dim, 0);
    m = T(head.initial_m);
  };
  if (c.empty()) start();
  trace.c.push_back(c), trace.n.push_back(n), trace.m.push_back(m);
  for (int64_t t = 0; t < head.steps; ++t) {
    if (IsReset(head, t)) start();
    const T decayed = LogSigmoid(head.f[t]) + m;
    const T m_next = std::max(decayed, head.i[t]);
    const T forget = std::exp(decayed - m_next), input = std::exp(head.i[t] - m_next);
    for (int64_t d = 0; d < head.qk_dim; ++d) {
      const T key = input * head.k[t * head.qk_dim + d];
      n[d] = forget * n[d] + key;
      for (int64_t e = 0; e < head.v_dim; ++e) {
        c[d * head.v_dim + e] = forget * c[d * head.v_dim + e] + key * head.v[t * head.v_dim + e];
      }
    }
    m = m_next;
    trace.c.push_back(c), trace.n.push_back(n), trace.m.push_back(m);
    trace.forget.push_back(forget), trace.input.push_back(input);
  }
  return trace;
}

// n . qs and C^T qs of one step.
template <class T>
T ReadState(const MlstmHead<T>& head, const Trace<T>& trace, int64_t t, std::vector<T>& numerator) {
  const T scale = T(1) / std::sqrt(T(head.qk_dim));
  const std::vector<T>&c = trace.c[t + 1], &n = trace.n[t + 1];
  numerator.assign(head.v_dim, 0);
  T r = 0;
  for (int64_t d = 0; d < head.qk_dim; ++d) {
    const T query = head.q[t * head.qk_dim + d] * scale;
    r += query * n[d];
    for (int64_t e = 0; e < head.v_dim; ++e) numerator[e] += query * c[d * head.v_dim + e];
  }
  return r;
}

template <class T>
MlstmHeadGradient<T> Zeros(const MlstmHead<T>& head) {
  MlstmHeadGradient<T> gradient;
  gradient.q.assign(head.steps * head.qk_dim, 0);
  gradient.k.assign(head.steps * head.qk_dim, 0);
  gradient.v.assign(head.steps * head.v_dim, 0);
  gradient.i.assign(head.steps, 0);
  gradient.f.assign(head.steps, 0);
  return gradient;
}

// What the parallel form makes of the gates: weight of source j in target i.
template <class T>
struct Decays {
  explicit Decays(const MlstmHead<T>& head) : size(head.steps), weight(size * size, 0), m(size) {
    std::vector<T> exponent(size * size, -std::numeric_limits<T>::infinity());
    for (int64_t i = 0; i < size; ++i) {
      T sum = 0;  // of the log forget gates of j + 1 ... i
      m[i] = -std::numeric_limits<T>::infinity();
      int64_t j = i;
      for (; j >= 0; --j) {
        exponent[i * size + j] = sum + head.i[j];
        m[i] = std::max(m[i], exponent[i * size + j]);
        sum += LogSigmoid(head.f[j]);
        if (IsReset(head, j)) break;
      }
      m[i] = std::max(m[i], sum + T(head.initial_m));
      for (int64_t s = std::max<int64_t>(j, 0); s <= i; ++s) {
        weight[i * size + s] = std::exp(exponent[i * size + s] - m[i]);
      }
    }
  }
  int64_t size;
  std::vector<T> weight, m;
};

// [S, S] scores q_i . k_j / sqrt(DQK).
template <class T>
std::vector<T> Scores(const MlstmHead<T>& head) {
  const T scale = T(1) / std::sqrt(T(head.qk_dim));
  std::vector<T> scores(head.steps * head.steps, 0);
  for (int64_t i = 0; i < head.steps; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      T sum = 0;
      for (int64_t d = 0; d < head.qk_dim; ++d) {
        sum += head.q[i * head.qk_dim + d] * scale * head.k[j * head.qk_dim + d];
      }
      scores[i * head.steps + j] = sum;
    }
  }
  return scores;
}

}  // namespace

template <class T>
MlstmHeadResult<T> MlstmRecurrent(const MlstmHead<T>& head) {
  const Trace<T> trace = RunSteps(head);
  MlstmHeadResult<T> result;
  std::vector<T> numerator;
  for (int64_t t = 0; t < head.steps; ++t) {
    const T r = ReadState(head, trace, t, numerator), m = trace.m[t + 1];
    const Normaliser<T> normaliser(r, m, head.epsilon);
    for (T value : numerator) result.h.push_back(value * normaliser.inverse);
    result.r.push_back(r);
    result.m.push_back(m);
  }
  result.c = trace.c.back(), result.n = trace.n.back(), result.m_last = trace.m.back();
  return result;
}

template <class T>
MlstmHeadGradient<T> MlstmRecurrentGradient(const MlstmHead<T>& head, const std::vector<T>& dh,
                                            const std::vector<T>& dc_last,
                                            const std::vector<T>& dn_last) {
  const Trace<T> trace = RunSteps(head);
  const int64_t qk_dim = head.qk_dim, v_dim = head.v_dim;
  const T scale = T(1) / std::sqrt(T(qk_dim));
  MlstmHeadGradient<T> gradient = Zeros(head);
  std::vector<T> dc = dc_last, dn = dn_last, numerator;
  if (dc.empty()) dc.assign(qk_dim * v_dim, 0), dn.assign(qk_dim, 0);
  for (int64_t t = head.steps - 1; t >= 0; --t) {
    const T r = ReadState(head, trace, t, numerator);
    const Normaliser<T> normaliser(r, trace.m[t + 1], head.epsilon);
    T dr = 0;
    for (int64_t e = 0; e < v_dim; ++e) {
      dr -= dh[t * v_dim + e] * numerator[e] * normaliser.inverse * normaliser.inverse;
    }
    dr *= normaliser.slope;
    const bool fresh = IsReset(head, t);
    const T input = trace.input[t], forget = trace.forget[t];
    T dforget = 0;
    for (int64_t d = 0; d < qk_dim; ++d) {
      const T query = head.q[t * qk_dim + d] * scale, key = head.k[t * qk_dim + d];
      T dquery = trace.n[t + 1][d] * dr;
      dn[d] += query * dr;
      T dkey = dn[d];
      dforget += dn[d] * (fresh ? T(0) : trace.n[t][d]);
      for (int64_t e = 0; e < v_dim; ++e) {
        const int64_t at = d * v_dim + e;
        const T g = dh[t * v_dim + e] * normaliser.inverse;
        dquery += trace.c[t + 1][at] * g;
        dc[at] += query * g;
        dkey += dc[at] * head.v[t * v_dim + e];
        gradient.v[t * v_dim + e] += input * key * dc[at];
        dforget += dc[at] * (fresh ? T(0) : trace.c[t][at]);
        dc[at] = fresh ? T(0) : forget * dc[at];
      }
      dn[d] = fresh ? T(0) : forget * dn[d];
      gradient.q[t * qk_dim + d] = dquery * scale;
      gradient.k[t * qk_dim + d] = input * dkey;
      gradient.i[t] += input * key * dkey;
    }
    gradient.f[t] = forget * dforget * Sigmoid(-head.f[t]);
    if (fresh) gradient.f[t] = 0;
  }
  gradient.c = dc, gradient.n = dn;
  return gradient;
}

template <class T>
MlstmHeadResult<T> MlstmParallel(const MlstmHead<T>& head) {
  KERNEL_CHECK(head.c.empty());
  const Decays<T> decays(head);
  const std::vector<T> scores = Scores(head);
  const int64_t steps = head.steps;
  MlstmHeadResult<T> result;
  for (int64_t i = 0; i < steps; ++i) {
    T r = 0;
    std::vector<T> numerator(head.v_dim, 0);
    for (int64_t j = 0; j <= i; ++j) {
      const T weighted = scores[i * steps + j] * decays.weight[i * steps + j];
      r += weighted;
      for (int64_t e = 0; e < head.v_dim; ++e)
        numerator[e] += weighted * head.v[j * head.v_dim + e];
    }
    const Normaliser<T> normaliser(r, decays.m[i], head.epsilon);
    for (T value : numerator) result.h.push_back(value * normaliser.inverse);
    result.r.push_back(r);
  }
  result.m = decays.m;
  return result;
}

template <class T>
MlstmHeadGradient<T> MlstmParallelGradient(const MlstmHead<T>& head, const std::vector<T>& dh) {
  const MlstmHeadResult<T> result = MlstmParallel(head);
  const Decays<T> decays(head);
  const std::vector<T> scores = Scores(head);
  const int64_t steps = head.steps, qk_dim = head.qk_dim, v_dim = head.v_dim;
  const T scale = T(1) / std::sqrt(T(qk_dim));
  MlstmHeadGradient<T> gradient = Zeros(head);
  std::vector<T> dexponent(steps * steps, 0);
  for (int64_t i = 0; i < steps; ++i) {
    const Normaliser<T> normaliser(result.r[i], result.m[i], head.epsilon);
    T dr = 0;
    for (int64_t e = 0; e < v_dim; ++e) dr -= dh[i * v_dim + e] * result.h[i * v_dim + e];
    dr *= normaliser.inverse * normaliser.slope;
    for (int64_t j = 0; j <= i; ++j) {
      const T weight = decays.weight[i * steps + j], weighted = scores[i * steps + j] * weight;
      T dweighted = dr;
      for (int64_t e = 0; e < v_dim; ++e) {
        const T g = dh[i * v_dim + e] * normaliser.inverse;
        dweighted += g * head.v[j * v_dim + e];
        gradient.v[j * v_dim + e] += weighted * g;
      }
      for (int64_t d = 0; d < qk_dim; ++d) {
        gradient.q[i * qk_dim + d] += dweighted * weight * scale * head.k[j * qk_dim + d];
        gradient.k[j * qk_dim + d] += dweighted * weight * scale * head.q[i * qk_dim + d];
      }
      dexponent[i * steps + j] = dweighted * weighted;
      gradient.i[j] += dexponent[i * steps + j];
    }
  }
  // The log forget gate of t stands in the exponents of all j < t <= i; after a reset their
  // weights are zero.
  for (int64_t t = 1; t < steps; ++t) {
    T sum = 0;
    for (int64_t i = t; i < steps; ++i) {
      for (int64_t j = 0; j < t; ++j) sum += dexponent[i * steps + j];
    }
    gradient.f[t] = sum * Sigmoid(-head.f[t]);
  }
  return gradient;
}

#define CAROUSEL_INSTANTIATE(T)                                                                  \
  template MlstmHeadResult<T> MlstmRecurrent(const MlstmHead<T>&);                               \
  template MlstmHeadGradient<T> MlstmRecurrentGradient(                                          \
      const MlstmHead<T>&, const std::vector<T>&, const std::vector<T>&, const std::vector<T>&); \
  template MlstmHeadResult<T> MlstmParallel(const MlstmHead<T>&);                                \
  template MlstmHeadGradient<T> MlstmParallelGradient(const MlstmHead<T>&, const std::vector<T>&);
CAROUSEL_INSTANTIATE(float)
CAROUSEL_INSTANTIATE(double)
#undef CAROUSEL_INSTANTIATE

}  // namespace carousel::kernels
