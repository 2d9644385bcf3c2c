// Whether a job whose defaults are filled means something that can be run: limits of single fields,
// then what ties fields together. Limits are generous, and finite, so that no product of fields
// overflows 64 bits.
#pragma once

#include "cluster/job/resolve.h"

namespace carousel {

// Both add to the draft's faults. A field's fault suppresses only what cannot be judged without
// that field. ValidateModel returns whether the number of blocks is known.
bool ValidateModel(JobDraft* draft);
void ValidateTraining(JobDraft* draft, bool blocks_are_known);

}  // namespace carousel
