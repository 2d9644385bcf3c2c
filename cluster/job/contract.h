// The numerics contract of a job: everything that fixes bits (model, data, optimizer, learning
// rate, steps, numerics), and nothing that does not (name, pipeline wishes, checkpoint policy). Two
// jobs with equal contracts give equal states after every step.
//
// The canonical form is text, one `path=length:value` a line in the order of field numbers, so that
// it does not depend on protobuf's encoding and a new optional field leaves old hashes alone. A
// dataset counts by its digest; its folder counts only while the digest is unknown.
//
// Pure functions of resolved jobs, safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "proto/job.pb.h"

namespace carousel {

std::string CanonicalContract(const JobSpec& job);

// XXH3-128 of the canonical form, 32 lower-case hex digits.
std::string ContractHash(const JobSpec& job);

struct ContractDifference {
  std::string path;
  std::string a, b;  // values; "not set" where absent
  friend bool operator==(const ContractDifference&, const ContractDifference&) = default;
};

// Empty if the contracts are equal. The job's own fields (`steps`) first, then those of its parts,
// which may follow from them (`learning_rate.warmup_steps`); in the order of the canonical form,
// and what only `b` sets behind it.
std::vector<ContractDifference> DiffContracts(const JobSpec& a, const JobSpec& b);

// For a refusal: "steps: 440, but the stored job has 600", one difference a line.
std::string DescribeDifferences(const JobSpec& wanted, const JobSpec& stored);

}  // namespace carousel
