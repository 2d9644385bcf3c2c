// Where a verb finds its coordinator: one that runs (--coordinator), or one started for the length
// of the verb out of the state folder that `carousel local` left behind (--state).
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/cli/client.h"
#include "coordinator/cli/local_cluster.h"
#include "coordinator/cli/program.h"

namespace carousel {

struct ServerOptions {
  std::string state;  // --state; empty: --coordinator
  int threads = 1;
};

// A coordinator to talk to, and what has to stand for it.
struct Served {
  std::unique_ptr<LocalCluster> cluster;  // if it was started for us
  std::unique_ptr<Client> connection;     // else
  const Client& client() const { return cluster ? cluster->client() : *connection; }
};

void AddServerOptions(CLI::App* verb, Program* program, ServerOptions* options);

// --threads, for verbs that compute with a worker; after AddServerOptions.
void AddThreadsOption(CLI::App* verb, ServerOptions* options);

// `with_workers`: the verb needs a worker to compute with, and all stores.
absl::StatusOr<Served> Serve(const Program& program, const ServerOptions& options,
                             bool with_workers);

// Says on stderr, once, that a newer checkpoint could not be used; `said` is what was said already.
void Warn(const std::string& warning, std::string* said);

// The job itself, or with an empty `job` the only one there is; a usage error lists several,
// kNotFound says that there are none.
absl::StatusOr<std::string> OnlyJob(const Client& client, const std::string& job);

}  // namespace carousel
