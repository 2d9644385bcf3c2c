#include "tests/golden/device.h"

#include "cluster/check.h"

namespace carousel::golden {

using kernels::DType;
using kernels::Span;

Device::Device(kernels::Backend* backend, DType dtype)
    : backend_(backend), dtype_(dtype), stream_(backend->NewStream()) {}

Span Device::Allocate(int64_t elements, DType dtype) {
  absl::StatusOr<kernels::Buffer> buffer = backend_->Allocate(elements * kernels::SizeOf(dtype));
  CAROUSEL_CHECK(buffer.ok());
  buffers_.push_back(*buffer);
  return buffer->As(dtype).Slice(0, elements);
}

Span Device::Zeros(int64_t elements) { return Allocate(elements, dtype_); }

Span Device::NoResets(int64_t rows) { return Allocate(rows, DType::kU8); }

Span Device::Upload(const Values& values) {
  const Span span = Zeros(static_cast<int64_t>(values.size()));
  Write(values, span);
  return span;
}

Span Device::UploadTokens(const std::vector<int32_t>& tokens) {
  const Span span = Allocate(static_cast<int64_t>(tokens.size()), DType::kI32);
  backend_->CopyToDevice(stream_, tokens.data(), span);
  CAROUSEL_CHECK(backend_->Record(stream_).Wait().ok());
  return span;
}

void Device::Write(const Values& values, Span to) {
  CAROUSEL_CHECK(to.size() == static_cast<int64_t>(values.size()));
  const std::vector<float> narrow(values.begin(), values.end());
  const bool wide = to.dtype() == DType::kF64;
  backend_->CopyToDevice(stream_, wide ? static_cast<const void*>(values.data()) : narrow.data(),
                         to);
  CAROUSEL_CHECK(backend_->Record(stream_).Wait().ok());
}

Values Device::Download(Span from) {
  Values values(from.size());
  std::vector<float> narrow(from.size());
  const bool wide = from.dtype() == DType::kF64;
  backend_->CopyToHost(stream_, from, wide ? static_cast<void*>(values.data()) : narrow.data());
  CAROUSEL_CHECK(backend_->Record(stream_).Wait().ok());
  if (!wide) values.assign(narrow.begin(), narrow.end());
  return values;
}

}  // namespace carousel::golden
