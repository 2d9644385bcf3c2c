// The verbs of `carousel`. Each adds its subcommand to `app`, with options, help and examples, and
// sets program->run when it is chosen. One file a verb.
#pragma once

#include <CLI/CLI.hpp>

#include "coordinator/cli/program.h"

namespace carousel {

void AddLocal(CLI::App* app, Program* program);
void AddValidate(CLI::App* app, Program* program);
void AddSubmit(CLI::App* app, Program* program);
void AddWatch(CLI::App* app, Program* program);
void AddWait(CLI::App* app, Program* program);
void AddGet(CLI::App* app, Program* program);
void AddDescribe(CLI::App* app, Program* program);
void AddLogs(CLI::App* app, Program* program);
void AddPause(CLI::App* app, Program* program);
void AddResume(CLI::App* app, Program* program);
void AddCancel(CLI::App* app, Program* program);
void AddEval(CLI::App* app, Program* program);
void AddGenerate(CLI::App* app, Program* program);
void AddData(CLI::App* app, Program* program);
void AddVersion(CLI::App* app, Program* program);

}  // namespace carousel
