// What a program that was linked with CUDA can say about it: the libraries' versions, and whether a
// kernel runs. Plain C++: no CUDA header is needed to use it.
#pragma once

#include <string>
#include <vector>

namespace carousel {

// "CUDA 13.0, driver none, cuBLAS 13.1.0, cuBLASLt 13.1.0, NCCL 2.28.9", from the libraries
// themselves.
std::string CudaVersions();

// Why no kernel can run here: no GPU, or one for which this build has no code. Empty: one can.
std::string WhyNoKernelRuns();

// Twice every number, computed by the GPU. An error of CUDA's is written to `error`.
std::vector<float> DoubledByGpu(const std::vector<float>& numbers, std::string* error);

}  // namespace carousel
