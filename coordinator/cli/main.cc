// carousel: what people type.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cluster/job/faults.h"
#include "cluster/version.h"
#include "coordinator/cli/verbs.h"

namespace carousel {
namespace {

constexpr char kFooter[] =
    "Start here:\n"
    "  carousel local cluster/jobs/smoke.yaml      a whole run on this machine\n"
    "With a coordinator and workers running:\n"
    "  carousel submit job.yaml                    prints the job's id\n"
    "  carousel watch smoke-1\n"
    "Each verb has --help with examples. Exit codes: 0 ok, 1 error, 2 command line, 3 job\n"
    "or data invalid, 4 not found, 5 no coordinator, 6 timeout, 7 not possible now; of\n"
    "`wait`, `watch` and `local`: 100 failed, 103 cancelled, 104 paused, 130 interrupted.";

void AddVerbs(CLI::App* app, Program* program) {
  AddLocal(app, program);
  AddValidate(app, program);
  AddSubmit(app, program);
  AddWatch(app, program);
  AddWait(app, program);
  AddGet(app, program);
  AddDescribe(app, program);
  AddLogs(app, program);
  AddPause(app, program);
  AddResume(app, program);
  AddCancel(app, program);
  AddEval(app, program);
  AddGenerate(app, program);
  AddData(app, program);
  AddVersion(app, program);
}

std::string Message(const CLI::ParseError& error) {
  std::string message = error.what();
  while (!message.empty() && message.back() == '\n') message.pop_back();
  return message;
}

// The innermost subcommand that was reached, "carousel data build".
const CLI::App* Reached(const CLI::App* app, std::string* name) {
  *name = app->get_name();
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    *name += " " + app->get_name();
  }
  return app;
}

// The candidates that a wrong word may have meant: verbs or options.
std::string Suggestion(const CLI::App& app, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    std::vector<std::string> candidates;
    if (word.starts_with("--")) {
      for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) candidates.push_back("--" + name);
      }
    } else {
      for (const CLI::App* verb : app.get_subcommands({})) candidates.push_back(verb->get_name());
    }
    const std::string found = DidYouMean(word.substr(0, word.find('=')), candidates);
    if (!found.empty()) return "; " + found;
  }
  return "";
}

int ReportUsage(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help
  std::string name;
  const CLI::App* reached = Reached(&app, &name);
  const std::vector<std::string> rest = app.remaining(true);
  std::string message = Message(error);
  if (!rest.empty()) {
    const bool verb = !rest[0].starts_with("-") && !reached->get_subcommands({}).empty();
    message = (verb ? "there is no verb " : "not expected: ") + Quoted(rest[0]) +
              Suggestion(*reached, {rest[0]});
  }
  std::fprintf(stderr, "carousel: %s\n`%s --help` shows what it takes\n", message.c_str(),
               name.c_str());
  return static_cast<int>(ExitCode::kUsage);
}

// What was printed may not have come to where it should.
absl::Status FlushOutput() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return absl::OkStatus();
  return absl::InternalError("cannot write all of the output to stdout; is the disk full?");
}

int Finish(const Program& program, Outcome outcome) {
  const absl::Status flushed = FlushOutput();
  if (outcome.ok() && !flushed.ok()) outcome = flushed;
  if (outcome.ok()) return static_cast<int>(*outcome);
  const std::string message(outcome.status().message());
  std::fprintf(stderr, "carousel: %s\n", WithCoordinator(program, message).c_str());
  return static_cast<int>(ExitCodeOf(outcome.status()));
}

int Run(int argc, char** argv) {
  Program program;
  program.argv.assign(argv, argv + argc);
  if (const char* address = std::getenv("CAROUSEL_COORDINATOR"); address && *address) {
    program.usual_coordinator = program.coordinator = address;
  }
  CLI::App app(
      "Trains xLSTM language models, pipelined over workers, with the same bits on any of them.",
      "carousel");
  app.footer(kFooter);
  app.set_version_flag("--version", "carousel " + std::string(kVersion));
  app.require_subcommand(1);
  AddCoordinatorOption(&app, &program);
  AddVerbs(&app, &program);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ReportUsage(app, error);
  }
  return Finish(program, program.run());
}

}  // namespace
}  // namespace carousel

int main(int argc, char** argv) {
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);  // errors come back as statuses
  std::signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // in step with stderr, wherever both go
  return carousel::Run(argc, argv);
}
