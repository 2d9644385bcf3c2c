// The verbs under `carousel data`: datasets as files, without a coordinator. One file a verb.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "coordinator/cli/program.h"

namespace carousel {

void AddDataBuild(CLI::App* data, Program* program);
void AddDataImport(CLI::App* data, Program* program);
void AddDataInspect(CLI::App* data, Program* program);
void AddDataVerify(CLI::App* data, Program* program);
void AddDataBaseline(CLI::App* data, Program* program);

// --held-out-every and --held-out-block.
void AddHeldOutOptions(CLI::App* verb, int64_t* every, int64_t* block_tokens);

// The one value in the range of --held-out-every that leaves nothing to train on: a usage error.
absl::Status CheckHeldOutEvery(int64_t every);

// What has been made: `done` says how to people ("built"), `mark` stands in the document.
Outcome ReportDataset(const Program& program, const std::string& folder, const std::string& done,
                      const nlohmann::ordered_json& mark);

}  // namespace carousel
