#include "cluster/data/dataset_probe.h"

#include <memory>

#include "cluster/data/dataset.h"
#include "cluster/status_macros.h"

namespace carousel {

absl::StatusOr<DatasetFacts> ProbeDataset(const std::string& folder) {
  CAROUSEL_ASSIGN_OR_RETURN(const std::shared_ptr<const Dataset> dataset,
                            Dataset::OpenFolder(folder));
  return DatasetFacts{.digest = dataset->content_hash(),
                      .vocab_size = dataset->vocabulary(),
                      .tokens = dataset->Part(CorpusSide::kTraining).token_count()};
}

}  // namespace carousel
