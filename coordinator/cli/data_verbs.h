// The verbs under `carousel data`: datasets as files, without a coordinator. One file a verb.
#pragma once

#include <CLI/CLI.hpp>

#include "coordinator/cli/program.h"

namespace carousel {

void AddDataBuild(CLI::App* data, Program* program);
void AddDataInspect(CLI::App* data, Program* program);
void AddDataVerify(CLI::App* data, Program* program);
void AddDataBaseline(CLI::App* data, Program* program);

}  // namespace carousel
