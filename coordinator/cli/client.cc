#include "coordinator/cli/client.h"

#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/address.h"
#include "cluster/channel.h"
#include "cluster/rpc_status.h"
#include "coordinator/cli/exit_code.h"

namespace carousel {
namespace {

using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::system_clock;

constexpr double kSilenceSeconds = 20;  // of a coordinator that is given up
constexpr int kMaxMessageBytes = 64 << 20;

system_clock::time_point In(double seconds) {
  return system_clock::now() + duration_cast<system_clock::duration>(duration<double>(seconds));
}

}  // namespace

std::string NewRequestId() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(), random());
}

Client::Client(std::string address, std::shared_ptr<grpc::Channel> channel)
    : address_(std::move(address)),
      channel_(std::move(channel)),
      stub_(Coordinator::NewStub(channel_)) {}

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const std::string& address) {
  if (const absl::Status bad = CheckAddress("--coordinator", address, kPortToConnect); !bad.ok()) {
    return UsageError(std::string(bad.message()));
  }
  std::shared_ptr<grpc::Channel> channel = OpenChannel(
      address, {.lease = TermsOf(kSilenceSeconds), .max_message_bytes = kMaxMessageBytes});
  if (!channel->WaitForConnected(In(kConnectSeconds))) {
    return UnreachableError(
        absl::StrCat("no coordinator answers at ", address, " (tried for ", kConnectSeconds,
                     " s); start one (`coordinator --listen ", address,
                     " --state DIR`), or name another with --coordinator or CAROUSEL_COORDINATOR"));
  }
  return std::unique_ptr<Client>(new Client(address, std::move(channel)));
}

void Client::SetDeadline(double seconds, grpc::ClientContext* context) {
  if (seconds != kForever) context->set_deadline(In(seconds));
}

absl::Status Client::Judge(const grpc::Status& status) const {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE &&
      channel_->GetState(false) != GRPC_CHANNEL_READY) {
    return UnreachableError(absl::StrCat("the connection to the coordinator at ", address_,
                                         " broke (", status.error_message(),
                                         "); is it still running?"));
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::DeadlineExceededError(
        absl::StrCat("the coordinator at ", address_, " did not answer in time"));
  }
  return FromGrpcStatus(status);
}

bool Client::ShouldRepeat(const absl::Status& status, int attempt) {
  if (!absl::IsUnavailable(status) || ExitCodeOf(status) != ExitCode::kUnreachable) return false;
  std::this_thread::sleep_for(std::chrono::milliseconds(250) * attempt);
  return true;
}

}  // namespace carousel
