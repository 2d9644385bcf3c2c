#include "tests/kernels/matmul_paths.h"

#include <cstdlib>

#include "kernels/cpu/matmul.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

template <class T>
Product<T> ProductOf(const MatMulCase<T>& matmul) {
  Product<T> product;
  product.m = matmul.m;
  product.n = matmul.n;
  product.k = matmul.k;
  product.a = {matmul.a, matmul.a_row, matmul.a_column};
  product.b = {matmul.b, matmul.b_row, matmul.b_column};
  product.c = matmul.c;
  product.c_row = matmul.c_row;
  product.accumulate = matmul.accumulate;
  product.bias = matmul.bias;
  product.residual = matmul.residual;
  product.residual_row = matmul.residual_row;
  return product;
}

template <class T>
T* Allocate(int64_t size) {
  return static_cast<T*>(std::aligned_alloc(64, (size * sizeof(T) + 63) / 64 * 64));
}

template <class T>
void MultiplyPackedCase(const MatMulCase<T>& matmul) {
  const Product<T> product = ProductOf(matmul);
  T* a = Allocate<T>(PackedRowsSize(matmul.m, matmul.k));
  T* b = Allocate<T>(PackedColumnsSize<T>(matmul.k, matmul.n));
  PackRows(product.a, matmul.m, matmul.k, a);
  PackColumns(product.b, matmul.k, matmul.n, b);
  ChainEnds<T> ends;
  if (matmul.accumulate) ends.from = matmul.c;
  ends.from_row = ends.to_row = matmul.c_row;
  ends.to = matmul.c;
  MultiplyPacked(matmul.m, matmul.k, matmul.n, a, b, ends);
  std::free(a);
  std::free(b);
}

}  // namespace

void RunMatMul(Context& context, const MatMulCase<float>& matmul) {
  MatMul(context, ProductOf(matmul));
}
void RunMatMul(Context& context, const MatMulCase<double>& matmul) {
  MatMul(context, ProductOf(matmul));
}
void RunPacked(const MatMulCase<float>& matmul) { MultiplyPackedCase(matmul); }
void RunPacked(const MatMulCase<double>& matmul) { MultiplyPackedCase(matmul); }

}  // namespace carousel::kernels::CAROUSEL_ISA
