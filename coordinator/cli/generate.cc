#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cluster/data/printable.h"
#include "cluster/flag_checks.h"
#include "cluster/job/job_limits.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/server_options.h"
#include "coordinator/cli/verbs.h"

namespace carousel {
namespace {

struct GenerateOptions {
  ServerOptions server;
  std::string job, prompt;
  int64_t step = 0, max_tokens = 200, seed = 0;
  double temperature = 0.8;
  bool raw = false;
};

// The bytes at the end of `text` that may be the beginning of a UTF-8 character.
size_t Unfinished(const std::string& text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;
    const size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

// Writes text as it comes: as it is if `raw`, else whole characters at a time, made safe for a
// terminal or as documents with the field "text".
class TextWriter {
 public:
  TextWriter(OutputFormat format, bool raw) : format_(format), raw_(raw) {}
  TextWriter(const TextWriter&) = delete;
  TextWriter& operator=(const TextWriter&) = delete;
  ~TextWriter() {
    Write(held_);
    if (written_ && !raw_ && format_ == OutputFormat::kTable) std::printf("\n");
  }

  // Documents hold what was generated, without it.
  bool AddPrompt(const std::string& prompt) {
    return format_ != OutputFormat::kTable || Add(prompt);
  }

  bool Add(const std::string& piece) {
    held_ += piece;
    const size_t rest = raw_ ? 0 : Unfinished(held_);
    Write(held_.substr(0, held_.size() - rest));
    held_.erase(0, held_.size() - rest);
    return std::ferror(stdout) == 0;
  }

 private:
  void Write(const std::string& text) {
    if (text.empty()) return;
    written_ = true;
    if (format_ != OutputFormat::kTable) return PrintNext({{"text", text}}, format_);
    const std::string shown = raw_ ? text : Printable(text);
    std::fwrite(shown.data(), 1, shown.size(), stdout);
    std::fflush(stdout);
  }

  const OutputFormat format_;
  const bool raw_;
  std::string held_;
  bool written_ = false;
};

// Writes the prompt and what continues it, together, so that an error that comes instead stands
// alone. Whether anything continues it.
absl::StatusOr<bool> Stream(const Client& client, const GenerateRequest& request,
                            TextWriter* writer) {
  grpc::ClientContext context;
  const auto reader = client.stub().Generate(&context, request);
  std::string said;
  bool continued = false;
  CAROUSEL_RETURN_IF_ERROR(
      ReadAll<GeneratedText>(client, &context, reader.get(), [&](const GeneratedText& piece) {
        Warn(piece.warning(), &said);
        if (piece.text().empty()) return true;
        if (!continued) writer->AddPrompt(request.prompt());
        continued = true;
        return writer->Add(piece.text());
      }));
  if (!continued) writer->AddPrompt(request.prompt());
  return continued;
}

Outcome Generate(const Program& program, const GenerateOptions& options) {
  CAROUSEL_ASSIGN_OR_RETURN(const Served served, Serve(program, options.server, true));
  GenerateRequest request;
  CAROUSEL_ASSIGN_OR_RETURN(*request.mutable_job(), OnlyJob(served.client(), options.job));
  request.set_step(options.step);
  request.set_prompt(options.prompt);
  request.set_max_tokens(options.max_tokens);
  request.set_temperature(options.temperature);
  request.set_seed(options.seed);
  bool continued = false;
  {
    TextWriter writer(program.output, options.raw);
    CAROUSEL_ASSIGN_OR_RETURN(continued, Stream(served.client(), request, &writer));
  }
  if (!continued) {
    std::fprintf(stderr,
                 "the model ended the text at once; another --seed, a higher --temperature or "
                 "another --prompt may get more out of it\n");
  }
  return ExitCode::kOk;
}

}  // namespace

void AddGenerate(CLI::App* app, Program* program) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* verb = app->add_subcommand("generate", "Text from a checkpoint");
  verb->footer(
      "Continues the prompt token by token on stdout, computed by a free worker. The same\n"
      "checkpoint, prompt, temperature and seed give the same text. Bytes that a terminal\n"
      "could obey are shown as \\xNN unless --raw. -o json prints an object for each piece,\n"
      "without the prompt, with the field \"text\"; bytes in it that are not UTF-8 become\n"
      "U+FFFD.\n\n"
      "Examples:\n"
      "  carousel generate smoke-1 --prompt 'The word ' --max-tokens 300\n"
      "  carousel generate smoke-1 --temperature 0        always the most likely token\n"
      "  carousel generate --state ~/.local/state/carousel/smoke --prompt A --seed 7");
  verb->add_option("JOB", options->job, "id of the job; may be left out if there is only one")
      ->type_name("");
  verb->add_option("--prompt", options->prompt, "text to continue [none]")->type_name("TEXT");
  verb->add_option("--max-tokens", options->max_tokens, "tokens to add at most [200]")
      ->type_name("N")
      ->check(WholeNumber(1, kMaxTokens));
  verb->add_option("--temperature", options->temperature,
                   "0: the most likely token; 1: as the model says [0.8]")
      ->type_name("X")
      ->check(Number(0, 100));
  verb->add_option("--seed", options->seed, "another seed, another text [0]")
      ->type_name("N")
      ->check(WholeNumber(INT64_MIN, INT64_MAX));
  verb->add_option("--step", options->step, "checkpoint of this step [the newest]")
      ->type_name("N")
      ->check(WholeNumber(1, kMaxSteps));
  verb->add_flag("--raw", options->raw, "write the bytes as they are")
      ->excludes(AddOutputOption(verb, program));
  AddServerOptions(verb, program, &options->server);
  AddThreadsOption(verb, &options->server);
  verb->callback([=] { program->run = [=] { return Generate(*program, *options); }; });
}

}  // namespace carousel
