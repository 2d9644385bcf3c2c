#include <cstdio>
#include <nlohmann/json.hpp>

#include "cluster/status_macros.h"
#include "coordinator/cli/job_follower.h"
#include "coordinator/cli/message_json.h"
#include "coordinator/cli/progress_view.h"
#include "coordinator/cli/verbs.h"

namespace carousel {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(500);

Outcome Watch(const Program& program, const std::string& job) {
  CAROUSEL_ASSIGN_OR_RETURN(const auto client, Connect(program));
  JobFollower follower(client.get(), job);
  ProgressView view(stdout);
  JobState state = JOB_STATE_UNSPECIFIED;
  while (!follower.ended()) {
    const std::optional<Job> news = follower.WaitForNews(kPatience);
    if (!news.has_value()) continue;
    state = news->state();
    if (program.output == OutputFormat::kTable) {
      view.Show(*news);
    } else {
      PrintNext(JobToJson(*news), program.output);
    }
    if (std::ferror(stdout) != 0) return ExitCode::kError;  // nobody reads on
  }
  if (program.output == OutputFormat::kTable) view.Finish();
  CAROUSEL_RETURN_IF_ERROR(follower.status());
  return ExitCodeOf(state);
}

}  // namespace

void AddWatch(CLI::App* app, Program* program) {
  auto job = std::make_shared<std::string>();
  CLI::App* verb = app->add_subcommand("watch", "Follow a job until it rests");
  verb->footer(
      "On a terminal the view is redrawn: step, loss, perplexity, tokens per second, time\n"
      "left, and how busy each stage is. Elsewhere it is a line now and then; -o json prints\n"
      "one object for each change. Ctrl-C leaves; the job goes on. Exit codes as of `carousel\n"
      "wait`.\n\n"
      "Examples:\n"
      "  carousel watch smoke-1\n"
      "  carousel watch smoke-1 -o json | jq .loss");
  verb->add_option("JOB", *job, "id of the job")->type_name("")->required();
  AddCoordinatorOption(verb, program);
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return Watch(*program, *job); }; });
}

}  // namespace carousel
