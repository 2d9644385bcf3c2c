#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/data/printable.h"
#include "cluster/job/job_file.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/figures.h"
#include "coordinator/cli/message_json.h"
#include "coordinator/cli/server_options.h"
#include "coordinator/cli/verbs.h"

namespace carousel {
namespace {

struct DescribeOptions {
  ServerOptions server;
  std::string job;
};

void PrintStages(const Job& job) {
  if (job.stages().empty()) return;
  std::printf("\n");
  Table table({"STAGE", "WORKER", "UNITS", "BUSY", "WAITING", "MEMORY"});
  for (int i = 0; i < job.stages_size(); ++i) {
    const StageStatus& stage = job.stages(i);
    table.AddRow({absl::StrCat(i), stage.worker(),
                  absl::StrCat(stage.first_unit(), "-", stage.end_unit() - 1),
                  Percent(stage.busy_ratio()), Percent(stage.wait_ratio()),
                  Bytes(static_cast<double>(stage.bytes()))});
  }
  table.Print();
}

void PrintJob(const Job& job) {
  std::vector<std::pair<std::string, std::string>> fields = {{"job", job.job()},
                                                             {"state", JobState_Name(job.state())}};
  if (!job.reason().empty()) {
    fields.emplace_back("reason", Printable(job.reason()));
  }
  fields.emplace_back("progress", ProgressText(job));
  if (job.step() > 0) {
    fields.emplace_back("gradient", absl::StrFormat("norm %.4g, learning rate %.4g",
                                                    job.grad_norm(), job.learning_rate()));
    fields.emplace_back("state digest", job.state_digest());
  }
  fields.emplace_back("checkpoint", job.committed_step() < 0
                                        ? "none yet"
                                        : absl::StrCat("of step ", job.committed_step()));
  if (!job.stages().empty()) {
    fields.emplace_back("pipeline", absl::StrCat(PlanText(job), "; ", BubbleText(job)));
  }
  fields.emplace_back("submitted", TimeOfDay(job.submitted_at()));
  fields.emplace_back("contract", job.contract());
  PrintFields(fields);
  PrintStages(job);
  std::printf("\n%s", JobToYaml(job.spec()).c_str());
  std::fflush(stdout);
}

Outcome Describe(const Program& program, const DescribeOptions& options) {
  CAROUSEL_ASSIGN_OR_RETURN(const Served served, Serve(program, options.server, false));
  JobRequest request;
  CAROUSEL_ASSIGN_OR_RETURN(*request.mutable_job(), OnlyJob(served.client(), options.job));
  CAROUSEL_ASSIGN_OR_RETURN(const Job job,
                            served.client().Call(&Coordinator::Stub::GetJob, request));
  if (program.output == OutputFormat::kTable) {
    PrintJob(job);
  } else {
    PrintDocument(JobToJson(job), program.output);
  }
  return ExitCode::kOk;
}

}  // namespace

void AddDescribe(CLI::App* app, Program* program) {
  auto options = std::make_shared<DescribeOptions>();
  CLI::App* verb = app->add_subcommand("describe", "All there is to know about a job");
  verb->footer(
      "Examples:\n"
      "  carousel describe smoke-1\n"
      "  carousel describe smoke-1 -o json | jq -r .state_digest\n"
      "  carousel describe --state ~/.local/state/carousel/smoke");
  verb->add_option("JOB", options->job, "id of the job; may be left out if there is only one")
      ->type_name("");
  AddServerOptions(verb, program, &options->server);
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return Describe(*program, *options); }; });
}

}  // namespace carousel
