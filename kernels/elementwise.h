// Copies, fills and sums: what glues operations together.
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

// y = a + b, element by element; y may be a or b. Also the step of the gradient tree.
struct Add {
  Span a, b, y;  // [n]
};

// x = 0
struct Zero {
  Span x;
};

// y = x, of one type
struct Copy {
  Span x, y;  // [n]
};

// sum[0] += x[0] + x[1] + ... in ascending order, in double: the loss of a micro-batch.
struct OrderedSum {
  Span x;    // [n] f32 or f64
  Span sum;  // f64 [1], accumulated
};

// count[0] += number of elements that are not finite. Any order: an integer.
struct CountNonFinite {
  Span x;      // [n]
  Span count;  // i32 [1], accumulated, saturating
};

}  // namespace carousel::kernels
