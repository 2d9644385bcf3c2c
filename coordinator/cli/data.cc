#include "coordinator/cli/data_verbs.h"
#include "coordinator/cli/verbs.h"

namespace carousel {

void AddData(CLI::App* app, Program* program) {
  CLI::App* verb = app->add_subcommand("data", "Datasets: build, inspect, verify, baseline");
  verb->require_subcommand(1);
  verb->footer(
      "Examples:\n"
      "  carousel data build --output corpus corpus.txt\n"
      "  carousel data inspect corpus\n"
      "  carousel data baseline corpus");
  AddDataBuild(verb, program);
  AddDataInspect(verb, program);
  AddDataVerify(verb, program);
  AddDataBaseline(verb, program);
}

}  // namespace carousel
