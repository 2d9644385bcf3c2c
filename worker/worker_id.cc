#include "worker/worker_id.h"

#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace carousel {

absl::StatusOr<std::string> WorkerIdOf(const std::string& folder) {
  const std::string path = folder + "/worker-id";
  std::string id;
  if (std::ifstream(path) >> id) return id;
  id = absl::StrFormat("w-%08x", std::random_device()());
  std::ofstream file(path);
  file << id << "\n";
  file.close();
  if (!file)
    return absl::UnavailableError(
        absl::StrCat("cannot write ", path, "; is the disk full or the folder read-only?"));
  return id;
}

}  // namespace carousel
