#include "cluster/job/overrides.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "cluster/check.h"
#include "cluster/counted.h"
#include "cluster/job/yaml_writer.h"

namespace carousel {
namespace {

constexpr std::string_view kExample = "write it as --set pipeline.stages=2";

// One step of a path: a field's name, then perhaps an index.
struct Step {
  std::string name;
  std::optional<size_t> index;
};

bool IsWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::optional<Step> ParseStep(std::string_view text) {
  Step step;
  if (const size_t bracket = text.find('['); bracket != std::string_view::npos) {
    if (text.back() != ']') return std::nullopt;
    const std::string_view digits = text.substr(bracket + 1, text.size() - bracket - 2);
    uint32_t index = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
      return std::nullopt;
    }
    step.index = index;
    text = text.substr(0, bracket);
  }
  if (text.empty() || !std::all_of(text.begin(), text.end(), IsWordCharacter)) return std::nullopt;
  step.name = std::string(text);
  return step;
}

std::optional<std::vector<Step>> ParsePath(std::string_view path) {
  std::vector<Step> steps;
  while (true) {
    const size_t dot = path.find('.');
    auto step = ParseStep(path.substr(0, dot));
    if (!step || steps.size() >= static_cast<size_t>(kMaxYamlDepth)) return std::nullopt;
    steps.push_back(*std::move(step));
    if (dot == std::string_view::npos) return steps;
    path.remove_prefix(dot + 1);
  }
}

YamlNode EmptyMap(const Place& place) {
  YamlNode node;
  node.kind = YamlNode::Kind::kMap;
  node.place = place;
  return node;
}

// The value of `name` in `map`, made if absent. A name that the file set twice stays a fault there.
YamlNode* Child(const std::string& name, const Place& place, YamlNode* map) {
  for (YamlEntry& entry : map->entries) {
    if (entry.key.text == name) return &entry.value;
  }
  YamlNode key;
  key.kind = YamlNode::Kind::kScalar;
  key.text = name;
  key.place = place;
  map->entries.push_back({std::move(key), EmptyMap(place)});
  return &map->entries.back().value;
}

void Remove(std::string_view path, YamlNode* map) {
  const size_t dot = path.find('.');
  const auto is_named = [name = path.substr(0, dot)](const YamlEntry& entry) {
    return entry.key.text == name;
  };
  if (dot == std::string_view::npos) {
    std::erase_if(map->entries, is_named);
    return;
  }
  for (YamlEntry& entry : map->entries) {
    if (is_named(entry)) Remove(path.substr(dot + 1), &entry.value);
  }
}

void Apply(const Override& change, const YamlDialect& dialect, YamlNode* document, Faults* faults) {
  const Place place{change.flag, 0, 0};
  const auto steps = ParsePath(change.path);
  if (!steps) {
    faults->Add(place, "", Quoted(change.path) + " is not the path of a field", kExample);
    return;
  }
  auto value = ParseYaml(change.value, change.flag, faults);
  if (!value) return;
  if (change.value.empty()) value->kind = YamlNode::Kind::kNull;
  // A place inside a flag's value helps nobody.
  value->place = place;
  for (YamlNode& item : value->items) item.place = place;

  YamlNode* node = document;
  std::string path;
  for (const Step& step : *steps) {
    if (node->kind != YamlNode::Kind::kMap) {
      // `data: 3` in the file and --set data.batch_size=4: the override wins.
      *node = EmptyMap(place);
    }
    path += (path.empty() ? "" : ".") + step.name;
    node = Child(step.name, place, node);
    if (!step.index) continue;
    if (node->kind != YamlNode::Kind::kSequence || *step.index > node->items.size()) {
      const bool list = node->kind == YamlNode::Kind::kSequence;
      faults->Add(place, path,
                  list ? "has " + Counted(static_cast<int64_t>(node->items.size()), "element") +
                             ", so index " + std::to_string(*step.index) + " cannot be set"
                       : "is not a list in the job file",
                  "set the whole list: --set " + path + "=[...]");
      return;
    }
    if (*step.index == node->items.size()) node->items.push_back(EmptyMap(place));
    node = &node->items[*step.index];
  }
  *node = *std::move(value);
  if (node->kind == YamlNode::Kind::kNull) return;  // names nothing; the loader says so
  for (const auto& [path_of_one, replaced] : dialect.replacements) {
    if (path_of_one != change.path) continue;
    for (const std::string& other : replaced) Remove(other, document);
  }
}

}  // namespace

absl::StatusOr<Override> ParseOverride(std::string_view assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return absl::InvalidArgumentError("--set " + std::string(assignment) +
                                      ": expected path=value; " + std::string(kExample));
  }
  return Override{"--set " + std::string(assignment), std::string(assignment.substr(0, equals)),
                  std::string(assignment.substr(equals + 1))};
}

Override StepsOverride(std::string_view steps) {
  return {"--steps " + std::string(steps), "steps", std::string(steps)};
}

void ApplyOverrides(const std::vector<Override>& overrides, const YamlDialect& dialect,
                    YamlNode* document, Faults* faults) {
  if (document->kind != YamlNode::Kind::kMap) return;  // the loader says so
  for (const Override& change : overrides) Apply(change, dialect, document, faults);
}

absl::Status OverrideMessage(const std::vector<Override>& overrides, std::string_view allowed,
                             const YamlDialect& dialect, google::protobuf::Message* message) {
  Faults faults;
  for (const Override& change : overrides) {
    if (!change.path.starts_with(allowed)) {
      faults.Add({change.flag, 0, 0}, change.path, "cannot be changed here",
                 "only " + std::string(allowed) + "* can; what fixes the result stays as it is");
    }
  }
  // Through YAML and back, which is exact, so that an index reaches into an existing list.
  auto document = ParseYaml(ToYaml(*message, dialect), "", &faults);
  CAROUSEL_CHECK(document.has_value());
  ApplyOverrides(overrides, dialect, &*document, &faults);
  std::unique_ptr<google::protobuf::Message> changed(message->New());
  FieldPlaces places;
  LoadYaml(*document, dialect, changed.get(), &places, &faults);
  if (absl::Status status = faults.ToStatus(); !status.ok()) return status;
  message->CopyFrom(*changed);
  return absl::OkStatus();
}

}  // namespace carousel
