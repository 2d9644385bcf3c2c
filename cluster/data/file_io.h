// Files as the dataset code uses them: read at an offset (never mapped: a mapped file that shrinks
// kills the process), written once through a buffer with their hash taken on the way.
//
// Errors name the path: kNotFound, kPermissionDenied, kResourceExhausted (disk full, quota, file
// too large), kDataLoss (the file ends before what was asked for), else kInternal.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/content_hash.h"

namespace carousel {

// "PATH: cannot ACTION: REASON" with the code that belongs to `error` (an errno).
absl::Status FileError(int error, std::string_view action, std::string_view path);

// Owns a file descriptor; movable.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;

  int get() const { return fd_; }

 private:
  int fd_;
};

// A regular file, read at any offset. Thread-safe: it has no position.
class RandomAccessFile {
 public:
  static absl::StatusOr<RandomAccessFile> Open(const std::string& path);

  // Exactly `bytes` bytes from `offset`.
  absl::Status Read(int64_t offset, int64_t bytes, void* out) const;

  int64_t size() const { return size_; }  // when it was opened
  const std::string& path() const { return path_; }

 private:
  RandomAccessFile(FileDescriptor fd, std::string path, int64_t size)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size) {}

  FileDescriptor fd_;
  std::string path_;
  int64_t size_;
};

// Writes a new file front to back in constant memory. Not thread-safe. Without Finish the file's
// content means nothing.
class SequentialWriter {
 public:
  // Creates `path`, or empties it.
  static absl::StatusOr<SequentialWriter> Create(const std::string& path);

  absl::Status Append(std::string_view bytes);

  // Writes out the buffer and makes the content durable (fsync). Nothing may follow.
  absl::Status Finish();

  int64_t size() const { return size_; }
  std::string Hash() const { return hasher_.Hex(); }  // of all that was appended

 private:
  SequentialWriter(FileDescriptor fd, std::string path)
      : fd_(std::move(fd)), path_(std::move(path)) {}

  absl::Status Write(std::string_view bytes);

  FileDescriptor fd_;
  std::string path_;
  std::string buffer_;
  ContentHasher hasher_;
  int64_t size_ = 0;
};

// Called now and then with the bytes done so far; false ends the work with kCancelled.
using ByteProgress = std::function<bool(int64_t bytes_done)>;

// Content hash of the whole file; `progress` may be empty.
absl::StatusOr<std::string> HashFile(const RandomAccessFile& file, const ByteProgress& progress);

// The whole of a file that has at most `limit` bytes; larger is kInvalidArgument.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, int64_t limit);

// Makes what was written to the file by others durable.
absl::Status SyncFile(const std::string& path);

// Creates the folder and whatever is missing above it, each name durable before the next.
absl::Status CreateFolders(const std::string& path);

// Makes names created in, renamed into or removed from `folder` durable.
absl::Status SyncFolder(const std::string& folder);

}  // namespace carousel
