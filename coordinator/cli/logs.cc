#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "cluster/data/printable.h"
#include "cluster/flag_checks.h"
#include "cluster/log.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/verbs.h"

namespace carousel {
namespace {

struct LogsOptions {
  std::string job;
  int tail = 0;
  bool follow = false;
};

Outcome Logs(const Program& program, const LogsOptions& options) {
  CAROUSEL_ASSIGN_OR_RETURN(const auto client, Connect(program));
  LogsRequest request;
  request.set_job(options.job);
  request.set_tail(options.tail);
  request.set_follow(options.follow);
  grpc::ClientContext context;
  const auto reader = client->stub().StreamLogs(&context, request);
  CAROUSEL_RETURN_IF_ERROR(
      ReadAll<LogEntry>(*client, &context, reader.get(), [&](const LogEntry& entry) {
        if (program.output == OutputFormat::kTable) {
          std::printf("%s\n", Printable(entry.line()).c_str());
          std::fflush(stdout);
        } else {
          PrintNext({{"line", entry.line()}}, program.output);
        }
        return std::ferror(stdout) == 0;
      }));
  return ExitCode::kOk;
}

}  // namespace

void AddLogs(CLI::App* app, Program* program) {
  auto options = std::make_shared<LogsOptions>();
  CLI::App* verb = app->add_subcommand("logs", "What the coordinator and the workers said");
  verb->footer("The coordinator keeps its newest " + std::to_string(kLogLinesKept) +
               " lines since its start, also of what workers report\n"
               "to it. With -o json each line is an object with the field \"line\".\n\n"
               "Examples:\n"
               "  carousel logs                    of the coordinator itself and all jobs\n"
               "  carousel logs smoke-1 --tail 20 -f");
  verb->add_option("JOB", options->job, "id of the job; left out: everything")->type_name("");
  verb->add_option("--tail", options->tail, "so many of the newest lines [all that are kept]")
      ->type_name("N")
      ->check(WholeNumber(1, 1'000'000));
  verb->add_flag("-f,--follow", options->follow, "go on with new lines until interrupted");
  AddCoordinatorOption(verb, program);
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return Logs(*program, *options); }; });
}

}  // namespace carousel
