#include "worker/worker_id.h"

#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/data/file_io.h"
#include "cluster/status_macros.h"

namespace carousel {

absl::StatusOr<std::string> WorkerIdOf(const std::string& folder) {
  const std::string path = folder + "/worker-id";
  std::string id;
  if (std::ifstream(path) >> id) return id;
  id = absl::StrFormat("w-%08x", std::random_device()());
  std::ofstream file(path);
  file << id << "\n";
  file.close();
  if (!file) {
    return absl::UnavailableError(
        absl::StrCat("cannot write ", path, "; is the disk full or the folder read-only?"));
  }
  // Durable before anybody hears it: shards are found by it for as long as they are kept.
  CAROUSEL_RETURN_IF_ERROR(SyncFile(path));
  CAROUSEL_RETURN_IF_ERROR(SyncFolder(folder));
  return id;
}

}  // namespace carousel
