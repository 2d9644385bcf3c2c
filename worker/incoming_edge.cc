#include "worker/incoming_edge.h"

#include <xxhash.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace carousel {

absl::Status IncomingEdge::Check(const Frame& frame) const {
  if (frame.job() != options_.job || frame.epoch() != options_.epoch) {
    return absl::FailedPreconditionError(absl::StrCat("a frame of job ", frame.job(), ", epoch ",
                                                      frame.epoch(), " on an edge of job ",
                                                      options_.job, ", epoch ", options_.epoch));
  }
  if (frame.to_stage() != options_.stage || frame.from_stage() != from_stage_) {
    return absl::InvalidArgumentError(
        absl::StrCat("a frame from stage ", frame.from_stage(), " to stage ", frame.to_stage(),
                     " on the edge from stage ", from_stage_, " to stage ", options_.stage));
  }
  if (frame.total() < 0 || frame.total() > options_.max_tensor_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("a tensor of ", frame.total(),
                                                   " bytes; the largest of this job has ",
                                                   options_.max_tensor_bytes));
  }
  if (frame.checksum() != XXH3_64bits(frame.payload().data(), frame.payload().size())) {
    return absl::DataLossError(absl::StrCat("bytes at ", frame.offset(), " fail their checksum"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<IncomingEdge::Tensor>> IncomingEdge::Add(const Frame& frame) {
  const Tag tag = {frame.step(), frame.kind(), frame.micro_batch(), frame.segment()};
  absl::Status status = Check(frame);
  const int64_t size = static_cast<int64_t>(frame.payload().size());
  const bool other = received_ > 0 && !(tag == tag_ && frame.total() == total_);
  const bool idle = size == 0 && frame.total() > 0;  // a piece of nothing
  if (status.ok() &&
      (frame.offset() != received_ || received_ + size > frame.total() || other || idle)) {
    status = absl::DataLossError(absl::StrCat("bytes at ", frame.offset(), " of ", frame.total(),
                                              " where ", received_, " were expected"));
  }
  if (!status.ok())
    return absl::Status(status.code(),
                        absl::StrCat(tag.ToString(), ": ", absl::string_view(status.message())));
  if (received_ == 0) {
    tag_ = tag;
    total_ = frame.total();
    bytes_.clear();
    bytes_.reserve(frame.total());
  }
  bytes_.append(frame.payload());
  received_ += size;
  if (received_ < frame.total()) return std::nullopt;
  received_ = 0;
  return Tensor{tag, std::move(bytes_)};
}

}  // namespace carousel
