// How every program meets its command line. One that it cannot take is answered by
//
//   carousel: not expected: "--worker"; did you mean "--workers"?
//   `carousel local --help` shows what it takes
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace carousel {

// Parses. The exit code, if the program ends here: after --help or --version, or after a wrong
// command line, which is reported.
std::optional<int> ParseCommandLine(int argc, char** argv, CLI::App* app);

// Reports on stderr what is wrong with a command line that was parsed; ExitCode::kUsage.
int ReportUsage(const CLI::App& app, std::string_view problem);

// What both report. `problem` as the parser or a check words it; a word that means nothing to the
// program is more telling, and is named instead, with what it may have meant.
std::string UsageMessage(const CLI::App& app, std::string_view problem);

}  // namespace carousel
