#include "cluster/job/field_checks.h"

#include <algorithm>

#include "cluster/counted.h"
#include "cluster/job/scalars.h"

namespace carousel {
namespace {

bool IsFlag(const Place& place) { return place.line == 0 && place.source.starts_with("--"); }

}  // namespace

bool FieldChecks::Integer(std::string_view path, bool is_set, int64_t value, int64_t least,
                          int64_t most) {
  if (!is_set) {
    Missing(path, "it has no default");
    return false;
  }
  if (value < least) {
    Add(path, std::to_string(value) + " is below the least allowed, " + std::to_string(least));
  } else if (value > most) {
    Add(path, std::to_string(value) + " is above the limit of " + Grouped(most));
  }
  return value >= least && value <= most;
}

bool FieldChecks::Number(std::string_view path, bool is_set, double value, double least,
                         double most) {
  if (!is_set) {
    Missing(path, "it has no default");
    return false;
  }
  const bool fits = value >= least && value <= most;  // false for NaN, which a message can hold
  if (!fits) {
    Add(path, NumberText(value) + " is outside its limits, " + NumberText(least) + " to " +
                  NumberText(most));
  }
  return fits;
}

bool FieldChecks::Above(std::string_view path, bool is_set, double value, double least,
                        double most) {
  if (is_set && value == least) {
    Add(path, NumberText(value) + " is not above " + NumberText(least));
    return false;
  }
  return Number(path, is_set, value, least, most);
}

void FieldChecks::Missing(std::string_view path, std::string_view remedy) {
  if (draft_->places.Has(path)) return;
  Add(path, "missing", remedy);
}

void FieldChecks::Add(std::string_view path, std::string_view problem, std::string_view remedy) {
  draft_->faults.Add(draft_->places.Find(path), path, problem, remedy);
}

std::string FieldChecks::Origin(std::string_view path, const std::string& value) const {
  const Place place = draft_->places.Find(path);
  return IsFlag(place) ? value + " (from " + place.source + ")" : value;
}

std::string FieldChecks::Blamed(std::initializer_list<std::string_view> paths) const {
  const FieldPlaces& places = draft_->places;
  auto blamed = std::find_if(paths.begin(), paths.end(),
                             [&](std::string_view path) { return IsFlag(places.Find(path)); });
  if (blamed == paths.end()) {
    blamed = std::find_if(paths.begin(), paths.end(),
                          [&](std::string_view path) { return places.Has(path); });
  }
  return std::string(blamed == paths.end() ? *paths.begin() : *blamed);
}

std::string NearestThatFit(int64_t value, int64_t least, int64_t most,
                           const std::function<bool(int64_t)>& fits) {
  std::vector<std::string> candidates;
  for (int64_t below = std::min(value - 1, most); below >= least; --below) {
    if (!fits(below)) continue;
    candidates.push_back(std::to_string(below));
    break;
  }
  for (int64_t above = std::max(value + 1, least); above <= most; ++above) {
    if (!fits(above)) continue;
    candidates.push_back(std::to_string(above));
    break;
  }
  return NearestThatFit(candidates);
}

std::string NearestThatFit(const std::vector<std::string>& candidates) {
  if (candidates.empty()) return {};
  if (candidates.size() == 1) return "the nearest that fits is " + candidates[0];
  return "the nearest that fit are " + candidates[0] + " and " + candidates[1];
}

}  // namespace carousel
