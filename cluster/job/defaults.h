// The values of fields that a job leaves out: those of its preset, else the defaults that the
// comments in proto/ give. Only what applies to the job's family, shape and data source is set.
#pragma once

#include "cluster/job/resolve.h"

namespace carousel {

// Adds to the draft's faults only if the preset does not exist or contradicts the job.
void FillDefaults(JobDraft* draft);

}  // namespace carousel
