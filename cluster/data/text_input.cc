#include "cluster/data/text_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr size_t kBufferBytes = 256 << 10;

}  // namespace

void TextInput::Free::operator()(ZSTD_DCtx_s* context) const { ZSTD_freeDCtx(context); }

TextInput::TextInput(FileDescriptor fd, std::string path)
    : fd_(std::move(fd)), path_(std::move(path)), buffer_(kBufferBytes, '\0') {
  if (!path_.ends_with(".zst")) return;
  decompressor_.reset(ZSTD_createDCtx());
  CAROUSEL_CHECK(decompressor_ != nullptr);
  text_.resize(kBufferBytes);
}

TextInput::~TextInput() = default;

absl::StatusOr<std::unique_ptr<TextInput>> TextInput::Open(const std::string& path) {
  // A pipe that nobody writes to yet is waited for where that can be broken off: in Fill.
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return FileError(errno, "open", path);
  return std::unique_ptr<TextInput>(new TextInput(std::move(fd), path));
}

absl::Status TextInput::AwaitText() const {
  pollfd wait = {.fd = fd_.get(), .events = POLLIN, .revents = 0};
  if (poll(&wait, 1, /*timeout=*/-1) >= 0) return absl::OkStatus();
  if (errno != EINTR) return FileError(errno, "wait for", path_);
  return absl::CancelledError(absl::StrCat(path_, ": interrupted while waiting for text"));
}

absl::Status TextInput::Fill() {
  ssize_t got;
  do {
    CAROUSEL_RETURN_IF_ERROR(AwaitText());
    got = read(fd_.get(), buffer_.data(), buffer_.size());
  } while (got < 0 && (errno == EINTR || errno == EAGAIN));
  if (got < 0) return FileError(errno, "read", path_);
  raw_ = std::string_view(buffer_.data(), static_cast<size_t>(got));
  at_end_ = raw_.empty();
  bytes_read_ += got;
  hasher_.Update(raw_);
  return absl::OkStatus();
}

absl::StatusOr<std::string_view> TextInput::Next() {
  if (compressed()) return Decompress();
  CAROUSEL_RETURN_IF_ERROR(Fill());
  return raw_;
}

absl::StatusOr<std::string_view> TextInput::Decompress() {
  while (true) {
    if (raw_.empty() && !at_end_) CAROUSEL_RETURN_IF_ERROR(Fill());
    ZSTD_inBuffer in = {raw_.data(), raw_.size(), 0};
    ZSTD_outBuffer out = {text_.data(), text_.size(), 0};
    const size_t rest = ZSTD_decompressStream(decompressor_.get(), &out, &in);
    raw_.remove_prefix(in.pos);
    const int64_t place = bytes_read_ - static_cast<int64_t>(raw_.size());
    if (ZSTD_isError(rest)) {
      const bool no_memory = ZSTD_getErrorCode(rest) == ZSTD_error_memory_allocation;
      return absl::Status(
          no_memory ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kInvalidArgument,
          absl::StrCat(path_, no_memory ? ": cannot be decompressed" : ": not valid zstd",
                       " at byte ", place, ": ", ZSTD_getErrorName(rest)));
    }
    if (in.pos > 0 || out.pos > 0) within_frame_ = rest != 0;
    if (out.pos > 0) return std::string_view(text_.data(), out.pos);
    if (at_end_ && within_frame_) {
      return absl::InvalidArgumentError(absl::StrCat(
          path_, ": ends at byte ", place, " within a zstd frame; the file has been cut short"));
    }
    if (at_end_) return std::string_view();
  }
}

absl::StatusOr<int64_t> CheckInputFile(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return FileError(errno, "open", path);
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is a folder; name the text files in it, in the order wanted"));
  }
  if (access(path.c_str(), R_OK) != 0) return FileError(errno, "read", path);
  return S_ISREG(info.st_mode) ? info.st_size : -1;
}

}  // namespace carousel
