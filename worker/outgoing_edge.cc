#include "worker/outgoing_edge.h"

#include <grpcpp/grpcpp.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/channel.h"
#include "cluster/rpc_status.h"
#include "worker/lost_peer.h"

namespace carousel {

OutgoingEdge::OutgoingEdge(kernels::Backend* backend, const EdgeOptions& options, int to_stage,
                           std::function<void(const absl::Status&)> broken)
    : options_(options),
      to_stage_(to_stage),
      broken_(std::move(broken)),
      queue_(backend),
      stub_(Worker::NewStub(OpenChannel(options.addresses[to_stage], {.lease = options.lease}))) {
  context_.set_wait_for_ready(true);
  writer_ = std::thread([this] { Write(); });
}

OutgoingEdge::~OutgoingEdge() {
  Abort(absl::CancelledError("the edge is gone"));
  writer_.join();
  reader_.join();  // begun by the writer
}

void OutgoingEdge::Abort(const absl::Status& reason) {
  over_ = true;
  queue_.Abort(reason);
  context_.TryCancel();
}

void OutgoingEdge::Write() {
  // Opening blocks until the peer is reachable, so it is done here: neither the executor nor an
  // Abort waits for a peer that never comes.
  stream_ = stub_->Exchange(&context_);
  reader_ = std::thread([this] { ReadCredits(); });
  bool open = WriteParcel({.tag = {.kind = OPEN}});
  while (open) {
    const absl::StatusOr<SendQueue::Parcel> parcel = queue_.Take();
    if (!parcel.ok()) {
      Report(parcel.status());
      return context_.TryCancel();  // wakes the reader
    }
    open = WriteParcel(*parcel);
  }
  // The stream is over. The reader hears why, which a cancellation would hide.
}

bool OutgoingEdge::WriteParcel(const SendQueue::Parcel& parcel) {
  const int64_t total = static_cast<int64_t>(parcel.bytes.size());
  Frame frame;
  frame.set_job(options_.job);
  frame.set_epoch(options_.epoch);
  frame.set_step(parcel.tag.step);
  frame.set_kind(parcel.tag.kind);
  frame.set_micro_batch(parcel.tag.micro_batch);
  frame.set_segment(parcel.tag.segment);
  frame.set_from_stage(options_.stage);
  frame.set_to_stage(to_stage_);
  frame.set_total(total);
  for (int64_t offset = 0; offset == 0 || offset < total; offset += kFrameBytes) {
    const int64_t size = std::min(kFrameBytes, total - offset);
    frame.set_offset(offset);
    frame.set_payload(parcel.bytes.data() + offset, size);
    frame.set_checksum(XXH3_64bits(parcel.bytes.data() + offset, size));
    if (!stream_->Write(frame)) return false;
  }
  return true;
}

void OutgoingEdge::ReadCredits() {
  Credit credit;
  while (stream_->Read(&credit)) queue_.AddCredits(credit.tensors());
  Report(WhyItBroke(FromGrpcStatus(stream_->Finish())));
}

// A peer that neither ended the stream nor is gone has refused what it was sent.
absl::Status OutgoingEdge::WhyItBroke(const absl::Status& end) const {
  const std::string message =
      absl::StrCat("the edge from stage ", options_.stage, " to stage ", to_stage_, " (",
                   options_.addresses[to_stage_], ") broke: ", end.message());
  if (end.ok() || IsPeerGone(end)) return LostStageError(to_stage_, message);
  return absl::Status(end.code(), message);
}

void OutgoingEdge::Report(const absl::Status& status) {
  if (over_.exchange(true)) return;
  queue_.Abort(status);
  broken_(status);
}

}  // namespace carousel
