#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cluster/job/contract.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/verbs.h"

namespace carousel {
namespace {

Outcome Submit(const Program& program, const JobFileOptions& options) {
  SubmitJobRequest request;
  CAROUSEL_ASSIGN_OR_RETURN(*request.mutable_job(), LoadJob(options, /*look_at_data=*/true));
  CAROUSEL_ASSIGN_OR_RETURN(const auto client, Connect(program));
  CAROUSEL_ASSIGN_OR_RETURN(
      const SubmitJobResponse response,
      client->Ask(&Coordinator::Stub::SubmitJob, request, Client::kCallSeconds));
  if (program.output != OutputFormat::kTable) {
    PrintDocument({{"job", response.job()},
                   {"name", request.job().name()},
                   {"steps", request.job().steps()},
                   {"contract", ContractHash(request.job())}},
                  program.output);
    return ExitCode::kOk;
  }
  std::printf("%s\n", response.job().c_str());
  std::fflush(stdout);
  const std::string at = AtCoordinator(program);
  std::fprintf(stderr,
               "submitted; next:\n  carousel watch %s%s\n  carousel wait %s%s\n"
               "  carousel pause %s%s\n",
               response.job().c_str(), at.c_str(), response.job().c_str(), at.c_str(),
               response.job().c_str(), at.c_str());
  return ExitCode::kOk;
}

}  // namespace

void AddSubmit(CLI::App* app, Program* program) {
  auto options = std::make_shared<JobFileOptions>();
  CLI::App* verb =
      app->add_subcommand("submit", "Hand a job to the coordinator and return at once");
  verb->footer(
      "The job is resolved and checked here first, its dataset included.\n\n"
      "Examples:\n"
      "  carousel submit cluster/jobs/smoke.yaml\n"
      "  carousel submit job.yaml --steps 2000 --set pipeline.stages=4 -o json");
  AddJobFileOptions(verb, options.get());
  AddCoordinatorOption(verb, program);
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return Submit(*program, *options); }; });
}

}  // namespace carousel
