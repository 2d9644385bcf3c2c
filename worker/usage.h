// What a program says about a command line that it cannot take:
//
//   worker: not expected: "--thread"; did you mean "--threads"?
//   `worker --help` shows what it takes
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace carousel {

// `problem` as the parser or a check words it. `unexpected`: words that mean nothing to the
// program, if that is the problem; `flags`: those that it knows, "--threads".
std::string UsageMessage(std::string_view program, std::string_view problem,
                         const std::vector<std::string>& unexpected = {},
                         const std::vector<std::string>& flags = {});

}  // namespace carousel
