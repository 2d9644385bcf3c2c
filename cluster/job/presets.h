// Named model shapes. A preset's values stand for every field that a job leaves out.
//
//   xlstm-{125M,350M,760M,1.3B,2.7B}-{1:0,7:1}   Beck et al. 2024, table 7: without sLSTM blocks,
//   and
//                                               with the few at the positions of appendix B
//   xlstm-7B                                    Beck et al. 2025: 6,865,424,896 parameters
//   xlstm-large-{165M,400M,1.4B}                the same architecture at the sizes of its ablations
//   xlstm-{tiny,small}, xlstm-large-{tiny,small}   byte models for a laptop
//
// The papers' models have a vocabulary of 50,304 (a tokenizer's, padded) and an untied head; the
// laptop models 288 (bytes, separators, padding). "[7:1]" is the papers' name for "about one sLSTM
// block in eight": appendix B gives two of 24 blocks and six of 48; for the 64 blocks of 2.7B it
// gives none, six reproduce the printed 2783.3 M, and we put them where the 48-block models do.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/model.pb.h"

namespace carousel {

struct Preset {
  std::string name;
  std::string description;
  ModelSpec model;  // without defaults
};

// In order of family and size. Lives as long as the process.
const std::vector<Preset>& Presets();

// Case is ignored; nullptr if there is none.
const Preset* FindPreset(std::string_view name);

}  // namespace carousel
