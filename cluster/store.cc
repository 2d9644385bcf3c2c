#include "cluster/store.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace carousel {
namespace {

std::string Shown(std::string_view key) {
  return absl::CHexEscape(absl::string_view(key.data(), key.size()));
}

}  // namespace

absl::Status CheckRecordKeys(const StoreBatch& batch) {
  for (const StoreBatch::Change& change : batch.changes) {
    if (change.key.empty() ||
        static_cast<unsigned char>(change.key[0]) >= static_cast<unsigned char>(kBulkFamily)) {
      return absl::InvalidArgumentError(absl::StrCat("key \"", Shown(change.key),
                                                     "\" is no record's key: bulk keys are written "
                                                     "by Ingest, and no key is empty"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBulkKey(std::string_view key, std::string_view previous) {
  if (key.empty() || key[0] != kBulkFamily) {
    return absl::InvalidArgumentError(
        absl::StrCat("key \"", Shown(key), "\" is no bulk key: records are written by Commit"));
  }
  if (key <= previous) {
    return absl::InvalidArgumentError(absl::StrCat("bulk keys must ascend: \"", Shown(key),
                                                   "\" came after \"", Shown(previous), "\""));
  }
  return absl::OkStatus();
}

std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) ++end.back();
  return end;
}

}  // namespace carousel
