#include "cluster/data/staging_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

namespace fs = std::filesystem;

const std::set<std::string>& FilesOfABuild() {
  static const std::set<std::string> kNames = {"tokens.bin", "tokens.idx", "manifest.json",
                                               "tokens.lengths.spill", "tokens.documents.spill"};
  return kNames;
}

absl::Status CheckDestination(const std::string& destination) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(destination, error);
  if (status.type() == fs::file_type::not_found) return absl::OkStatus();
  if (error) return FileError(error.value(), "look at", destination);
  if (status.type() == fs::file_type::directory && fs::is_empty(destination, error)) {
    return absl::OkStatus();
  }
  return absl::AlreadyExistsError(absl::StrCat(
      destination, ": already exists; choose another output folder or remove this one"));
}

// Takes the lock of `path`, creating it if need be. The folder that was locked may meanwhile have
// been renamed by the build that held it: then the one now under the name is tried.
absl::StatusOr<FileDescriptor> CreateAndLock(const std::string& path) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
      return FileError(errno, "create", path);
    }
    FileDescriptor lock(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (lock.get() < 0) {
      if (errno == ENOENT) continue;
      return FileError(errno, "open", path);
    }
    if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      return absl::UnavailableError(
          absl::StrCat(path, ": another process is building this dataset; wait until it ends"));
    }
    struct stat locked, named;
    if (fstat(lock.get(), &locked) == 0 && stat(path.c_str(), &named) == 0 &&
        locked.st_ino == named.st_ino && locked.st_dev == named.st_dev) {
      return lock;
    }
  }
  return absl::UnavailableError(absl::StrCat(path, ": is being created and removed all the time"));
}

absl::Status RemoveLeftovers(const std::string& path) {
  std::error_code error;
  std::set<std::string> names;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    names.insert(it->path().filename().string());
  }
  if (error) return FileError(error.value(), "list", path);
  for (const std::string& name : names) {
    if (FilesOfABuild().count(name) > 0) continue;
    return absl::FailedPreconditionError(absl::StrCat(path, ": is needed for building, but holds ",
                                                      name, ", which no build left; move it away"));
  }
  for (const std::string& name : names) {
    if (unlink(absl::StrCat(path, "/", name).c_str()) != 0) {
      return FileError(errno, "remove", absl::StrCat(path, "/", name));
    }
  }
  return absl::OkStatus();
}

}  // namespace

StagingFolder::StagingFolder(std::string path, std::string destination, FileDescriptor lock)
    : path_(std::move(path)), destination_(std::move(destination)), lock_(std::move(lock)) {}

absl::StatusOr<std::unique_ptr<StagingFolder>> StagingFolder::Create(
    const std::string& destination) {
  fs::path normal = fs::path(destination).lexically_normal();
  if (!normal.has_filename()) normal = normal.parent_path();  // a trailing slash
  const std::string name = normal.filename().string();
  if (name.empty() || name == "." || name == "..") {
    return absl::InvalidArgumentError(
        absl::StrCat("output folder: is \"", destination, "\", expected the name of a new folder"));
  }
  CAROUSEL_RETURN_IF_ERROR(CheckDestination(normal.string()));
  CAROUSEL_RETURN_IF_ERROR(CreateFolders(normal.parent_path().string()));

  const std::string path = normal.string() + ".building";
  CAROUSEL_ASSIGN_OR_RETURN(FileDescriptor lock, CreateAndLock(path));
  CAROUSEL_RETURN_IF_ERROR(RemoveLeftovers(path));
  return std::unique_ptr<StagingFolder>(new StagingFolder(path, normal.string(), std::move(lock)));
}

StagingFolder::~StagingFolder() {
  if (committed_) return;
  (void)RemoveLeftovers(path_);  // a destructor has nobody to tell; the next build tries again
  rmdir(path_.c_str());
}

absl::Status StagingFolder::Commit() {
  CAROUSEL_RETURN_IF_ERROR(SyncFolder(path_));
  if (rename(path_.c_str(), destination_.c_str()) != 0) {
    return FileError(errno, "rename the finished folder to this name", destination_);
  }
  committed_ = true;
  const std::string parent = fs::path(destination_).parent_path().string();
  return SyncFolder(parent.empty() ? "." : parent);
}

}  // namespace carousel
