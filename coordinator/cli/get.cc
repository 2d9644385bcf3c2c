#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cluster/counted.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/figures.h"
#include "coordinator/cli/message_json.h"
#include "coordinator/cli/server_options.h"
#include "coordinator/cli/verbs.h"

namespace carousel {
namespace {

using nlohmann::ordered_json;

struct GetOptions {
  ServerOptions server;
  std::string job;  // of checkpoints
};

// Prints rows as a table, or the messages as a list.
template <typename Messages, typename Row, typename Json>
void PrintList(const Program& program, const Messages& messages, std::vector<std::string> header,
               Row row, Json json) {
  if (program.output != OutputFormat::kTable) {
    ordered_json list = ordered_json::array();
    for (const auto& message : messages) list.push_back(json(message));
    return PrintDocument(list, program.output);
  }
  Table table(std::move(header));
  for (const auto& message : messages) table.AddRow(row(message));
  table.Print();
}

Outcome GetJobs(const Program& program, const GetOptions& options) {
  CAROUSEL_ASSIGN_OR_RETURN(const Served served, Serve(program, options.server, false));
  CAROUSEL_ASSIGN_OR_RETURN(const ListJobsResponse jobs,
                            served.client().Call(&Coordinator::Stub::ListJobs, ListJobsRequest()));
  const auto row = [](const Job& job) -> std::vector<std::string> {
    return {job.job(),
            JobState_Name(job.state()),
            absl::StrCat(job.step(), "/", job.steps()),
            job.step() > 0 ? LossText(job.loss()) : "-",
            Grouped(job.tokens()),
            job.committed_step() < 0 ? "-" : absl::StrCat(job.committed_step()),
            TimeOfDay(job.submitted_at())};
  };
  PrintList(program, jobs.jobs(),
            {"JOB", "STATE", "STEP", "LOSS", "TOKENS", "CHECKPOINT", "SUBMITTED"}, row, JobToJson);
  return ExitCode::kOk;
}

Outcome GetNodes(const Program& program, const GetOptions&) {
  CAROUSEL_ASSIGN_OR_RETURN(const auto client, Connect(program));
  CAROUSEL_ASSIGN_OR_RETURN(const ListNodesResponse nodes,
                            client->Call(&Coordinator::Stub::ListNodes, ListNodesRequest()));
  const auto row = [](const Node& node) -> std::vector<std::string> {
    return {node.worker(),
            node.alive() ? "ALIVE" : "LOST",
            node.address(),
            node.backend(),
            absl::StrCat(node.threads()),
            Duration(node.seconds_since_heard()) + " ago",
            node.job().empty() ? "-" : node.job()};
  };
  PrintList(program, nodes.nodes(),
            {"WORKER", "STATE", "ADDRESS", "BACKEND", "THREADS", "LAST HEARD", "JOB"}, row,
            ToJsonDocument);
  return ExitCode::kOk;
}

Outcome GetCheckpoints(const Program& program, const GetOptions& options) {
  CAROUSEL_ASSIGN_OR_RETURN(const Served served, Serve(program, options.server, false));
  JobRequest request;
  CAROUSEL_ASSIGN_OR_RETURN(*request.mutable_job(), OnlyJob(served.client(), options.job));
  CAROUSEL_ASSIGN_OR_RETURN(const ListCheckpointsResponse checkpoints,
                            served.client().Call(&Coordinator::Stub::ListCheckpoints, request));
  const auto row = [](const Checkpoint& checkpoint) -> std::vector<std::string> {
    return {checkpoint.job(),
            absl::StrCat(checkpoint.step()),
            Bytes(static_cast<double>(checkpoint.bytes())),
            TimeOfDay(checkpoint.committed_at()),
            checkpoint.state_digest(),
            absl::StrJoin(checkpoint.holders(), ",")};
  };
  PrintList(program, checkpoints.checkpoints(),
            {"JOB", "STEP", "SIZE", "COMMITTED", "STATE", "HOLDERS"}, row, ToJsonDocument);
  return ExitCode::kOk;
}

using GetOutcome = Outcome (*)(const Program&, const GetOptions&);

CLI::App* AddKind(CLI::App* get, Program* program, const std::string& name, const std::string& help,
                  const std::shared_ptr<GetOptions>& options, GetOutcome run) {
  CLI::App* kind = get->add_subcommand(name, help);
  if (run == GetNodes) {
    AddCoordinatorOption(kind, program);  // there are none without
  } else {
    AddServerOptions(kind, program, &options->server);
  }
  AddOutputOption(kind, program);
  kind->callback([=] { program->run = [=] { return run(*program, *options); }; });
  return kind;
}

}  // namespace

void AddGet(CLI::App* app, Program* program) {
  auto options = std::make_shared<GetOptions>();
  CLI::App* verb = app->add_subcommand("get", "List jobs, nodes or checkpoints");
  verb->require_subcommand(1);
  verb->footer(
      "Examples:\n"
      "  carousel get jobs\n"
      "  carousel get nodes -o json\n"
      "  carousel get checkpoints smoke-1\n"
      "  carousel get checkpoints --state ~/.local/state/carousel/smoke");
  AddKind(verb, program, "jobs", "All jobs, oldest first", options, GetJobs);
  AddKind(verb, program, "nodes", "The workers, attached or lost", options, GetNodes);
  AddKind(verb, program, "checkpoints", "A job's checkpoints, newest first", options,
          GetCheckpoints)
      ->add_option("JOB", options->job, "id of the job; may be left out if there is only one")
      ->type_name("");
}

}  // namespace carousel
