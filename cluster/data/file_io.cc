#include "cluster/data/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/counted.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::StatusCode::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::StatusCode::kResourceExhausted;
    case EEXIST:
    case ENOTEMPTY:
      return absl::StatusCode::kAlreadyExists;
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return absl::StatusCode::kInvalidArgument;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status FileError(int error, std::string_view action, std::string_view path) {
  std::string message =
      absl::StrCat(std::string(path), ": cannot ", std::string(action), ": ", strerror(error));
  if (error == ENOSPC || error == EDQUOT) message += "; free some space and start again";
  return absl::Status(CodeOf(error), message);
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

absl::StatusOr<RandomAccessFile> RandomAccessFile::Open(const std::string& path) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return FileError(errno, "open", path);
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return FileError(errno, "look at", path);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not a regular file"));
  }
  return RandomAccessFile(std::move(fd), path, info.st_size);
}

absl::Status RandomAccessFile::Read(int64_t offset, int64_t bytes, void* out) const {
  char* to = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t got = pread(fd_.get(), to, bytes, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno, "read", path_);
    if (got == 0) {
      return absl::DataLossError(
          absl::StrCat(path_, ": ends at byte ", offset, ", ", Counted(bytes, "byte"),
                       " before the end that was expected; it has been cut short"));
    }
    to += got;
    offset += got;
    bytes -= got;
  }
  return absl::OkStatus();
}

absl::StatusOr<SequentialWriter> SequentialWriter::Create(const std::string& path) {
  FileDescriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (fd.get() < 0) return FileError(errno, "create", path);
  return SequentialWriter(std::move(fd), path);
}

absl::Status SequentialWriter::Append(std::string_view bytes) {
  hasher_.Update(bytes);
  size_ += static_cast<int64_t>(bytes.size());
  if (buffer_.size() + bytes.size() <= kBufferBytes) {
    buffer_.append(bytes);
    return absl::OkStatus();
  }
  CAROUSEL_RETURN_IF_ERROR(Write(buffer_));
  buffer_.clear();
  if (bytes.size() >= kBufferBytes) return Write(bytes);
  buffer_.append(bytes);
  return absl::OkStatus();
}

absl::Status SequentialWriter::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(fd_.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return FileError(errno, "write", path_);
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return absl::OkStatus();
}

absl::Status SequentialWriter::Finish() {
  CAROUSEL_RETURN_IF_ERROR(Write(buffer_));
  buffer_.clear();
  if (fsync(fd_.get()) != 0) return FileError(errno, "sync", path_);
  return absl::OkStatus();
}

absl::StatusOr<std::string> HashFile(const RandomAccessFile& file, const ByteProgress& progress) {
  ContentHasher hasher;
  std::string block;
  for (int64_t done = 0; done < file.size(); done += static_cast<int64_t>(block.size())) {
    block.resize(std::min(kBufferBytes, static_cast<size_t>(file.size() - done)));
    CAROUSEL_RETURN_IF_ERROR(file.Read(done, static_cast<int64_t>(block.size()), block.data()));
    hasher.Update(block);
    if (progress && !progress(done + static_cast<int64_t>(block.size()))) {
      return absl::CancelledError(absl::StrCat(file.path(), ": stopped while reading"));
    }
  }
  return hasher.Hex();
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, int64_t limit) {
  CAROUSEL_ASSIGN_OR_RETURN(const RandomAccessFile file, RandomAccessFile::Open(path));
  if (file.size() > limit) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": has ", Counted(file.size(), "byte"),
                                                   ", more than the limit of ", limit));
  }
  std::string content(static_cast<size_t>(file.size()), '\0');
  CAROUSEL_RETURN_IF_ERROR(file.Read(0, file.size(), content.data()));
  return content;
}

absl::Status SyncFile(const std::string& path) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return FileError(errno, "open", path);
  if (fsync(fd.get()) != 0) return FileError(errno, "sync", path);
  return absl::OkStatus();
}

absl::Status CreateFolders(const std::string& path) {
  if (path.empty() || path == ".") return absl::OkStatus();
  struct stat info;
  if (stat(path.c_str(), &info) == 0) {
    return S_ISDIR(info.st_mode) ? absl::OkStatus() : FileError(ENOTDIR, "create", path);
  }
  const std::string parent = std::filesystem::path(path).parent_path().string();
  if (parent != path) CAROUSEL_RETURN_IF_ERROR(CreateFolders(parent));
  // Another process may have been quicker; the name is made durable all the same.
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return FileError(errno, "create", path);
  return SyncFolder(parent.empty() ? "." : parent);
}

absl::Status SyncFolder(const std::string& folder) {
  FileDescriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return FileError(errno, "open", folder);
  if (fsync(fd.get()) != 0) return FileError(errno, "sync", folder);
  return absl::OkStatus();
}

}  // namespace carousel
