#include "coordinator/cli/program.h"

#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "cluster/data/dataset_probe.h"
#include "cluster/flag_checks.h"
#include "cluster/job/job_file.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

bool IsPlain(const std::string& word) {
  return !word.empty() && word.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "_-./:=,+@%") == std::string::npos;
}

std::string Quoted(const std::string& word) {
  if (IsPlain(word)) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

CLI::Option* AddCoordinatorOption(CLI::App* verb, Program* program) {
  return verb
      ->add_option("--coordinator", program->coordinator,
                   "address of the coordinator [$CAROUSEL_COORDINATOR, else 127.0.0.1:7070]")
      ->type_name("ADDR");
}

CLI::Option* AddOutputOption(CLI::App* verb, Program* program) {
  static const std::map<std::string, OutputFormat> kFormats = {{"table", OutputFormat::kTable},
                                                               {"json", OutputFormat::kJson},
                                                               {"yaml", OutputFormat::kYaml}};
  return verb
      ->add_option_function<std::string>(
          "-o,--output",
          [program](const std::string& name) { program->output = kFormats.at(name); },
          "table, json or yaml [table]")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "yaml"}));
}

void AddSetOption(CLI::App* verb, std::vector<std::string>* sets, const std::string& help,
                  const std::string& allowed) {
  verb->add_option("--set", *sets, help)
      ->type_name("PATH=VALUE")
      ->allow_extra_args(false)  // one value each, else it would swallow the job file
      ->check(Assignment(allowed));
}

void AddJobFileOptions(CLI::App* verb, JobFileOptions* options) {
  verb->add_option("FILE", options->file, "job file; examples are in cluster/jobs/")
      ->type_name("")
      ->required();
  verb->add_option("--steps", options->steps,
                   "steps, and length of the learning-rate schedule; instead of the file's")
      ->type_name("N")
      ->check(Steps());
  AddSetOption(verb, &options->sets,
               "any field of the job, instead of the file's; may be repeated");
}

absl::StatusOr<JobSpec> LoadJob(const JobFileOptions& options, bool look_at_data) {
  std::vector<Override> overrides;
  for (const std::string& set : options.sets) {
    CAROUSEL_ASSIGN_OR_RETURN(overrides.emplace_back(), ParseOverride(set));
  }
  if (!options.steps.empty()) overrides.push_back(StepsOverride(options.steps));
  ResolveOptions resolve;
  if (look_at_data) resolve.probe_dataset = ProbeDataset;
  CAROUSEL_ASSIGN_OR_RETURN(JobSpec spec, LoadJobFile(options.file, overrides, resolve));
  if (look_at_data && spec.data().has_dataset()) {
    spec.mutable_data()->set_dataset(AbsolutePath(spec.data().dataset()));
  }
  return spec;
}

std::string AbsolutePath(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

std::string AtCoordinator(const Program& program) {
  return program.coordinator == program.usual_coordinator
             ? ""
             : absl::StrCat(" --coordinator ", program.coordinator);
}

std::string WithCoordinator(const Program& program, std::string text) {
  const std::string at = AtCoordinator(program);
  if (at.empty()) return text;
  for (const char* verb : {"get", "resume", "submit"}) {
    const std::string command = absl::StrCat("`carousel ", verb);
    for (size_t begin = text.find(command); begin != text.npos;
         begin = text.find(command, begin + 1)) {
      const size_t end = text.find('`', begin + 1);
      if (end == text.npos) break;
      if (text.substr(begin, end - begin).find(at) == text.npos) text.insert(end, at);
    }
  }
  return text;
}

std::string CommandLine(const std::vector<std::string>& argv) {
  std::string line;
  for (const std::string& word : argv)
    absl::StrAppend(&line, line.empty() ? "" : " ", Quoted(word));
  return line;
}

absl::StatusOr<std::unique_ptr<Client>> Connect(const Program& program) {
  return Client::Connect(program.coordinator);
}

}  // namespace carousel
