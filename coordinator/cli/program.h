// The command line as a whole: what all verbs share, and what the chosen one will do once parsing
// is over. Parsing never acts, so a wrong command line changes nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cluster/job/overrides.h"
#include "coordinator/cli/client.h"
#include "coordinator/cli/exit_code.h"
#include "coordinator/cli/output.h"
#include "proto/job.pb.h"

namespace carousel {

inline constexpr char kDefaultCoordinator[] = "127.0.0.1:7070";

struct Program {
  std::vector<std::string> argv;
  std::string usual_coordinator = kDefaultCoordinator;  // else CAROUSEL_COORDINATOR
  std::string coordinator = kDefaultCoordinator;        // the usual one, or --coordinator
  OutputFormat output = OutputFormat::kTable;
  std::function<Outcome()> run;  // set by the chosen verb
};

// --- options that several verbs have ---

CLI::Option* AddCoordinatorOption(CLI::App* verb, Program* program);
CLI::Option* AddOutputOption(CLI::App* verb, Program* program);  // -o, --output

// A job file and what overrides it.
struct JobFileOptions {
  std::string file;
  std::string steps;
  std::vector<std::string> sets;
};
void AddJobFileOptions(CLI::App* verb, JobFileOptions* options);

// --set, once for each field, with `help`; a path must begin with `allowed`.
void AddSetOption(CLI::App* verb, std::vector<std::string>* sets, const std::string& help,
                  const std::string& allowed = "");

// The job, resolved. With `look_at_data` its dataset is opened here and named by its absolute path,
// so that the coordinator and the workers find it from wherever they were started.
absl::StatusOr<JobSpec> LoadJob(const JobFileOptions& options, bool look_at_data);

// Without what depends on where we are.
std::string AbsolutePath(const std::string& path);

// For a command that a message suggests: " --coordinator ADDR", or nothing if it is the usual one.
std::string AtCoordinator(const Program& program);

// `text` of a coordinator, which does not know under which address it was reached: commands in it
// ("`carousel resume smoke-1`") get what AtCoordinator says.
std::string WithCoordinator(const Program& program, std::string text);

// The command as it was typed, quoted for a shell.
std::string CommandLine(const std::vector<std::string>& argv);

absl::StatusOr<std::unique_ptr<Client>> Connect(const Program& program);

}  // namespace carousel
