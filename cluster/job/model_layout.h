// The parameters of a model: its units in order, and of each unit the tensors in their order at
// rest, with name, shape, initial values and weight decay. The worker builds its blocks from it,
// the coordinator counts with it, checkpoints take their keys from it.
//
// Units are what is partitioned, sharded and digested: 0 the embedding, then the blocks, last the
// final norm with the head. A tied head owns no matrix; it uses the embedding's.
//
// Names and layouts are those of the papers' released weights: `xlstm_block_stack.blocks.{i}.…` for
// the 2024 family (github.com/NX-AI/xlstm), `backbone.blocks.{i}.…` for xlstm_large (Hugging Face
// NX-AI/xLSTM-7b). A linear map is stored [out, in]. Two things to know about the sLSTM:
//  * Gate names are swapped in the released code: the tensor named `fgate.weight` drives the INPUT
//    gate and `igate.weight` the FORGET gate. We keep the names, and so the swap; biases and the
//    recurrent kernel are not swapped.
//  * `_recurrent_kernel_` [NH, DH_in, 4, DH_out] and `_bias_` [NH, 4, DH] are stored in the layout
//    that does not depend on a backend, gates in the order i, f, z, o.
//
// A pure function of a resolved ModelSpec; plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/state_digest.h"
#include "proto/job.pb.h"
#include "proto/model.pb.h"

namespace carousel {

// How a tensor's initial values are drawn. The random ones are functions of (seed, tensor index,
// element), so no order matters.
struct Initializer {
  enum class Kind {
    kConstant,   // a
    kNormal,     // mean 0, standard deviation a
    kUniform,    // in [-a, a)
    kLinspace,   // a ... b over the elements
    kSlstmBias,  // of [NH, 4, DH]: gate f is -(a + (b - a) (j / (DH - 1))^exponent) at unit j of
                 // every head, the other gates are 0 (power law, dependent on the block)
  };
  Kind kind = Kind::kConstant;
  double a = 0;
  double b = 0;
  double exponent = 1;
};

struct TensorLayout {
  std::string name;
  std::vector<int64_t> shape;
  Initializer init;
  bool decays_nxai = false;         // under WeightDecayRule NXAI
  bool decays_kernel_only = false;  // under WeightDecayRule KERNEL_ONLY
  int index = 0;                    // number of the tensor in the model

  int64_t Elements() const;
  int64_t Bytes() const { return Elements() * static_cast<int64_t>(sizeof(float)); }
  int64_t Granules() const { return GranuleCount(Elements()); }
  int64_t Chunks() const { return (Granules() + kChunkGranules - 1) / kChunkGranules; }
  bool Decays(WeightDecayRule rule) const {
    return rule == KERNEL_ONLY ? decays_kernel_only : decays_nxai;
  }
};

enum class UnitKind {
  kEmbedding,
  kMlstmBlock,       // XLSTM: pre-up-projection
  kSlstmBlock,       // XLSTM: post-up-projection
  kLargeMlstmBlock,  // XLSTM_LARGE
  kHead,             // final norm and head
};

struct UnitLayout {
  UnitKind kind = UnitKind::kEmbedding;
  int block = -1;  // number of the block; -1: not one
  std::vector<TensorLayout> tensors;

  int64_t Elements() const;
  int64_t Bytes() const;
  int64_t Granules() const;
};

struct ModelLayout {
  std::vector<UnitLayout> units;
  bool tied_head = false;  // the last unit's matrix is tensor 0 of unit 0

  int64_t Elements() const;  // parameters of the model
  int64_t Bytes() const;
};

// Widths that follow from a ModelSpec. Those of the other family are 0.
struct ModelWidths {
  int64_t mlstm_inner = 0;  // XLSTM: rows of proj_up / 2
  int64_t qk = 0;           // NH * DQK
  int64_t v = 0;            // NH * DHV
  int64_t ffn = 0;          // gated feed-forward: of sLSTM blocks, or of XLSTM_LARGE
};
ModelWidths WidthsOf(const ModelSpec& model);

// `model` is resolved and valid (cluster/job/resolve.h).
ModelLayout LayOut(const ModelSpec& model);

// Size of the blocks of the XLSTM family's q, k and v maps, and taps of its convolution.
inline constexpr int64_t kQkvBlock = 4;
inline constexpr int64_t kConvKernel = 4;

}  // namespace carousel
