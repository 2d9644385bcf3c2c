#include "cluster/shard_record.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

// More than any model has, and far from overflow in the sums over a record.
constexpr int64_t kMaxElements = int64_t{1} << 40;
constexpr int kMaxTensors = 1 << 16;

int64_t ElementBytes(PartRecord::ElementType type) {
  switch (type) {
    case PartRecord::F32:
      return 4;
    case PartRecord::F64:
      return 8;
    case PartRecord::BF16:
      return 2;
    default:
      return 0;
  }
}

int64_t ElementsOf(const TensorRecord& tensor) {
  int64_t elements = 1;
  for (int64_t extent : tensor.shape()) elements *= extent;
  return elements;
}

int64_t ChunkCount(const TensorRecord& tensor) {
  return (ElementsOf(tensor) + kChunkElements - 1) / kChunkElements;
}

const PartRecord* FindPart(const TensorRecord& tensor, Part part) {
  for (const PartRecord& candidate : tensor.parts()) {
    if (candidate.part() == static_cast<int>(part)) return &candidate;
  }
  return nullptr;
}

int64_t BytesOfChunk(const TensorRecord& tensor, const PartRecord& part, uint32_t chunk) {
  const int64_t first = chunk * kChunkElements;
  return std::min(kChunkElements, ElementsOf(tensor) - first) * ElementBytes(part.type());
}

absl::Status CheckTensor(const TensorRecord& tensor) {
  int64_t elements = 1;
  for (int64_t extent : tensor.shape()) {
    if (extent < 1 || __builtin_mul_overflow(elements, extent, &elements) ||
        elements > kMaxElements) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", tensor.name(), ": extent ", extent,
                                                     "; extents are positive and a tensor has at "
                                                     "most ",
                                                     kMaxElements, " elements"));
    }
  }
  int previous = -1;
  for (const PartRecord& part : tensor.parts()) {
    if (part.part() <= previous || part.part() >= kParts || ElementBytes(part.type()) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", tensor.name(), ": part ", static_cast<int>(part.part()),
                       " of type ", static_cast<int>(part.type()),
                       "; parts are weight, m, v in this order, of a known type"));
    }
    previous = part.part();
  }
  if (tensor.parts_size() > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("tensor ", tensor.name(), " has no part"));
}

}  // namespace

void AddTensor(ShardRecord& record, std::string_view name, const std::vector<int64_t>& shape) {
  TensorRecord& tensor = *record.add_tensors();
  tensor.set_name(std::string(name));
  for (int64_t extent : shape) tensor.add_shape(extent);
  for (PartRecord::Part part : {PartRecord::WEIGHT, PartRecord::M, PartRecord::V}) {
    tensor.add_parts()->set_part(part);
  }
}

std::string Describe(const ShardRecord& record) {
  std::string name = record.unit_name().empty() ? "" : absl::StrCat(" (", record.unit_name(), ")");
  return absl::StrCat("job ", record.job(), " step ", record.step(), " unit ", record.unit(), name);
}

std::string Describe(const ShardRecord& record, const ChunkPlace& place) {
  std::string tensor = place.tensor < record.tensors_size() ? record.tensors(place.tensor).name()
                                                            : absl::StrCat("number ", place.tensor);
  return absl::StrCat(Describe(record), ": tensor ", tensor, ", ",
                      std::string(PartName(place.part)), ", chunk ", place.chunk);
}

absl::Status CheckLayout(const ShardRecord& record) {
  CAROUSEL_RETURN_IF_ERROR(CheckJobId(record.job()));
  if (record.step() < 0 || record.epoch() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(Describe(record), ": step and epoch ", record.epoch(), " must be at least 0"));
  }
  if (record.tensors_size() == 0 || record.tensors_size() > kMaxTensors) {
    return absl::InvalidArgumentError(absl::StrCat(Describe(record), " has ", record.tensors_size(),
                                                   " tensors; 1 to ", kMaxTensors, " are allowed"));
  }
  for (const TensorRecord& tensor : record.tensors()) {
    absl::Status good = CheckTensor(tensor);
    if (!good.ok()) {
      return absl::Status(good.code(), absl::StrCat(Describe(record), ": ", good.message()));
    }
  }
  return absl::OkStatus();
}

int64_t BytesOf(const ShardRecord& record) {
  int64_t bytes = 0;
  for (const TensorRecord& tensor : record.tensors()) {
    for (const PartRecord& part : tensor.parts()) {
      bytes += ElementsOf(tensor) * ElementBytes(part.type());
    }
  }
  return bytes;
}

std::vector<ChunkSpan> ChunksOf(const ShardRecord& record) {
  std::vector<ChunkSpan> chunks;
  for (int t = 0; t < record.tensors_size(); ++t) {
    const TensorRecord& tensor = record.tensors(t);
    for (const PartRecord& part : tensor.parts()) {
      for (uint32_t chunk = 0; chunk < ChunkCount(tensor); ++chunk) {
        ChunkPlace place{static_cast<uint32_t>(t), static_cast<Part>(part.part()), chunk};
        chunks.push_back({place, BytesOfChunk(tensor, part, chunk)});
      }
    }
  }
  return chunks;
}

absl::StatusOr<ChunkSpan> FindChunk(const ShardRecord& record, const ChunkPlace& place) {
  if (place.tensor >= record.tensors_size()) {
    return absl::NotFoundError(absl::StrCat(Describe(record, place), ": the unit has ",
                                            record.tensors_size(), " tensors"));
  }
  const TensorRecord& tensor = record.tensors(place.tensor);
  const PartRecord* part = FindPart(tensor, place.part);
  if (part == nullptr) {
    return absl::NotFoundError(Describe(record, place) + ": the tensor has no such part");
  }
  if (place.chunk >= ChunkCount(tensor)) {
    return absl::NotFoundError(
        absl::StrCat(Describe(record, place), ": the tensor has ", ChunkCount(tensor), " chunks"));
  }
  return ChunkSpan{place, BytesOfChunk(tensor, *part, place.chunk)};
}

std::vector<Digest> GranuleDigests(const ShardRecord& record, const ChunkPlace& place,
                                   std::string_view bytes) {
  const PartRecord* part = FindPart(record.tensors(place.tensor), place.part);
  CAROUSEL_CHECK(part != nullptr);
  const size_t granule_bytes = kGranuleElements * ElementBytes(part->type());
  std::vector<Digest> digests;
  for (size_t at = 0; at < bytes.size(); at += granule_bytes) {
    digests.push_back(DigestOf(bytes.substr(at, granule_bytes)));
  }
  return digests;
}

absl::Status VerifyRecord(const ShardRecord& record) {
  CAROUSEL_RETURN_IF_ERROR(CheckLayout(record));
  std::string leaves;
  for (const TensorRecord& tensor : record.tensors()) {
    for (const PartRecord& part : tensor.parts()) {
      const size_t expected = GranuleCount(ElementsOf(tensor)) * Digest::kBytes;
      if (part.granule_digests().size() != expected) {
        return absl::DataLossError(absl::StrCat(
            Describe(record), ": tensor ", tensor.name(), " has ", part.granule_digests().size(),
            " bytes of granule digests; its shape asks for ", expected));
      }
      leaves += part.granule_digests();
    }
  }
  CAROUSEL_ASSIGN_OR_RETURN(Digest stored,
                            DigestFromBytes(record.digest(), Describe(record) + ": the digest"));
  const Digest computed = DigestOf(leaves);
  if (computed == stored) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(Describe(record), ": the record says digest ",
                                          stored.Hex(), ", its granules give ", computed.Hex()));
}

absl::Status VerifyChunk(const ShardRecord& record, const ChunkPlace& place,
                         std::string_view bytes) {
  CAROUSEL_ASSIGN_OR_RETURN(ChunkSpan chunk, FindChunk(record, place));
  if (static_cast<int64_t>(bytes.size()) != chunk.bytes) {
    return absl::DataLossError(absl::StrCat(Describe(record, place), " has ", bytes.size(),
                                            " bytes; its shape asks for ", chunk.bytes));
  }
  const PartRecord* part = FindPart(record.tensors(place.tensor), place.part);
  const std::string_view leaves = part->granule_digests();
  const std::vector<Digest> digests = GranuleDigests(record, place, bytes);
  for (size_t i = 0; i < digests.size(); ++i) {
    const size_t granule = place.chunk * kChunkGranules + i;
    if (leaves.substr(granule * Digest::kBytes, Digest::kBytes) == digests[i].AsBytes()) continue;
    return absl::DataLossError(absl::StrCat(Describe(record, place), ", granule ", granule,
                                            ": the bytes are not those that were stored"));
  }
  return absl::OkStatus();
}

}  // namespace carousel
