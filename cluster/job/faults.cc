#include "cluster/job/faults.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <tuple>

namespace carousel {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

// Levenshtein's distance, one row at a time.
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row.back();
}

// The path of the message or list that `path` is in; of the whole job, that is "".
std::string Around(const std::string& path) {
  const size_t cut = path.find_last_of(".[");
  return cut == std::string::npos ? "" : path.substr(0, cut);
}

}  // namespace

std::string Place::Text() const {
  std::string text = source;
  if (line > 0) text += ":" + std::to_string(line) + ":" + std::to_string(column);
  return text;
}

void Faults::Add(const Place& place, std::string_view path, std::string_view problem,
                 std::string_view remedy) {
  std::string text = place.Text();
  for (std::string_view part : {path, problem}) {
    if (part.empty()) continue;
    if (!text.empty()) text += ": ";
    text += part;
  }
  if (!remedy.empty()) text += "; " + std::string(remedy);
  if (texts_.insert(text).second) faults_.push_back({place, text});
}

absl::Status Faults::ToStatus() const {
  if (faults_.empty()) return absl::OkStatus();
  std::vector<Fault> sorted = faults_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Fault& a, const Fault& b) {
    // Flags come after files, whatever their names.
    return std::make_tuple(a.place.line == 0, a.place.line, a.place.column) <
           std::make_tuple(b.place.line == 0, b.place.line, b.place.column);
  });
  std::string text;
  for (size_t i = 0; i < std::min(sorted.size(), kShown); ++i) {
    text += (i > 0 ? "\n" : "") + sorted[i].text;
  }
  if (sorted.size() > kShown) {
    text += "\n… and " + std::to_string(sorted.size() - kShown) + " more; correct these first";
  }
  return absl::InvalidArgumentError(text);
}

bool FieldPlaces::Has(std::string_view path) const {
  std::string prefix(path);
  if (places_.contains(prefix)) return true;
  while (!prefix.empty()) {
    prefix = Around(prefix);
    if (spoilt_.contains(prefix)) return true;
  }
  return false;
}

Place FieldPlaces::Find(std::string_view path) const {
  std::string prefix(path);
  while (true) {
    if (auto it = places_.find(prefix); it != places_.end()) return it->second;
    if (prefix.empty()) return {};
    prefix = Around(prefix);
  }
}

std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.size() > 64) return {};
  const std::string lower = Lower(word);
  std::string best;
  // Two letters swapped are two edits; in a word of three letters that is another word.
  size_t best_distance = (word.size() < 4 ? 1 : std::max<size_t>(2, word.size() / 3)) + 1;
  for (const std::string& candidate : candidates) {
    const bool begins = lower.size() >= 4 && Lower(candidate).starts_with(lower);
    const size_t distance = begins ? 1 : EditDistance(lower, Lower(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best.empty() ? std::string() : "did you mean \"" + best + "\"?";
}

std::string Quoted(std::string_view word) {
  constexpr size_t kLongest = 60;
  std::string text = "\"";
  for (char c : word.substr(0, kLongest)) {
    text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  if (word.size() > kLongest) {
    // Not in the middle of a UTF-8 sequence.
    while (text.size() > 1 && (static_cast<unsigned char>(text.back()) & 0x80)) text.pop_back();
    text += "…";
  }
  return text + "\"";
}

}  // namespace carousel
