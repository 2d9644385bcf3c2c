#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <nccl.h>

#include "tests/bazel/cuda_probe.h"

namespace carousel {
namespace {

__global__ void Double(float* numbers, int size) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < size) numbers[i] *= 2;
}

// Of a number such as 13000: "13.0".
std::string MajorMinor(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string CublasVersion() {
  int part[3] = {};
  const libraryPropertyType types[] = {MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL};
  for (int i = 0; i < 3; ++i) {
    if (cublasGetProperty(types[i], &part[i]) != CUBLAS_STATUS_SUCCESS) return "unknown";
  }
  return std::to_string(part[0]) + "." + std::to_string(part[1]) + "." + std::to_string(part[2]);
}

// 22809 is 2.28.9.
std::string NcclVersion() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "unknown";
  return std::to_string(version / 10000) + "." + std::to_string(version % 10000 / 100) + "." +
         std::to_string(version % 100);
}

}  // namespace

std::string CudaVersions() {
  int runtime = 0, driver = 0;
  cudaRuntimeGetVersion(&runtime);
  cudaDriverGetVersion(&driver);  // 0: there is none
  return "CUDA " + MajorMinor(runtime) + ", driver " +
         (driver == 0 ? "none" : "for " + MajorMinor(driver)) + ", cuBLAS " + CublasVersion() +
         ", cuBLASLt " + std::to_string(cublasLtGetVersion()) + ", NCCL " + NcclVersion();
}

std::string WhyNoKernelRuns() {
  int devices = 0;
  const cudaError_t found = cudaGetDeviceCount(&devices);
  if (found != cudaSuccess) return std::string("no GPU: ") + cudaGetErrorString(found);
  if (devices == 0) return "no GPU";
  cudaFuncAttributes attributes;
  const cudaError_t loaded = cudaFuncGetAttributes(&attributes, Double);
  if (loaded == cudaErrorNoKernelImageForDevice)
    return "a GPU of another architecture than bazel/cuda.bzl compiles for";
  return "";
}

std::vector<float> DoubledByGpu(const std::vector<float>& numbers, std::string* error) {
  std::vector<float> doubled(numbers.size());
  const size_t bytes = numbers.size() * sizeof(float);
  const int size = static_cast<int>(numbers.size());
  float* device = nullptr;
  cudaError_t status = cudaMalloc(&device, bytes);
  if (status == cudaSuccess)
    status = cudaMemcpy(device, numbers.data(), bytes, cudaMemcpyHostToDevice);
  if (status == cudaSuccess) {
    Double<<<(size + 255) / 256, 256>>>(device, size);
    status = cudaGetLastError();
  }
  if (status == cudaSuccess)
    status = cudaMemcpy(doubled.data(), device, bytes, cudaMemcpyDeviceToHost);
  cudaFree(device);
  if (status != cudaSuccess) *error = cudaGetErrorString(status);
  return doubled;
}

}  // namespace carousel
