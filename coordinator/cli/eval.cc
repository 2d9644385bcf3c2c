#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/counted.h"
#include "cluster/flag_checks.h"
#include "cluster/job/job_limits.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/figures.h"
#include "coordinator/cli/message_json.h"
#include "coordinator/cli/progress_line.h"
#include "coordinator/cli/server_options.h"
#include "coordinator/cli/verbs.h"

namespace carousel {
namespace {

struct EvalOptions {
  ServerOptions server;
  EvaluateRequest request;
  std::string job, dataset;
  int64_t step = 0, max_tokens = 0;
};

absl::StatusOr<EvaluateProgress> Evaluate(const Client& client, const EvaluateRequest& request) {
  grpc::ClientContext context;
  const auto reader = client.stub().Evaluate(&context, request);
  EvaluateProgress last;
  std::string said;
  ProgressLine line("evaluating");
  CAROUSEL_RETURN_IF_ERROR(ReadAll<EvaluateProgress>(
      client, &context, reader.get(), [&](const EvaluateProgress& progress) {
        Warn(progress.warning(), &said);
        last = progress;
        line.Update(progress.tokens(), progress.total_tokens(),
                    progress.has_bits_per_byte()
                        ? absl::StrFormat("%.4f bits per byte", progress.bits_per_byte())
                        : absl::StrFormat("perplexity %.4f", progress.perplexity()));
        return true;
      }));
  if (!last.done()) {
    return absl::InternalError("the worker ended the evaluation before it was done; try again");
  }
  return last;
}

// Whole sequences are measured, so these may be more than were asked for.
std::string TokensText(int64_t measured, int64_t asked) {
  if (asked == 0 || measured <= asked) return Grouped(measured);
  return absl::StrCat(Grouped(measured), ", of whole micro-batches (--max-tokens ", asked, ")");
}

Outcome Eval(const Program& program, const EvalOptions& options) {
  CAROUSEL_ASSIGN_OR_RETURN(const Served served, Serve(program, options.server, true));
  EvaluateRequest request;
  CAROUSEL_ASSIGN_OR_RETURN(*request.mutable_job(), OnlyJob(served.client(), options.job));
  request.set_step(options.step);
  request.set_max_tokens(options.max_tokens);
  if (!options.dataset.empty()) request.set_dataset(AbsolutePath(options.dataset));
  CAROUSEL_ASSIGN_OR_RETURN(const EvaluateProgress result, Evaluate(served.client(), request));
  if (program.output != OutputFormat::kTable) {
    nlohmann::ordered_json document = {{"job", request.job()}};
    document.update(ToJsonDocument(result));
    PrintDocument(document, program.output);
    return ExitCode::kOk;
  }
  PrintFields({{"job", request.job()},
               {"checkpoint", absl::StrCat("of step ", result.step())},
               {"held-out tokens", TokensText(result.tokens(), options.max_tokens)},
               {"loss", LossText(result.loss()) + " nats per token"},
               {"perplexity", absl::StrFormat("%.4f", result.perplexity())},
               {"bits per byte", result.has_bits_per_byte()
                                     ? absl::StrFormat("%.4f", result.bits_per_byte())
                                     : "not known: the dataset's tokens are no bytes"}});
  return ExitCode::kOk;
}

}  // namespace

void AddEval(CLI::App* app, Program* program) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* verb = app->add_subcommand("eval", "Held-out loss of a checkpoint");
  verb->footer(
      "Perplexity and bits per byte on the held-out blocks of the job's dataset, computed by\n"
      "a free worker. With --state the stores of a `carousel local` run are opened for it.\n\n"
      "Examples:\n"
      "  carousel eval smoke-1\n"
      "  carousel eval smoke-1 --step 200 --dataset /data/other -o json\n"
      "  carousel eval --state ~/.local/state/carousel/smoke --threads 2");
  verb->add_option("JOB", options->job, "id of the job; may be left out if there is only one")
      ->type_name("");
  verb->add_option("--step", options->step, "checkpoint of this step [the newest]")
      ->type_name("N")
      ->check(WholeNumber(1, kMaxSteps));
  verb->add_option("--dataset", options->dataset, "dataset folder [the job's own]")
      ->type_name("DIR");
  verb->add_option(
          "--max-tokens", options->max_tokens,
          "stop as soon as so many are measured; sequences are measured whole, a micro-batch\n"
          "of them at a time, so it may be some more [all]")
      ->type_name("N")
      ->check(WholeNumber(1, kMaxTokens));
  AddServerOptions(verb, program, &options->server);
  AddThreadsOption(verb, &options->server);
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return Eval(*program, *options); }; });
}

}  // namespace carousel
