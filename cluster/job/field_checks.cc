#include "cluster/job/field_checks.h"

#include "cluster/job/scalars.h"

namespace carousel {

bool FieldChecks::Integer(std::string_view path, bool is_set, int64_t value, int64_t least,
                          int64_t most) {
  if (!is_set) {
    Missing(path, "it has no default");
    return false;
  }
  if (value < least) {
    Add(path, std::to_string(value) + " is below the least allowed, " + std::to_string(least));
  } else if (value > most) {
    Add(path, std::to_string(value) + " is above the limit of " + WithCommas(most));
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
  if (draft_->places.Has(std::string(path))) return;
  Add(path, "missing", remedy);
}

void FieldChecks::Add(std::string_view path, std::string_view problem, std::string_view remedy) {
  draft_->faults.Add(draft_->places.Find(path), path, problem, remedy);
}

std::string FieldChecks::Origin(std::string_view path, const std::string& value) const {
  const Place place = draft_->places.Find(path);
  const bool is_flag = place.line == 0 && place.source.starts_with("--");
  return is_flag ? value + " (from " + place.source + ")" : value;
}

}  // namespace carousel
