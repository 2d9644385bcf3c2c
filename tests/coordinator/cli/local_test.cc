// `carousel local` through the real binaries: whatever happens on the way, the same state in the
// end.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/coordinator/cli/carousel_process.h"

namespace carousel {
namespace {

using nlohmann::json;

class Local : public testing::Test {
 protected:
  std::vector<std::string> Command(const std::string& state, const std::string& workers,
                                   const std::string& steps) const {
    return {"local", job_,      "--workers",     workers, "--steps",
            steps,   "--state", folder_ / state, "-o",    "json"};
  }
  static json Result(const Finished& finished) {
    EXPECT_FALSE(finished.out.empty()) << finished.err;
    return json::parse(finished.out, nullptr, false);
  }
  // Worker `number`'s process, found by its state folder.
  static pid_t WorkerProcess(const std::string& folder) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "cmdline");
      std::string line((std::istreambuf_iterator<char>(file)), {});
      if (line.find("worker/worker") != line.npos && line.find(folder + '\0') != line.npos) {
        return std::stoi(entry.path().filename());
      }
    }
    return -1;
  }

  // Interrupts `command` while `program`, a sleeping one of that name, starts.
  json ResultOfInterruptedStart(const std::vector<std::string>& command,
                                const std::string& program) const {
    const std::string path = folder_ / ("bin/" + program), started = path + "-started";
    std::ofstream(path) << "#!/bin/sh\ntouch " << started << "\nexec sleep 600\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    CarouselProcess run(command);
    while (!std::filesystem::exists(started) && run.Running()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    run.Signal(SIGINT);
    const Finished stopped = run.Wait();
    EXPECT_EQ(stopped.code, 130) << stopped.err;
    const json result = Result(stopped);
    EXPECT_NE(stopped.err.find(result["resume"].get<std::string>()), std::string::npos)
        << stopped.err;
    return result;
  }

  TemporaryFolder folder_;
  const std::string job_ = WriteTinyJob(folder_ / "tiny.yaml");
};

TEST_F(Local, TrainsReportsAndRefusesAnotherContract) {
  // Given a job that is done,
  const Finished done = RunCarousel(Command("s", "2", "3"));
  ASSERT_EQ(done.code, 0) << done.err;
  const json result = Result(done);
  EXPECT_EQ(result["state"], "done");
  EXPECT_EQ(result["step"], 3);
  EXPECT_EQ(result["state_digest"].get<std::string>().size(), 32);
  EXPECT_GT(result["tokens"], 0);
  EXPECT_GT(result["loss"], 0);

  // when it is started again, then it is reported, the same;
  const Finished again = RunCarousel(Command("s", "1", "3"));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(Result(again)["state_digest"], result["state_digest"]);

  // when another contract is, then the difference is named;
  const Finished other = RunCarousel(Command("s", "1", "5"));
  EXPECT_EQ(other.code, 7);
  EXPECT_NE(other.err.find("steps: 5, but the stored job has 3"), std::string::npos) << other.err;
  EXPECT_NE(other.err.find("--state"), std::string::npos);
  EXPECT_EQ(other.err.rfind("carousel: the state folder", 0), 0) << other.err;

  // and it can be looked at and used without being run.
  const Finished described = RunCarousel({"describe", "--state", folder_ / "s", "-o", "json"});
  EXPECT_EQ(Result(described)["state_digest"], result["state_digest"]);
}

TEST_F(Local, GeneratesWhatTheSeedSays) {
  ASSERT_EQ(RunCarousel(Command("s", "1", "3")).code, 0);
  const auto text = [&](const std::string& seed) {
    const Finished said = RunCarousel({"generate", "--state", folder_ / "s", "--prompt", "abc",
                                       "--max-tokens", "20", "--seed", seed});
    EXPECT_EQ(said.code, 0) << said.err;
    return said.out;
  };
  const std::string one = text("1");
  EXPECT_EQ(one.rfind("abc", 0), 0) << one;
  EXPECT_GT(one.size(), std::string("abc\n").size() + 10) << one;
  EXPECT_EQ(text("1"), one);
  EXPECT_NE(text("2"), one);
}

TEST_F(Local, TheTestBackendGivesTheSameBits) {
  std::vector<std::string> command = Command("test", "2", "3");
  command.insert(command.end(), {"--backend", "test"});
  const json late = Result(RunCarousel(command));
  ASSERT_EQ(late["state"], "done");
  EXPECT_EQ(late["state_digest"], Result(RunCarousel(Command("cpu", "1", "3")))["state_digest"]);
}

TEST_F(Local, GoesOnWhereTheDatasetLiesNowAndByTheNewCheckpointPolicy) {
  // Given what a job comes to, and the same job interrupted,
  const std::string job = WriteTinyJob(folder_ / "job.yaml", "dataset: here");
  std::string dataset = BuildTinyDataset(folder_ / "here");
  const auto command = [&](const std::string& state, const std::string& every) {
    std::vector<std::string> words = Command(state, "2", "300");
    words[1] = job;
    words.insert(words.end(), {"--set", "data.dataset=" + dataset});
    words.insert(words.end(), {"--set", "checkpoint.every_steps=" + every});
    return words;
  };
  const json whole = Result(RunCarousel(command("whole", "0")));
  ASSERT_EQ(whole["state"], "done");
  CarouselProcess first(command("s", "0"));
  ASSERT_TRUE(first.WaitForError("step ")) << first.Wait().err;
  first.Signal(SIGINT);
  const json at = Result(first.Wait());
  ASSERT_EQ(at["state"], "paused");

  // when the dataset is moved, and another policy wanted,
  dataset = folder_ / "there";
  std::filesystem::rename(folder_ / "here", dataset);
  const Finished last = RunCarousel(command("s", "7"));

  // then it goes on to the same bits, under that policy.
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(Result(last)["state_digest"], whole["state_digest"]);
  EXPECT_EQ(Result(last)["spec"]["checkpoint"]["every_steps"], 7);
  const Finished listed =
      RunCarousel({"get", "checkpoints", "--state", folder_ / "s", "-o", "json"});
  const json checkpoints = Result(listed);
  ASSERT_EQ(checkpoints.size(), 3) << listed.out;
  EXPECT_EQ(checkpoints[1]["step"], 294);
  EXPECT_EQ(checkpoints[2]["step"], 287);
}

TEST_F(Local, InterruptedWhileItStartsItSaysHowToGoOn) {
  // Given a job that was interrupted, hence has a checkpoint,
  const std::vector<std::string> command = Command("s", "1", "300");
  CarouselProcess first(command);
  ASSERT_TRUE(first.WaitForError("step ")) << first.Wait().err;
  first.Signal(SIGINT);
  const json at = Result(first.Wait());
  ASSERT_EQ(at["state"], "paused");

  const std::string root = std::filesystem::current_path();
  std::filesystem::create_directory(folder_ / "bin");
  setenv("CAROUSEL_BIN_DIR", (folder_ / "bin").c_str(), 1);

  // when it is interrupted while its worker starts, then its state is what it was;
  std::filesystem::create_symlink(root + "/coordinator/coordinator", folder_ / "bin/coordinator");
  const json worker = ResultOfInterruptedStart(command, "worker");
  EXPECT_EQ(worker["job"], at["job"]);
  EXPECT_EQ(worker["state"], "paused");
  EXPECT_EQ(worker["step"], at["step"]);
  EXPECT_EQ(worker["state_digest"], at["state_digest"]);

  // when it is while the coordinator starts, then it is not known.
  std::filesystem::remove(folder_ / "bin/coordinator");
  const json coordinator = ResultOfInterruptedStart(command, "coordinator");
  EXPECT_TRUE(coordinator["job"].is_null());
  EXPECT_EQ(coordinator["state"], "paused");
  EXPECT_TRUE(coordinator["step"].is_null());
  unsetenv("CAROUSEL_BIN_DIR");
}

TEST_F(Local, InterruptedKilledAndContinuedGivesTheSameBits) {
  // Given what an undisturbed run comes to,
  const std::string steps = "300";
  const json whole = Result(RunCarousel(Command("whole", "1", steps)));
  ASSERT_EQ(whole["state"], "done");

  // when a run is interrupted,
  CarouselProcess first(Command("s", "3", steps));
  ASSERT_TRUE(first.WaitForError("step ")) << first.Wait().err;
  first.Signal(SIGINT);
  const Finished paused = first.Wait();
  // then it is paused at a checkpoint and says how to go on;
  ASSERT_EQ(paused.code, 130) << paused.err;
  const json at = Result(paused);
  EXPECT_EQ(at["state"], "paused");
  EXPECT_EQ(at["step"], at["committed_step"]);
  EXPECT_GT(at["step"], 0);
  EXPECT_NE(paused.err.find(at["resume"].get<std::string>()), std::string::npos) << paused.err;

  // while it runs on, nobody else may have the folder;
  CarouselProcess second(Command("s", "2", steps));
  ASSERT_TRUE(second.WaitForError("step ")) << second.Wait().err;
  const Finished intruder = RunCarousel(Command("s", "1", steps));
  EXPECT_EQ(intruder.code, 7);
  EXPECT_NE(intruder.err.find("is in use by process"), std::string::npos) << intruder.err;
  // when it is killed, its children go with it,
  second.Signal(SIGKILL);
  EXPECT_EQ(second.Wait().code, 128 + SIGKILL);

  // and the same command, on one worker, comes to the same state.
  const Finished last = RunCarousel(Command("s", "1", steps));
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(Result(last)["state_digest"], whole["state_digest"]);
}

TEST_F(Local, AResumeThatWaitsForWorkersEndsWhenOneFalls) {
  // Given a job that is paused, and a second worker that takes no stage,
  std::vector<std::string> command = Command("s", "2", "300");
  command.insert(command.end(), {"--set", "pipeline.stages=2"});
  CarouselProcess first(command);
  ASSERT_TRUE(first.WaitForError("step ")) << first.Wait().err;
  first.Signal(SIGINT);
  ASSERT_EQ(Result(first.Wait())["state"], "paused");
  const std::string root = std::filesystem::current_path(), worker = folder_ / "bin/worker";
  std::filesystem::create_directory(folder_ / "bin");
  std::filesystem::create_symlink(root + "/coordinator/coordinator", folder_ / "bin/coordinator");
  std::ofstream(worker)
      << "#!/bin/sh\ncase \"$*\" in *worker-1*) set -- \"$@\" --serve-only;; esac\n"
      << "exec " << root << "/worker/worker \"$@\"\n";
  std::filesystem::permissions(worker, std::filesystem::perms::owner_all);
  setenv("CAROUSEL_BIN_DIR", (folder_ / "bin").c_str(), 1);

  // when that one dies while the job waits for it, then the job is paused, and that said.
  CarouselProcess second(command);
  ASSERT_TRUE(second.WaitForError("resuming ")) << second.Wait().err;
  kill(WorkerProcess(folder_ / "s/worker-1"), SIGKILL);
  const Finished fallen = second.Wait();
  EXPECT_EQ(fallen.code, 104) << fallen.err;
  EXPECT_EQ(Result(fallen)["state"], "paused");
  EXPECT_NE(fallen.err.find("was killed by signal 9"), std::string::npos) << fallen.err;

  // when it is interrupted instead, then it is paused at once.
  CarouselProcess third(command);
  ASSERT_TRUE(third.WaitForError("resuming ")) << third.Wait().err;
  third.Signal(SIGINT);
  EXPECT_EQ(third.Wait().code, 130);
  unsetenv("CAROUSEL_BIN_DIR");
}

TEST_F(Local, SaysWhichWorkerFellAndGoesOnAfterwards) {
  CarouselProcess run(Command("s", "2", "2000"));
  ASSERT_TRUE(run.WaitForError("step ")) << run.Wait().err;

  const pid_t victim = WorkerProcess(folder_ / "s/worker-1");
  ASSERT_GT(victim, 0);
  kill(victim, SIGKILL);

  const Finished fallen = run.Wait();
  EXPECT_EQ(fallen.code, 104) << fallen.err;
  EXPECT_EQ(Result(fallen)["state"], "paused");
  EXPECT_NE(
      fallen.err.find("worker-1 (process " + std::to_string(victim) + ") was killed by signal 9"),
      std::string::npos)
      << fallen.err;
  EXPECT_NE(fallen.err.find("Go on with:"), std::string::npos) << fallen.err;
}

}  // namespace
}  // namespace carousel
