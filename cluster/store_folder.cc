#include "cluster/store_folder.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

namespace fs = std::filesystem;

double Mebibytes(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

}  // namespace

absl::Status MakePrivateFolder(const std::string& path) {
  std::error_code error;
  fs::path parent = fs::absolute(path, error).parent_path();
  if (!error) fs::create_directories(parent, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make the folder ", parent.string(), ": ", error.message()));
  }
  if (::mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno != EEXIST) return absl::ErrnoToStatus(errno, "cannot make the folder " + path);
  if (!fs::is_directory(path, error)) {
    return absl::FailedPreconditionError(path + " is a file; give a folder or a new name");
  }
  return absl::OkStatus();
}

absl::Status EmptyFolder(const std::string& path) {
  std::error_code error;
  for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
    fs::remove_all(at->path(), error);
    if (error) break;
  }
  if (!error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot empty ", path, ": ", error.message()));
}

absl::StatusOr<uint64_t> FreeBytes(const std::string& path) {
  struct statvfs info;
  if (::statvfs(path.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, "cannot ask for the free space of " + path);
  }
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

absl::Status CheckFree(const std::string& path, uint64_t bytes) {
  CAROUSEL_ASSIGN_OR_RETURN(uint64_t free, FreeBytes(path));
  if (free >= bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat(
      "%s: disk full: %.1f MiB are free and %.1f MiB are needed; free space on that "
      "file system, or keep fewer checkpoints",
      path, Mebibytes(free), Mebibytes(bytes)));
}

}  // namespace carousel
