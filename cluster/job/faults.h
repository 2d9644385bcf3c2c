// What is wrong with a document, all of it at once. A fault names its place (file, line, column, or
// the flag it came with), the field's path, the problem with value and limit, and the way out:
//
//   job.yaml:4:3: model.num_bloks: unknown field; did you mean "num_blocks"?
//
// Plain values; not thread-safe.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace carousel {

// Where something was written. Lines and columns count from 1; 0: unknown. `source` is a file's
// name or a flag with its value.
struct Place {
  std::string source;
  int line = 0;
  int column = 0;

  std::string Text() const;  // "job.yaml:4:3", "--steps 6", or empty
  friend bool operator==(const Place&, const Place&) = default;
};

class Faults {
 public:
  // `path` and `remedy` may be empty. The same complaint at the same place is kept once.
  void Add(const Place& place, std::string_view path, std::string_view problem,
           std::string_view remedy = {});

  bool empty() const { return faults_.empty(); }
  size_t size() const { return faults_.size(); }

  // OK, or kInvalidArgument with one fault a line, in the order of their places. A document that is
  // wrong all over is cut after kShown.
  absl::Status ToStatus() const;

  static constexpr size_t kShown = 50;

 private:
  struct Fault {
    Place place;
    std::string text;
  };
  std::vector<Fault> faults_;
  std::set<std::string> texts_;
};

// Where each field of a message was written, by path ("model.slstm_at[1]").
class FieldPlaces {
 public:
  void Set(const std::string& path, const Place& place) { places_[path] = place; }
  // What was written in a message's place is none: all its fields count as written, wrongly.
  void Spoil(const std::string& path) { spoilt_.insert(path); }

  // Was the field written, rightly or wrongly?
  bool Has(std::string_view path) const;

  // The field's place; if it was not written, that of the innermost message around it that was.
  Place Find(std::string_view path) const;

 private:
  std::map<std::string, Place> places_;
  std::set<std::string> spoilt_;  // paths of messages
};

// `did you mean "num_blocks"?` for the candidate that is nearest to `word` or begins with it, or an
// empty string if none is near. Case is ignored.
std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates);

// `word` in double quotes, shortened and made printable.
std::string Quoted(std::string_view word);

}  // namespace carousel
