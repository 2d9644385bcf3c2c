// Device: host values to operands of an element type on a backend, and back. Owns what it brings
// there.
#pragma once

#include <string>
#include <vector>

#include "kernels/backend.h"
#include "tests/golden/golden_file.h"

namespace carousel::golden {

// Not thread-safe; borrows the backend.
class Device {
 public:
  Device(kernels::Backend* backend, kernels::DType dtype);

  kernels::Backend& backend() const { return *backend_; }
  kernels::Stream stream() const { return stream_; }
  kernels::DType dtype() const { return dtype_; }

  // Rounds to the element type, which holds the inputs exactly.
  kernels::Span Upload(const Values& values);
  kernels::Span UploadTokens(const std::vector<int32_t>& tokens);
  kernels::Span Zeros(int64_t elements);
  // Reset flags of rows that start nothing.
  kernels::Span NoResets(int64_t rows);

  void Write(const Values& values, kernels::Span to);
  // Waits for the stream.
  Values Download(kernels::Span from);

  void Run(const kernels::Op& op) { backend_->Enqueue(stream_, op); }

 private:
  kernels::Span Allocate(int64_t elements, kernels::DType dtype);

  kernels::Backend* const backend_;
  const kernels::DType dtype_;
  const kernels::Stream stream_;
  std::vector<kernels::Buffer> buffers_;
};

}  // namespace carousel::golden
