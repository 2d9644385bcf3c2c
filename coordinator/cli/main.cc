// carousel: what people type.

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "cluster/usage.h"
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

// Has whoever read stdout left, as `head -1` does? The errno of the write that failed is long gone.
bool NobodyReads() {
  pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&out, 1, /*timeout=*/0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

// `code`, unless what was printed has not come to where it should.
Outcome WithOutput(ExitCode code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  if (NobodyReads()) return ExitCode::kError;  // they know
  return absl::InternalError("cannot write all of the output to stdout; is the disk full?");
}

int Finish(const Program& program, Outcome outcome) {
  if (outcome.ok()) outcome = WithOutput(*outcome);
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
  if (const std::optional<int> ended = ParseCommandLine(argc, argv, &app)) return *ended;
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
