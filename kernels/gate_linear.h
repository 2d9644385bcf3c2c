// The preactivations of a cell's input and forget gates: two linear maps of the same rows, with one
// output a head (Beck et al. 2024, equations 25 and 26).
//
//   i[r, h] = (sum_k x[r, k] wi[h, k]) + bi[h]
//   f[r, h] = (sum_k x[r, k] wf[h, k]) + bf[h]
//
// Every element is one chain of fused multiply-adds in the order of its summation index, as in
// linear.h, and has the bits that two linear maps would give. They are one operation because there
// is so little to compute: what costs is to read x, and to read and write its gradient.
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

struct GateLinearShape {
  int64_t rows = 0, in = 0, heads = 0;
};

struct GateLinearForward {
  GateLinearShape shape;
  Matrix x;     // [rows, in]
  Span wi, wf;  // [heads, in]
  Span bi, bf;  // [heads]
  Span i, f;    // [rows, heads]
};

// dx[r, k] goes on from what is there: the heads of i in ascending order, then those of f.
struct GateLinearBackwardInput {
  GateLinearShape shape;
  Span di, df;  // [rows, heads]
  Span wi, wf;  // [heads, in]
  Matrix dx;    // [rows, in], accumulated
};

// dwi[h, k] += sum_r di[r, h] x[r, k] and dbi[h] += sum_r di[r, h], rows from last to first, going
// on from what is there; the same of f.
struct GateLinearBackwardWeight {
  GateLinearShape shape;
  Matrix x;       // [rows, in]
  Span di, df;    // [rows, heads]
  Span dwi, dwf;  // [heads, in], accumulated
  Span dbi, dbf;  // [heads], accumulated
};

}  // namespace carousel::kernels
