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
     {"cluster/rpc_status.*", "cluster/channel.*", "worker/*_edge.*", "worker/*service.*",
      "worker/session.*", "worker/remote_shard.*", "coordinator/*service.*", "coordinator/server.*",
      "coordinator/worker_calls.*", "coordinator/cli/*", "*_main.cc", "tests/*"},
     "gRPC is known to channels, edges, services, sessions, remote shards and mains only: put the "
     "call "
     "there and pass plain types on"},
    {{"cuda*", "cublas*", "cooperative_groups*", "cute/*", "cutlass/*"},
     {"tests/bazel/cuda_probe.cu"},
     "CUDA is for a backend (kernels/backend.h): name that one's folder here"},
    {{"nccl*"},
     {"tests/bazel/cuda_probe.cu"},
     "NCCL is for a transport (worker/transport.h): name that one here"},
    {{"CLI/*"},
     {"*_main.cc", "coordinator/cli/*", "cluster/flag_checks.*", "cluster/usage.*"},
     "flags are read in mains and in coordinator/cli: take a struct of options instead"},
    {{"yaml-cpp/*"}, {"cluster/job/*"}, "YAML is read and written by cluster/job: use JobSpec"},
    {{"cassert", "assert.h"},
     {},
     "use CAROUSEL_CHECK (cluster/check.h) or KERNEL_CHECK (kernels/check.h)"},
    {{"iostream"}, {}, "return a Status, use cluster/log.h, or std::printf in a main"},
    {{"random"},
     {"worker/worker_id.cc", "coordinator/server.cc", "coordinator/cli/*", "tests/*"},
     "use cluster/data/keyed_random.h or kernels/philox.h: random numbers are a function of seed "
     "and index"},
    {{"chrono", "ctime", "time.h"},
     {"cluster/clock.cc",             // the one that others are given
      "cluster/log.cc",               // the time of a line
      "cluster/mutex.h",              // waiting with a deadline
      "worker/executor.cc",           // where a step's time went
      "worker/remote_shard.cc",       // a holder that falls silent
      "worker/session.cc",            // beats
      "worker/unit_costs.cc",         // measures
      "kernels/fma_peak.cc",          // measures
      "kernels/cpu/test_backend.cc",  // late on purpose
      "coordinator/locked_core.cc", "coordinator/server.cc", "coordinator/service.cc",
      "coordinator/cli/*", "*_main.cc", "*_benchmark.cc", "tests/*"},
     "no clock in the pure parts and in the mathematics: take the time as an argument, or "
     "cluster/clock.h"},
    {{"unordered_map", "unordered_set"},
     {},
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

std::vector<std::string_view> OwnersOfIncludes() {
  std::vector<std::string_view> owners;
  for (const Owner& owner : kOwners)
    owners.insert(owners.end(), owner.files.begin(), owner.files.end());
  return owners;
}

}  // namespace carousel::tidy
