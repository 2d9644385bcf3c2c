#include "cluster/exit_code.h"

#include "absl/strings/cord.h"

namespace carousel {
namespace {

constexpr char kKind[] = "carousel/kind";

absl::Status Marked(absl::Status status, const char* kind) {
  status.SetPayload(kKind, absl::Cord(kind));
  return status;
}

bool IsMarked(const absl::Status& status, const char* kind) {
  const auto payload = status.GetPayload(kKind);
  return payload.has_value() && *payload == kind;
}

}  // namespace

absl::Status UnreachableError(const std::string& message) {
  return Marked(absl::UnavailableError(message), "unreachable");
}

absl::Status UsageError(const std::string& message) {
  return Marked(absl::InvalidArgumentError(message), "usage");
}

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
      return IsMarked(status, "usage") ? ExitCode::kUsage : ExitCode::kInvalid;
    case absl::StatusCode::kDataLoss:
      return ExitCode::kInvalid;
    case absl::StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case absl::StatusCode::kUnavailable:
      return IsMarked(status, "unreachable") ? ExitCode::kUnreachable : ExitCode::kError;
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kTimeout;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
      return ExitCode::kPrecondition;
    case absl::StatusCode::kCancelled:
      return ExitCode::kInterrupted;
    default:
      return ExitCode::kError;
  }
}

}  // namespace carousel
