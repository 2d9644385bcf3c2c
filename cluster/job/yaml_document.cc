#include "cluster/job/yaml_document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <utility>

#include "cluster/counted.h"

namespace carousel {
namespace {

// Thrown by the builder to leave the parser at the first thing that makes the rest meaningless.
struct Abandon {};

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& source, Faults* faults) : source_(source), faults_(faults) {}

  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseAnchor(mark, anchor);
    Add(NewNode(YamlNode::Kind::kNull, mark));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark, "an alias (*name) is not allowed", "write the value out");
    Add(NewNode(YamlNode::Kind::kNull, mark));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    RefuseAnchor(mark, anchor);
    if (tag != "?" && tag != "!" && !tag.empty()) RefuseTag(mark, tag);
    YamlNode node = NewNode(YamlNode::Kind::kScalar, mark);
    node.text = value;
    node.quoted = tag == "!";
    if (!node.quoted && (value == "null" || value == "~")) node.kind = YamlNode::Kind::kNull;
    Add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kSequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  // A collection being filled. In a map, `key` waits for its value.
  struct Level {
    YamlNode node;
    std::optional<YamlNode> key;
  };

  Place PlaceOf(const YAML::Mark& mark) const { return {source_, mark.line + 1, mark.column + 1}; }

  void Refuse(const YAML::Mark& mark, std::string_view problem, std::string_view remedy) {
    faults_->Add(PlaceOf(mark), "", problem, remedy);
  }

  void RefuseAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      Refuse(mark, "an anchor (&name) is not allowed", "write the value out where it is used");
    }
  }

  void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    Refuse(mark, "the tag " + Quoted(tag) + " is not allowed",
           "remove it: each field has its type already");
  }

  YamlNode NewNode(YamlNode::Kind kind, const YAML::Mark& mark) {
    if (++nodes_ > kMaxYamlNodes) {
      Refuse(mark, "more than " + std::to_string(kMaxYamlNodes) + " values",
             "a job file has some dozens");
      throw Abandon();
    }
    YamlNode node;
    node.kind = kind;
    node.place = PlaceOf(mark);
    return node;
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    RefuseAnchor(mark, anchor);
    if (tag != "?" && tag != "!" && !tag.empty()) RefuseTag(mark, tag);
    if (levels_.size() >= static_cast<size_t>(kMaxYamlDepth)) {
      Refuse(mark, "nested deeper than " + std::to_string(kMaxYamlDepth) + " levels",
             "a job file needs three");
      throw Abandon();
    }
    levels_.push_back({NewNode(kind, mark), std::nullopt});
  }

  void Close() {
    YamlNode node = std::move(levels_.back().node);
    levels_.pop_back();
    Add(std::move(node));
  }

  void Add(YamlNode node) {
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (level.node.kind == YamlNode::Kind::kSequence) {
      level.node.items.push_back(std::move(node));
    } else if (level.key) {
      // yaml-cpp does not say where nothing is.
      if (node.kind == YamlNode::Kind::kNull) node.place = level.key->place;
      level.node.entries.push_back({std::move(*level.key), std::move(node)});
      level.key.reset();
    } else {
      if (node.kind != YamlNode::Kind::kScalar) {
        faults_->Add(node.place, "", "the name of a field must be a word", "");
      }
      level.key = std::move(node);
    }
  }

  const std::string source_;
  Faults* const faults_;
  std::vector<Level> levels_;
  YamlNode root_;
  int nodes_ = 0;
};

// The offset of the first byte that no job file may contain: not UTF-8, or a control character.
std::optional<size_t> FirstBadByte(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = text[i];
    size_t length = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c >= 0x80 && (c < 0xc2 || c > 0xf4)) return i;
    if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f) return i;
    if (i + length > text.size()) return i;
    for (size_t j = 1; j < length; ++j) {
      if ((static_cast<unsigned char>(text[i + j]) & 0xc0) != 0x80) return i;
    }
    i += length;
  }
  return std::nullopt;
}

Place PlaceOfOffset(std::string_view text, size_t offset, const std::string& source) {
  Place place{source, 1, 1};
  for (char c : text.substr(0, offset)) {
    ++place.column;
    if (c == '\n') place = {source, place.line + 1, 1};
  }
  return place;
}

// Where the line of `place`, or one above it, holds a tab among the blanks that indent it. YAML
// does not take it for indentation, and what follows makes no sense for a reason that cannot be
// seen.
std::optional<Place> TabBefore(std::string_view text, const Place& place) {
  int line = 1;
  for (size_t start = 0; start < text.size() && line <= place.line; ++line) {
    const size_t tab = text.find_first_not_of(' ', start);
    const size_t end = std::min(text.find('\n', start), text.size());
    const size_t word = text.find_first_not_of(" \t\r", start);
    const bool indents = word < end && text[word] != '#';
    if (indents && text[tab] == '\t') {
      return Place{place.source, line, static_cast<int>(tab - start) + 1};
    }
    start = end + 1;
  }
  return std::nullopt;
}

bool Acceptable(std::string_view text, const std::string& source, Faults* faults) {
  if (text.size() > kMaxYamlBytes) {
    faults->Add({source, 0, 0}, "", "is larger than the limit of " + Counted(kMaxYamlBytes, "byte"),
                "is this a job file?");
    return false;
  }
  if (auto bad = FirstBadByte(text)) {
    faults->Add(PlaceOfOffset(text, *bad, source), "", "not UTF-8 text, or a control character",
                "is this a job file?");
    return false;
  }
  return true;
}

}  // namespace

std::string YamlNode::Described() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return Quoted(text);
    case Kind::kSequence:
      return "a list";
    case Kind::kMap:
      return "a map";
  }
  return "nothing";
}

std::optional<YamlNode> ParseYaml(std::string_view text, const std::string& source,
                                  Faults* faults) {
  if (!Acceptable(text, source, faults)) return std::nullopt;
  const size_t before = faults->size();
  TreeBuilder builder(source, faults);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) {
      YamlNode empty;
      empty.kind = YamlNode::Kind::kMap;
      empty.place = {source, 1, 1};
      return empty;
    }
    YamlNode root = builder.TakeRoot();
    TreeBuilder rest(source, faults);
    if (parser.HandleNextDocument(rest)) {
      faults->Add(rest.TakeRoot().place, "", "a second document begins here",
                  "one job file holds one job");
    }
    if (faults->size() > before) return std::nullopt;
    return root;
  } catch (const YAML::Exception& error) {
    const Place place = {source, error.mark.line + 1, error.mark.column + 1};
    if (const auto tab = TabBefore(text, place)) {
      faults->Add(*tab, "", "line " + std::to_string(tab->line) + " holds a tab",
                  "YAML is indented with spaces");
    } else {
      faults->Add(place, "", "this is not YAML: " + error.msg,
                  "look here and at the line before: is a colon or a bracket missing, an "
                  "indentation uneven, or a text with : # * & to be put in quotes?");
    }
  } catch (const Abandon&) {
    // Its fault is already written down.
  } catch (const std::exception& error) {
    faults->Add({source, 0, 0}, "", std::string("the YAML reader failed: ") + error.what(), "");
  }
  return std::nullopt;
}

}  // namespace carousel
