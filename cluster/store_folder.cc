#include "cluster/store_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

namespace fs = std::filesystem;

// Writes the folder's entries to disk.
absl::Status SyncFolder(const fs::path& path) {
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return absl::ErrnoToStatus(errno, "cannot open the folder " + path.string());
  const int failed = ::fsync(folder) == 0 ? 0 : errno;
  ::close(folder);
  if (failed == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(failed, "cannot sync the folder " + path.string());
}

// With its parents. What is made is durable: a folder is when its entry in its parent is.
absl::Status MakeFolder(const fs::path& path, mode_t mode) {
  int failed = ::mkdir(path.c_str(), mode) == 0 ? 0 : errno;
  if (failed == ENOENT && path.has_relative_path()) {
    CAROUSEL_RETURN_IF_ERROR(MakeFolder(path.parent_path(), 0777));
    failed = ::mkdir(path.c_str(), mode) == 0 ? 0 : errno;
  }
  if (failed == 0) return SyncFolder(path.parent_path());
  std::error_code error;
  if (failed == EEXIST && fs::is_directory(path, error)) return absl::OkStatus();
  if (failed == EEXIST || failed == ENOTDIR) {
    return absl::FailedPreconditionError(path.string() +
                                         " is a file, or below one; give a folder or a new name");
  }
  return absl::ErrnoToStatus(failed, "cannot make the folder " + path.string());
}

double Mebibytes(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

}  // namespace

absl::Status MakePrivateFolder(const std::string& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make the folder ", path, ": ", error.message()));
  }
  return MakeFolder(absolute.has_filename() ? absolute : absolute.parent_path(), 0700);
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
