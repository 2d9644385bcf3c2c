#include "coordinator/cli/state_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cluster/data/file_io.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

namespace fs = std::filesystem;

constexpr auto kLeavingPatience = std::chrono::seconds(10);
constexpr char kWorkerPrefix[] = "worker-";

// An empty folder, a missing one, or one of ours.
absl::Status CheckOurs(const std::string& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) return absl::OkStatus();
  if (!fs::is_directory(status)) {
    return absl::FailedPreconditionError(
        absl::StrCat("--state ", path, ": is not a folder; name a folder, it is made if missing"));
  }
  if (fs::exists(path + "/lock", error)) return absl::OkStatus();
  const bool empty = fs::is_empty(path, error);
  if (error) return FileError(error.value(), "read", path);
  if (empty) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("--state ", path,
                   ": is not empty and no state folder of `carousel local`; name a new folder"));
}

// Mode 0700; its parents get the usual mode. An existing folder keeps its own.
absl::Status MakePrivate(const std::string& path) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) return FileError(error.value(), "create", path);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return FileError(errno, "create", path);
  return absl::OkStatus();
}

pid_t HolderOf(int lock) {
  char text[32] = {};
  const ssize_t size = pread(lock, text, sizeof text - 1, 0);
  pid_t pid = 0;
  if (size > 0) std::from_chars(text, text + size, pid);
  return pid;
}

bool IsAlive(pid_t pid) { return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM); }

// Waits only for those whose parent is gone: they are about to end.
absl::Status Lock(int fd, const std::string& path, const Abandoned& abandoned) {
  const auto until = std::chrono::steady_clock::now() + kLeavingPatience;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (IsAlive(HolderOf(fd)) || std::chrono::steady_clock::now() > until) {
      return absl::FailedPreconditionError(
          absl::StrCat("--state ", path, ": is in use by process ", HolderOf(fd),
                       "; wait for it, stop it with Ctrl-C, or name another folder"));
    }
    if (abandoned()) return absl::CancelledError("interrupted while the last run was ending");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateFolder>> StateFolder::Take(const std::string& given,
                                                               const Abandoned& abandoned) {
  const std::string path = fs::absolute(given).lexically_normal().string();
  CAROUSEL_RETURN_IF_ERROR(CheckOurs(path));
  CAROUSEL_RETURN_IF_ERROR(MakePrivate(path));
  const std::string lock_path = path + "/lock";
  FileDescriptor lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.get() < 0) return FileError(errno, "create", lock_path);
  CAROUSEL_RETURN_IF_ERROR(Lock(lock.get(), path, abandoned));
  const std::string holder = absl::StrCat(getpid(), "\n");
  if (ftruncate(lock.get(), 0) != 0 ||
      pwrite(lock.get(), holder.data(), holder.size(), 0) != static_cast<ssize_t>(holder.size())) {
    return FileError(errno, "write", lock_path);
  }
  CAROUSEL_RETURN_IF_ERROR(MakePrivate(path + "/logs"));
  return std::unique_ptr<StateFolder>(new StateFolder(path, fcntl(lock.get(), F_DUPFD_CLOEXEC, 3)));
}

absl::StatusOr<std::unique_ptr<StateFolder>> StateFolder::TakeExisting(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path + "/coordinator", error)) {
    return absl::NotFoundError(
        absl::StrCat("--state ", path,
                     ": is no state folder of `carousel local`; it prints where its folder is"));
  }
  return Take(path, NeverAbandoned);
}

StateFolder::~StateFolder() { close(lock_); }

std::vector<int> StateFolder::Workers() const {
  std::vector<int> numbers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kWorkerPrefix)) continue;
    const char* const first = name.data() + sizeof kWorkerPrefix - 1;
    int number = 0;
    const auto [end, failure] = std::from_chars(first, name.data() + name.size(), number);
    if (failure == std::errc() && end == name.data() + name.size()) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string StateFolder::WorkerId(int number) const {
  std::ifstream file(Worker(number) + "/worker-id");
  std::string id;
  file >> id;
  return id;
}

absl::StatusOr<std::string> DefaultStateFolder(const std::string& job_name) {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && state[0] == '/') {
    return absl::StrCat(state, "/carousel/", job_name);
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
    return absl::StrCat(home, "/.local/state/carousel/", job_name);
  }
  return absl::FailedPreconditionError(
      "HOME is not set, so there is no place for the job's state; name one with --state DIR");
}

}  // namespace carousel
