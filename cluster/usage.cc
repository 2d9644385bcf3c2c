#include "cluster/usage.h"

#include <cstdio>
#include <vector>

#include "cluster/exit_code.h"
#include "cluster/job/faults.h"

namespace carousel {
namespace {

// The innermost subcommand that was reached, "carousel data build".
const CLI::App* Reached(const CLI::App* app, std::string* name) {
  *name = app->get_name();
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    *name += " " + app->get_name();
  }
  return app;
}

// What `app` knows of the kind that `word` is: options or verbs.
std::vector<std::string> Known(const CLI::App& app, const std::string& word) {
  std::vector<std::string> known;
  if (word.starts_with("--")) {
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
  } else {
    for (const CLI::App* verb : app.get_subcommands({})) known.push_back(verb->get_name());
  }
  return known;
}

std::string Unexpected(const CLI::App& app, const std::string& word) {
  const bool verb = !word.starts_with("-") && !app.get_subcommands({}).empty();
  const std::string meant = DidYouMean(word.substr(0, word.find('=')), Known(app, word));
  return (verb ? "there is no verb " : "not expected: ") + Quoted(word) +
         (meant.empty() ? "" : "; " + meant);
}

}  // namespace

std::string UsageMessage(const CLI::App& app, std::string_view problem) {
  std::string reached_name;
  const CLI::App* reached = Reached(&app, &reached_name);
  const std::vector<std::string> unexpected = app.remaining(/*recurse=*/true);
  std::string message =
      unexpected.empty() ? std::string(problem) : Unexpected(*reached, unexpected.front());
  while (message.ends_with('\n')) message.pop_back();
  return app.get_name() + ": " + message + "\n`" + reached_name + " --help` shows what it takes";
}

int ReportUsage(const CLI::App& app, std::string_view problem) {
  std::fprintf(stderr, "%s\n", UsageMessage(app, problem).c_str());
  return static_cast<int>(ExitCode::kUsage);
}

std::optional<int> ParseCommandLine(int argc, char** argv, CLI::App* app) {
  try {
    app->parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app->exit(asked);
  } catch (const CLI::ParseError& error) {
    return ReportUsage(*app, error.what());
  }
  return std::nullopt;
}

}  // namespace carousel
