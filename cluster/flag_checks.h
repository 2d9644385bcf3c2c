// What a value on a command line may be. Each is a check of CLI11, whose message names the value
// and the limit (CLI11 puts the option before it); --help shows the limit.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace carousel {

inline constexpr int64_t kMaxThreads = 1024;  // of a process

// Decimal digits alone: nothing is read as octal, and nothing is cut off.
CLI::Validator WholeNumber(int64_t least, int64_t most);

// Finite.
CLI::Validator Number(double least, double most);

// More than 0 and at most a year, so that the moment when they are over can be told.
CLI::Validator Seconds();

// Of a job, as its file writes them: 600, 10k.
CLI::Validator Steps();

// PATH=VALUE, as --set takes it (cluster/job/overrides.h); the path begins with `allowed`.
CLI::Validator Assignment(const std::string& allowed = "");

}  // namespace carousel
