#include "tests/tidy/include_rules.h"

#include <map>
#include <string>

namespace carousel::tidy {
namespace {

// What each of our folders may include of our folders.
const std::map<std::string_view, std::vector<std::string_view>> kMayInclude = {
    {"proto", {"proto"}},
    {"kernels", {"kernels"}},
    {"cluster", {"cluster", "proto"}},
    {"coordinator", {"coordinator", "cluster", "proto"}},
    {"worker", {"worker", "kernels", "cluster", "proto"}},
    {"tests", {"tests", "worker", "kernels", "coordinator", "cluster", "proto"}},
};

// A header that only some files may know, and why.
struct Owner {
  std::vector<std::string_view> headers;
  std::vector<std::string_view> files;
  const char* instead;
};
const std::vector<Owner> kOwners = {
    {{"rocksdb/*"},
     {"cluster/rocksdb_store.cc"},
     "RocksDB stays behind cluster/store.h: use Store, or extend cluster/rocksdb_store.cc"},
    {{"grpcpp/*", "grpc/*", "*.grpc.pb.h"},
     {"cluster/rpc_status.*", "cluster/channel.*", "cluster/*transport*", "worker/*transport*",
      "worker/*_edge.*", "worker/*service.*", "worker/session.*", "worker/remote_shard.*",
      "coordinator/*service.*", "coordinator/server.*", "coordinator/worker_calls.*",
      "coordinator/cli/*", "*_main.cc", "tests/*"},
     "gRPC is known to transports, services, sessions, exchanges and mains only: put the call "
     "there and pass plain types on"},
    {{"cuda*", "cublas*", "cooperative_groups*", "cute/*", "cutlass/*"},
     {"kernels/cuda/*", "tests/kernels/cuda/*"},
     "CUDA stays under kernels/cuda: extend the backend (kernels/backend.h)"},
    {{"nccl*"}, {"worker/nccl_transport.*"}, "NCCL stays behind worker/transport.h"},
    {{"CLI/*"},
     {"*_main.cc", "coordinator/cli/*"},
     "flags are read in mains and in coordinator/cli: take a struct of options instead"},
    {{"yaml-cpp/*"}, {"cluster/job/*"}, "YAML is read and written by cluster/job: use JobSpec"},
    {{"cassert", "assert.h"},
     {},
     "use CAROUSEL_CHECK (cluster/check.h) or KERNEL_CHECK (kernels/check.h)"},
    {{"iostream"},
     {"*_main.cc", "coordinator/cli/*", "tests/*"},
     "return a Status, or use cluster/log.h"},
    {{"random"},
     {"worker/worker_id.cc", "coordinator/server.cc", "coordinator/cli/*", "tests/*"},
     "use cluster/data/keyed_random.h or kernels/philox.h: random numbers are a function of seed "
     "and index"},
    {{"chrono", "ctime", "time.h"},
     {"cluster/*", "worker/*", "tests/*", "*_main.cc", "*_benchmark.cc", "kernels/fma_peak.cc",
      "kernels/cpu/test_backend.cc", "coordinator/locked_core.*", "coordinator/server.*",
      "coordinator/*service.*", "coordinator/cli/*"},
     "no clock in the pure parts and in the mathematics: take the time as an argument"},
    {{"unordered_map", "unordered_set"},
     {"cluster/data/*", "coordinator/cli/*", "tests/*"},
     "use std::map: an order that depends on hashes must not reach weights, plans or messages"},
};

struct Include {
  std::string_view name;
  bool quoted = false;
  int line = 0;
};

std::string_view AfterDirective(std::string_view line) {
  for (std::string_view directive : {"#include ", "import "}) {
    if (line.starts_with(directive)) return line.substr(directive.size());
  }
  return {};
}

std::vector<Include> IncludesOf(const SourceFile& file) {
  std::vector<Include> includes;
  int number = 0;
  for (std::string_view line : Lines(file.text)) {
    ++number;
    const std::string_view rest = AfterDirective(line);
    if (rest.empty() || (rest[0] != '"' && rest[0] != '<')) continue;
    const size_t end = rest.find(rest[0] == '"' ? '"' : '>', 1);
    includes.push_back({rest.substr(1, end - 1), rest[0] == '"', number});
  }
  return includes;
}

std::string DirectionFault(const SourceFile& file, const Include& include) {
  const auto rule = kMayInclude.find(file.path.substr(0, file.path.find('/')));
  if (rule == kMayInclude.end()) return "";
  const std::string folder(include.name.substr(0, include.name.find('/')));
  if (kMayInclude.count(folder) == 0 || include.name.find('/') == std::string_view::npos) {
    const bool library =
        folder == "absl" || folder == "google" || folder == "gtest" || folder == "gmock";
    return library ? ""
                   : "include \"" + std::string(include.name) +
                         "\" by its path from the repository's root";
  }
  for (std::string_view allowed : rule->second) {
    if (allowed == folder) return "";
  }
  return std::string(rule->first) + "/ must not know " + folder + "/ (" +
         std::string(include.name) +
         "): move what both need to a folder that both may include (README.md, the map)";
}

}  // namespace

std::vector<Finding> CheckIncludes(const SourceFile& file) {
  std::vector<Finding> findings;
  if (!file.IsCpp() && !file.path.ends_with(".proto")) return findings;
  for (const Include& include : IncludesOf(file)) {
    if (include.quoted) {
      const std::string fault = DirectionFault(file, include);
      if (!fault.empty()) findings.push_back({file.path, include.line, fault});
    }
    for (const Owner& owner : kOwners) {
      if (MatchesAny(owner.headers, include.name) && !MatchesAny(owner.files, file.path)) {
        findings.push_back(
            {file.path, include.line,
             "must not include " + std::string(include.name) + ": " + owner.instead});
      }
    }
  }
  return findings;
}

}  // namespace carousel::tidy
