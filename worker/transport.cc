#include "worker/transport.h"

#include <cctype>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace carousel {
namespace {

constexpr char kLostStage[] = "carousel/lost-stage";

}  // namespace

std::string Tag::ToString() const {
  std::string name = PayloadKind_Name(kind);
  for (char& c : name) c = c == '_' ? ' ' : static_cast<char>(std::tolower(c));
  return absl::StrCat(name, " of step ", step, ", micro-batch ", micro_batch, ", segment ",
                      segment);
}

absl::Status LostStageError(int stage, std::string_view message) {
  absl::Status status = absl::UnavailableError(absl::string_view(message.data(), message.size()));
  status.SetPayload(kLostStage, absl::Cord(absl::StrCat(stage)));
  return status;
}

std::optional<int> LostStageOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kLostStage);
  int stage = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &stage)) return std::nullopt;
  return stage;
}

}  // namespace carousel
