// What the world can be in the way of: each is refused with words that name the culprit and the way
// out, and nothing half-done is left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <cstring>

#include "tests/crash/small_service.h"

namespace carousel {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr auto kSoon = std::chrono::seconds(20);

// It ends by itself, with this code, and says all of this on stderr.
void ExpectRefused(const std::vector<std::string>& words, int code,
                   const std::vector<std::string>& said) {
  const Finished refused = Program(words).Wait(kSoon);
  EXPECT_EQ(refused.code, code) << refused.err;
  for (const std::string& text : said) EXPECT_THAT(refused.err, HasSubstr(text));
}

TEST(Refusal, APortThatIsInUse) {
  const TemporaryFolder folder;
  SmallService service;
  ExpectRefused(SmallService::CoordinatorWords(service.address(), folder / "other"), 1,
                {service.address(), "in use", "--listen"});

  std::vector<std::string> worker = service.WorkerWords(folder / "worker");
  worker.insert(worker.end(), {"--listen", service.address()});
  ExpectRefused(worker, 1, {service.address(), "in use", "--listen"});
}

TEST(Refusal, AFolderThatIsInUse) {
  SmallService service;
  service.StartWorkers(1);
  ExpectRefused(SmallService::CoordinatorWords("127.0.0.1:0", service.CoordinatorFolder()), 1,
                {service.CoordinatorFolder(), "in use"});
  ExpectRefused(service.WorkerWords(service.WorkerFolder(0)), 1,
                {service.WorkerFolder(0), "in use"});
  EXPECT_TRUE(service.Alive(0)) << "those who were there first are unharmed";
}

TEST(Refusal, AFolderOfAnotherCluster) {
  SmallService one, two;
  two.StartWorkers(1);
  two.worker(0).Kill();
  const std::string moved = two.WorkerFolder(0);
  ExpectRefused(one.WorkerWords(moved), 1,
                {two.WorkerId(0), "has the store of cluster", "another --state"});
  ExpectRefused(SmallService::CoordinatorWords("127.0.0.1:0", moved), 1,
                {moved, "store of a worker", "another state folder"});
  two.StartWorker(0);  // and it is still its own cluster's
}

TEST(Refusal, AnotherContractOnTheFolderOfAJob) {
  const TemporaryFolder folder;
  const std::string job = WriteCrashJob(folder / "job.yaml"), state = folder / "state";
  const std::vector<std::string> local = {"local",   job,   "--workers", "2",
                                          "--state", state, "-o",        "json"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = local;
    words.insert(words.end(), more.begin(), more.end());
    return Carousel(words);
  };
  ASSERT_EQ(RunToEnd(with({"--steps", "3"})).code, 0);

  ExpectRefused(with({"--steps", "5"}), 7,
                {state, "steps: 5, but the stored job has 3", "--state"});
  ExpectRefused(with({"--steps", "3", "--set", "learning_rate.peak=1e-4"}), 7,
                {state, "learning_rate.peak", "--state"});
  const nlohmann::json jobs = nlohmann::json::parse(
      RunToEnd(Carousel({"get", "jobs", "--state", state, "-o", "json"})).out, nullptr, false);
  EXPECT_EQ((jobs.is_object() ? jobs["jobs"] : jobs).size(), 1) << jobs;
  EXPECT_EQ(RunToEnd(with({"--steps", "3"})).code, 0) << "the job that was there is as it was";
}

TEST(Refusal, ACommandLineOfAWorkerThatMakesNoSense) {
  const TemporaryFolder folder;
  const std::vector<std::string> good = {Binary("worker/worker"), "--coordinator", "127.0.0.1:1",
                                         "--state", folder / "worker"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = good;
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  ExpectRefused({Binary("worker/worker")}, 2, {"--coordinator is required"});
  ExpectRefused(with({"--thread", "2"}), 2, {"--thread"});
  ExpectRefused(with({"--threads", "none"}), 2, {"--threads", "none"});
  ExpectRefused(with({"--threads", "0"}), 2, {"--threads", "0", "1024"});
  ExpectRefused(with({"--backend", "gpu"}), 2, {"--backend", "gpu", "cpu"});
  ExpectRefused(with({"here"}), 2, {"here"});
  ExpectRefused(with({"--listen", "0.0.0.0:0", "--insecure"}), 2, {"--listen=0.0.0.0:0"});
  ExpectRefused({Binary("worker/worker"), "--coordinator", "here", "--state", folder / "worker"}, 2,
                {"--coordinator=here is not host:port"});
  EXPECT_FALSE(fs::exists(folder / "worker")) << "nothing half-done is left";

  const std::string train_local = Binary("worker/train_local");
  ExpectRefused({train_local}, 2, {"FILE"});
  ExpectRefused({train_local, "a.yaml", "b.yaml"}, 2, {"b.yaml"});
  ExpectRefused({train_local, "a.yaml", "--backend", "gpu"}, 2, {"--backend", "gpu", "cpu"});
  for (const std::string program : {"worker/worker", "worker/train_local"}) {
    const Finished help = RunToEnd({Binary(program), "--help"});
    EXPECT_EQ(help.code, 0) << program;
    EXPECT_THAT(help.out, HasSubstr("--threads")) << program;
  }
}

TEST(Refusal, ACoordinatorThatIsNotThereIsSaidByTheWorkerThatLooksForIt) {
  const TemporaryFolder folder;
  Program worker({Binary("worker/worker"), "--coordinator", "127.0.0.1:1", "--serve-only",
                  "--state", folder / "worker"});

  EXPECT_TRUE(worker.WaitForErr("cannot attach to the coordinator at 127.0.0.1:1")) << worker.err();
  EXPECT_TRUE(worker.Running()) << "it may come";
}

// A name space of mounts for this process and its children; false if that is not permitted. Must
// come before any thread.
bool MayMount() {
  static const bool may = [] {
    const std::string uid = std::to_string(getuid()), gid = std::to_string(getgid());
    const auto write = [](const std::string& path, const std::string& text) {
      std::ofstream(path) << text << std::flush;
    };
    if (unshare(CLONE_NEWNS) != 0) {
      if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
      write("/proc/self/setgroups", "deny");
      write("/proc/self/uid_map", "0 " + uid + " 1");
      write("/proc/self/gid_map", "0 " + gid + " 1");
    }
    return mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }();
  return may;
}

class SmallDisk {
 public:
  SmallDisk() {
    mounted_ = MayMount() && mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=64m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(folder_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  std::string operator/(const std::string& name) const { return folder_ / name; }

  bool MakeReadOnly() const {
    return mount("none", folder_.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  }
  // Leaves about this much.
  void FillUp(uint64_t bytes) const {
    const int file = open((folder_ / "ballast").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(file, 0);
    EXPECT_EQ(
        posix_fallocate(file, 0, static_cast<off_t>(fs::space(folder_.path()).available - bytes)),
        0);
    close(file);
  }
  void Free() const { fs::remove(folder_ / "ballast"); }

 private:
  TemporaryFolder folder_;
  bool mounted_ = false;
};

TEST(Refusal, ADiskThatIsReadOnly) {
  const SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "no file system may be mounted here: " << strerror(errno);
  const TemporaryFolder folder;
  const std::string job = WriteCrashJob(folder / "job.yaml");
  ASSERT_TRUE(disk.MakeReadOnly());

  ExpectRefused(Carousel({"local", job, "--state", disk / "state"}), 1,
                {disk / "state", "Read-only file system"});
  ExpectRefused(SmallService::CoordinatorWords("127.0.0.1:0", disk / "coordinator"), 1,
                {disk / "coordinator", "Read-only file system"});
}

TEST(Refusal, ADiskThatIsFull) {
  const SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "no file system may be mounted here: " << strerror(errno);
  const TemporaryFolder folder;
  const std::string job = WriteCrashJob(folder / "job.yaml");
  const std::vector<std::string> local =
      Carousel({"local", job, "--workers", "2", "--state", disk / "state", "-o", "json"});

  // Given a job that runs and a disk that fills up meanwhile,
  Program run(local);
  ASSERT_TRUE(run.WaitForErr("step ")) << run.err();
  disk.FillUp(1 << 20);
  // then it ends, and says what is to be done,
  const Finished full = run.Wait();
  EXPECT_THAT(full.code, testing::AnyOf(1, 100, 104)) << full.err;
  EXPECT_THAT(full.err,
              AllOf(HasSubstr(disk / "state"), HasSubstr("disk full"), HasSubstr("free space")));

  // and after that has been done, the same command finishes it with the same bits.
  disk.Free();
  const Finished done = RunToEnd(local);
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(Answer(done)["state_digest"], UndisturbedDigest());
}

// Nobody has to wait for the next checkpoint to learn that the one before failed.
TEST(Refusal, ADiskThatIsFullWhereCheckpointsAreRare) {
  const SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "no file system may be mounted here: " << strerror(errno);
  const TemporaryFolder folder;
  const std::string job = WriteCrashJob(folder / "job.yaml", "{every_seconds: 2}");
  Program run(Carousel({"local", job, "--workers", "2", "--steps", "100000", "--state",
                        disk / "state", "-o", "json"}));
  ASSERT_TRUE(run.WaitForErr("step ")) << run.err();
  disk.FillUp(1 << 20);

  const Finished full = run.Wait();

  EXPECT_THAT(full.code, testing::AnyOf(1, 100, 104)) << full.err;
  EXPECT_THAT(full.err, AllOf(HasSubstr(disk / "state"), HasSubstr("disk full")));
}

}  // namespace
}  // namespace carousel
