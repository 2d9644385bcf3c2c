// The verbs of `carousel`. Each adds its subcommand to `app`, with options, help and examples, and
// sets program->run when it is chosen. One file a verb.
#pragma once

#include <CLI/CLI.hpp>

#include "coordinator/cli/program.h"

namespace carousel {

void AddLocal(CLI::App* app, Program* program);
void AddSubmit(CLI::App* app, Program* program);
void AddWatch(CLI::App* app, Program* program);

}  // namespace carousel
