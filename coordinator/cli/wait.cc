#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cluster/data/printable.h"
#include "cluster/flag_checks.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/figures.h"
#include "coordinator/cli/message_json.h"
#include "coordinator/cli/verbs.h"

namespace carousel {
namespace {

struct WaitOptions {
  std::string job;
  double timeout = 0;
};

// ": worker w2 was lost", or nothing.
std::string WhyText(const Job& job) {
  return job.reason().empty() ? "" : ": " + Printable(job.reason());
}

Outcome Wait(const Program& program, const WaitOptions& options) {
  CAROUSEL_ASSIGN_OR_RETURN(const auto client, Connect(program));
  grpc::ClientContext context;
  Client::SetDeadline(options.timeout, &context);
  JobRequest request;
  request.set_job(options.job);
  Job last;
  const auto reader = client->stub().WatchJob(&context, request);
  const absl::Status status = ReadAll<Job>(*client, &context, reader.get(), [&](const Job& job) {
    last = job;
    return true;
  });
  if (absl::IsDeadlineExceeded(status) && !last.job().empty()) {
    return absl::DeadlineExceededError(absl::StrCat(
        "after ", options.timeout, " s ", options.job, " is still ", JobState_Name(last.state()),
        ", at step ", last.step(), " of ", last.steps(), WhyText(last)));
  }
  CAROUSEL_RETURN_IF_ERROR(status);
  if (program.output != OutputFormat::kTable) {
    PrintDocument(JobToJson(last), program.output);
  } else {
    std::printf("%s is %s%s (%s)\n", last.job().c_str(), JobState_Name(last.state()).c_str(),
                WhyText(last).c_str(), ProgressText(last).c_str());
    std::fflush(stdout);
    if (last.state() != DONE) {
      std::fprintf(stderr, "`carousel resume %s%s` lets it go on\n", last.job().c_str(),
                   AtCoordinator(program).c_str());
    }
  }
  return ExitCodeOf(last.state());
}

}  // namespace

void AddWait(CLI::App* app, Program* program) {
  auto options = std::make_shared<WaitOptions>();
  CLI::App* verb = app->add_subcommand("wait", "Return when a job rests");
  verb->footer(
      "Exit codes: 0 done, 100 failed, 103 cancelled, 104 paused, 6 still at work after\n"
      "--timeout.\n\n"
      "Examples:\n"
      "  carousel wait smoke-1 && echo trained\n"
      "  carousel wait smoke-1 --timeout 3600 -o json");
  verb->add_option("JOB", options->job, "id of the job")->type_name("")->required();
  verb->add_option("--timeout", options->timeout, "seconds to wait at most [no limit]")
      ->type_name("SECONDS")
      ->check(Seconds());
  AddCoordinatorOption(verb, program);
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return Wait(*program, *options); }; });
}

}  // namespace carousel
