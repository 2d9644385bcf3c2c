// A YAML text as a tree that remembers where everything was written, keys set twice included.
//
// Job files are plain data: maps, lists and scalars. What makes YAML surprising is refused with its
// place: anchors, aliases, tags, merge keys, several documents, text that is not UTF-8. Size, depth
// and the number of nodes are limited, so a hostile file costs no more than a large one.
//
// Pure functions, safe from any thread. No exception of yaml-cpp leaves this file.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/job/faults.h"

namespace carousel {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };

  Kind kind = Kind::kNull;
  Place place;
  std::string text;                // kScalar: its value, unquoted
  bool quoted = false;             // kScalar: written in quotes, hence no number or boolean
  std::vector<YamlNode> items;     // kSequence
  std::vector<YamlEntry> entries;  // kMap, in the order written, doubles included

  // What it is, for a message: "a list", "a map", "nothing", or the text in quotes.
  std::string Described() const;
};

struct YamlEntry {
  YamlNode key;  // always a scalar
  YamlNode value;
};

inline constexpr size_t kMaxYamlBytes = 256 * 1024;
inline constexpr int kMaxYamlDepth = 32;
inline constexpr int kMaxYamlNodes = 50'000;

// The one document in `text`, or nothing after adding to `faults` what is wrong with it. An empty
// text is an empty map. `source` names it in places.
std::optional<YamlNode> ParseYaml(std::string_view text, const std::string& source, Faults* faults);

}  // namespace carousel
