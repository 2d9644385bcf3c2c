#include "cluster/data/text_input.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/stat.h>
#include <zstd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

std::string Compress(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  const size_t size = ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3);
  EXPECT_FALSE(ZSTD_isError(size));
  out.resize(size);
  return out;
}

std::string LongText() {
  std::string text;
  for (int i = 0; i < 200000; ++i) text += std::to_string(i * 7919 % 100003) + "\n";
  return text;
}

absl::StatusOr<std::string> ReadAll(const std::string& path) {
  auto input = TextInput::Open(path);
  if (!input.ok()) return input.status();
  std::string all;
  while (true) {
    auto piece = (*input)->Next();
    if (!piece.ok()) return piece.status();
    if (piece->empty()) break;
    all.append(*piece);
  }
  EXPECT_EQ((*input)->bytes_read(), static_cast<int64_t>(ReadText(path).size()));
  EXPECT_EQ((*input)->FileHash(), ContentHash(ReadText(path)));
  return all;
}

TEST(TextInputTest, PlainFilesComeAsTheyAre) {
  const std::string text = LongText();
  EXPECT_EQ(*ReadAll(WriteText(ScratchFolder() + "/a.txt", text)), text);
}

TEST(TextInputTest, ZstdFilesAreDecompressed) {
  const std::string text = LongText();
  EXPECT_EQ(*ReadAll(WriteText(ScratchFolder() + "/a.zst", Compress(text))), text);
}

TEST(TextInputTest, SeveralFramesAreOneText) {
  const std::string path = ScratchFolder() + "/a.zst";
  WriteText(path, Compress("one ") + Compress("") + Compress("two"));
  EXPECT_EQ(*ReadAll(path), "one two");
}

TEST(TextInputTest, AnEmptyFileIsAnEmptyText) {
  EXPECT_EQ(*ReadAll(WriteText(ScratchFolder() + "/a.txt", "")), "");
  EXPECT_EQ(*ReadAll(WriteText(ScratchFolder() + "/a.zst", "")), "");
}

TEST(TextInputTest, AFrameCutAnywhereIsAnError) {
  const std::string whole = Compress("some text that is not long, some text");
  const std::string path = ScratchFolder() + "/a.zst";
  for (size_t size = 1; size < whole.size(); ++size) {
    WriteText(path, whole.substr(0, size));
    ExpectError(ReadAll(path).status(), absl::StatusCode::kInvalidArgument, {"a.zst", "cut short"});
  }
}

TEST(TextInputTest, ALongFileCutAtItsMiddleIsAnError) {
  const std::string whole = Compress(LongText());
  const std::string path = ScratchFolder() + "/a.zst";
  WriteText(path, whole.substr(0, whole.size() / 2));
  ExpectError(ReadAll(path).status(), absl::StatusCode::kInvalidArgument, {"a.zst", "cut short"});
}

TEST(TextInputTest, WhatIsNoZstdIsAnError) {
  const std::string path = WriteText(ScratchFolder() + "/a.zst", "this is plain text");
  ExpectError(ReadAll(path).status(), absl::StatusCode::kInvalidArgument,
              {"a.zst", "not valid zstd"});
}

TEST(TextInputTest, InputsAreLookedAtBeforeWorkBegins) {
  const std::string folder = ScratchFolder();
  EXPECT_EQ(*CheckInputFile(WriteText(folder + "/a.txt", "12345")), 5);
  ExpectError(CheckInputFile(folder + "/none.txt").status(), absl::StatusCode::kNotFound,
              {"none.txt"});
  ExpectError(CheckInputFile(folder).status(), absl::StatusCode::kInvalidArgument, {"is a folder"});
}

TEST(TextInputTest, APipeIsReadToItsEndThoughItsWriterComesLate) {
  const std::string pipe = ScratchFolder() + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const auto input = TextInput::Open(pipe);
  ASSERT_TRUE(input.ok()) << input.status();

  std::thread writer([&] { WriteText(pipe, "late but whole"); });
  std::string all;
  for (auto piece = (*input)->Next(); piece.ok() && !piece->empty(); piece = (*input)->Next()) {
    all.append(*piece);
  }
  writer.join();

  EXPECT_EQ(all, "late but whole");
}

// Ctrl-C did nothing while a pipe had no writer.
TEST(TextInputTest, WaitingForAPipeEndsAtASignal) {
  const std::string pipe = ScratchFolder() + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  struct sigaction caught = {}, before;
  caught.sa_handler = [](int) {};
  caught.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &caught, &before);

  std::atomic<bool> done{false};
  const pthread_t reader = pthread_self();
  std::thread impatient([&] {
    while (!done) {
      pthread_kill(reader, SIGUSR1);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  const auto input = TextInput::Open(pipe);
  ASSERT_TRUE(input.ok()) << input.status();
  const absl::Status end = (*input)->Next().status();
  done = true;
  impatient.join();
  sigaction(SIGUSR1, &before, nullptr);

  ExpectError(end, absl::StatusCode::kCancelled, {pipe, "interrupted"});
}

}  // namespace
}  // namespace carousel
