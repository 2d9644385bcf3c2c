#include "cluster/data/dataset_probe.h"

#include <memory>

#include "cluster/data/dataset.h"

namespace carousel {

absl::StatusOr<DatasetFacts> ProbeDataset(const std::string& folder) {
  const absl::StatusOr<std::shared_ptr<const Dataset>> dataset = Dataset::OpenFolder(folder);
  if (!dataset.ok()) return ExplainDamage(dataset.status(), folder);
  return DatasetFacts{.digest = (*dataset)->content_hash(),
                      .vocab_size = (*dataset)->vocabulary(),
                      .tokens = (*dataset)->Part(CorpusSide::kTraining).token_count()};
}

}  // namespace carousel
