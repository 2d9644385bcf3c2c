// What a number on the command line may be. Each is a check of CLI11, whose message names the value
// and the limit (CLI11 puts the option before it); --help shows the limit.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace carousel {

inline constexpr int64_t kMaxThreads = 1024;
inline constexpr int64_t kMaxTokens = int64_t{1} << 40;  // of an evaluation or a sample
inline constexpr int64_t kMaxSteps = 1'000'000'000;      // of a job

// Decimal digits alone: nothing is read as octal, and nothing is cut off.
CLI::Validator WholeNumber(int64_t least, int64_t most);

// Finite.
CLI::Validator Number(double least, double most);

// More than 0 and at most a year, so that the moment when they are over can be told.
CLI::Validator Seconds();

// As a job file writes steps: 600, 10k.
CLI::Validator Steps();

}  // namespace carousel
