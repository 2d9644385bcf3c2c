// The job that is interrupted in every way: 5 units of both kinds, 4 micro-batches, chunks with a
// short tail, about 2 s on one core. And what an undisturbed run of it comes to.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/crash/program.h"

namespace carousel {

inline std::string Binary(const std::string& path) {
  return std::filesystem::current_path().string() + "/" + path;
}

// Where `carousel local` finds the programs that it starts.
inline void ShareBinaries() {
  setenv("CAROUSEL_BIN_DIR", std::filesystem::current_path().c_str(), 1);
}

inline std::vector<std::string> Carousel(const std::vector<std::string>& arguments) {
  ShareBinaries();
  std::vector<std::string> words = {Binary("coordinator/cli/carousel")};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

inline Finished RunToEnd(const std::vector<std::string>& words) { return Program(words).Wait(); }

// The one object of `-o json`; a failure of the test if there is none.
inline nlohmann::json Answer(const Finished& finished) {
  nlohmann::json answer = nlohmann::json::parse(finished.out, nullptr, false);
  if (!answer.is_object()) {
    ADD_FAILURE() << "exit code " << finished.code << ", no JSON in '" << finished.out
                  << "'; stderr: " << finished.err;
    return nlohmann::json::object();
  }
  return answer;
}

inline std::string WriteCrashJob(const std::string& path,
                                 const std::string& checkpoint = "{every_steps: 4}") {
  std::ofstream(path) << "name: crash\n"
                         "model: {family: xlstm, vocab_size: 263, dim: 104, num_blocks: 3, "
                         "num_heads: 4, slstm_at: [1], slstm_num_heads: 4}\n"
                         "data: {synthetic: {seed: 7, tokens: 50k, mean_document_length: 60}, "
                         "sequence_length: 170, batch_size: 12}\n"
                         "learning_rate: {peak: 2e-3}\n"
                         "steps: 40\n"
                         "numerics: {micro_batch_size: 3, chunk_length: 32}\n"
                         "checkpoint: "
                      << checkpoint << "\n";
  return path;
}

// Computed once by train_local; checkpoints and pipeline wishes are not in it.
inline const std::string& UndisturbedDigest() {
  static const std::string digest = [] {
    const TemporaryFolder folder;
    const Finished whole =
        RunToEnd({Binary("worker/train_local"), WriteCrashJob(folder / "job.yaml"), "-o", "json"});
    return Answer(whole).value("state_digest", "train_local failed: " + whole.err);
  }();
  return digest;
}

}  // namespace carousel
