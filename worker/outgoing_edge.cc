#include "worker/outgoing_edge.h"

#include <grpcpp/grpcpp.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace carousel {
namespace {

constexpr int64_t kFrameBytes = 1 << 20;

std::unique_ptr<Worker::Stub> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  // A connection of its own: bulk tensors must not stand in front of heartbeats. A silent peer is
  // noticed by keepalive.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetMaxReceiveMessageSize(1 << 20);
  return Worker::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
}

}  // namespace

OutgoingEdge::OutgoingEdge(const EdgeOptions& options, int to_stage,
                           std::function<void(const absl::Status&)> broken)
    : options_(options),
      to_stage_(to_stage),
      broken_(std::move(broken)),
      stub_(Connect(options.addresses[to_stage])) {
  context_.set_wait_for_ready(true);
  writer_ = std::thread([this] { Write(); });
}

OutgoingEdge::~OutgoingEdge() {
  Abort();
  writer_.join();
  reader_.join();  // begun by the writer
}

void OutgoingEdge::Push(const Tag& tag, std::string bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  parcels_.push_back({tag, std::move(bytes)});
  changed_.notify_all();
}

void OutgoingEdge::Abort() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  context_.TryCancel();
}

void OutgoingEdge::Write() {
  // Opening blocks until the peer is reachable, so it is done here: neither the executor nor an
  // Abort waits for a peer that never comes.
  stream_ = stub_->Exchange(&context_);
  reader_ = std::thread([this] { ReadCredits(); });
  Parcel parcel = {.tag = {.kind = OPEN}};
  bool open = WriteParcel(parcel);
  while (open && WaitForParcel(&parcel)) open = WriteParcel(parcel);
  if (!open) context_.TryCancel();  // wakes the reader, which reports
}

bool OutgoingEdge::WaitForParcel(Parcel* parcel) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || (!parcels_.empty() && credits_ > 0); });
  if (stopping_) return false;
  *parcel = std::move(parcels_.front());
  parcels_.pop_front();
  --credits_;
  return true;
}

bool OutgoingEdge::WriteParcel(const Parcel& parcel) {
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
  while (stream_->Read(&credit)) {
    std::lock_guard<std::mutex> lock(mutex_);
    credits_ += credit.tensors();
    changed_.notify_all();
  }
  Report(stream_->Finish());
}

void OutgoingEdge::Report(const grpc::Status& status) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (std::exchange(stopping_, true)) return;
    changed_.notify_all();
  }
  broken_(LostStageError(
      to_stage_, absl::StrCat("the edge from stage ", options_.stage, " to stage ", to_stage_, " (",
                              options_.addresses[to_stage_], ") broke: ", status.error_message())));
}

}  // namespace carousel
