// One input file as a stream of text, decompressed on the way if it is zstd.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/content_hash.h"
#include "cluster/data/file_io.h"

struct ZSTD_DCtx_s;

namespace carousel {

// Memory is constant: two buffers of 256 KiB, and for zstd a window of at most 128 MiB. Not
// thread-safe. Files may be regular files or pipes.
class TextInput {
 public:
  // A path that ends in ".zst" is decompressed; it may hold several frames.
  static absl::StatusOr<std::unique_ptr<TextInput>> Open(const std::string& path);

  ~TextInput();

  // The next piece of text, valid until the next call; empty at the end. kInvalidArgument, with
  // the place, for a file that is no zstd, is damaged or ends within a frame. A pipe is waited for;
  // a signal that is caught ends that with kCancelled.
  absl::StatusOr<std::string_view> Next();

  const std::string& path() const { return path_; }
  bool compressed() const { return decompressor_ != nullptr; }
  int64_t bytes_read() const { return bytes_read_; }      // of the file, not of the text
  std::string FileHash() const { return hasher_.Hex(); }  // of the bytes read

 private:
  TextInput(FileDescriptor fd, std::string path);

  absl::Status AwaitText() const;
  absl::Status Fill();  // the next raw bytes into raw_; none at the end
  absl::StatusOr<std::string_view> Decompress();

  struct Free {
    void operator()(ZSTD_DCtx_s* context) const;
  };

  FileDescriptor fd_;
  std::string path_;
  std::unique_ptr<ZSTD_DCtx_s, Free> decompressor_;
  std::string buffer_;    // raw bytes as read
  std::string_view raw_;  // the part of buffer_ not yet decompressed
  std::string text_;      // decompressed
  bool at_end_ = false;
  bool within_frame_ = false;
  int64_t bytes_read_ = 0;
  ContentHasher hasher_;
};

// The size of an input file, for progress; -1 if it has none of its own (a pipe). An error if it
// cannot be read or is a folder.
absl::StatusOr<int64_t> CheckInputFile(const std::string& path);

}  // namespace carousel
