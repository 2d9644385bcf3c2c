#include "cluster/version.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cluster/job/resolve.h"
#include "cluster/status_macros.h"
#include "coordinator/cli/verbs.h"

namespace carousel {
namespace {

struct VersionOptions {
  bool server = false;
};

Outcome ShowVersion(const Program& program, const VersionOptions& options) {
  nlohmann::ordered_json document = {{"version", std::string(kVersion)},
                                     {"kernel_version", kKernelVersion}};
  if (options.server) {
    CAROUSEL_ASSIGN_OR_RETURN(const auto client, Connect(program));
    CAROUSEL_ASSIGN_OR_RETURN(const Version version,
                              client->Call(&Coordinator::Stub::GetVersion, GetVersionRequest()));
    document["server"] = {{"address", program.coordinator},
                          {"version", version.version()},
                          {"cluster_id", version.cluster_id()}};
  }
  if (program.output != OutputFormat::kTable) {
    PrintDocument(document, program.output);
    return ExitCode::kOk;
  }
  std::printf("carousel %s, kernels of version %d\n",
              document["version"].get<std::string>().c_str(), static_cast<int>(kKernelVersion));
  if (options.server) {
    const auto& server = document["server"];
    std::printf("coordinator %s at %s, cluster %s\n", server["version"].get<std::string>().c_str(),
                program.coordinator.c_str(), server["cluster_id"].get<std::string>().c_str());
  }
  return ExitCode::kOk;
}

}  // namespace

void AddVersion(CLI::App* app, Program* program) {
  auto options = std::make_shared<VersionOptions>();
  CLI::App* verb = app->add_subcommand("version", "Versions of this program and of a coordinator");
  verb->footer(
      "Examples:\n"
      "  carousel version\n"
      "  carousel version --server -o json");
  verb->add_flag("--server", options->server, "ask the coordinator too");
  AddCoordinatorOption(verb, program);
  AddOutputOption(verb, program);
  verb->callback([=] { program->run = [=] { return ShowVersion(*program, *options); }; });
}

}  // namespace carousel
