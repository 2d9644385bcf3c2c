// A folder that appears whole or not at all: it is filled as NAME.building and renamed to NAME at
// the end. An interrupted build leaves at most NAME.building, which no reader looks at and which
// the next build of NAME removes.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/file_io.h"

namespace carousel {

// Not thread-safe. One process at a time builds NAME (flock on the folder; a killed process holds
// nothing).
class StagingFolder {
 public:
  // kAlreadyExists: `destination` is there and is not an empty folder. kUnavailable: another
  // process is building it. kFailedPrecondition: NAME.building holds files that no build left.
  // Parents of the destination are created.
  static absl::StatusOr<std::unique_ptr<StagingFolder>> Create(const std::string& destination);

  ~StagingFolder();  // without a Commit: removes the folder
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;

  const std::string& path() const { return path_; }

  // Renames to the destination, durably. Files inside must be synced already.
  absl::Status Commit();

 private:
  StagingFolder(std::string path, std::string destination, FileDescriptor lock);

  std::string path_;
  std::string destination_;
  FileDescriptor lock_;
  bool committed_ = false;
};

}  // namespace carousel
