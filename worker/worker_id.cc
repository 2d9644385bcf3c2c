#include "worker/worker_id.h"

#include <filesystem>
#include <fstream>
#include <random>
#include <string_view>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/data/file_io.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

// All of it or nothing, whenever the machine stops.
absl::Status WriteWhole(const std::string& path, std::string_view text) {
  const std::string written = path + ".new";
  CAROUSEL_ASSIGN_OR_RETURN(SequentialWriter file, SequentialWriter::Create(written));
  CAROUSEL_RETURN_IF_ERROR(file.Append(text));
  CAROUSEL_RETURN_IF_ERROR(file.Finish());
  std::error_code error;
  std::filesystem::rename(written, path, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", error.message()));
}

}  // namespace

absl::StatusOr<std::string> WorkerIdOf(const std::string& folder) {
  const std::string path = folder + "/worker-id";
  std::string id;
  if (!(std::ifstream(path) >> id)) {
    id = absl::StrFormat("w-%08x", std::random_device()());
    CAROUSEL_RETURN_IF_ERROR(WriteWhole(path, id + "\n"));
  }
  // Durable before anybody hears it: shards are found by it for as long as they are kept. Also one
  // that is found may be of a process that was killed before it came to this.
  CAROUSEL_RETURN_IF_ERROR(SyncFolder(folder));
  return id;
}

}  // namespace carousel
