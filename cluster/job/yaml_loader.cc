#include "cluster/job/yaml_loader.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/reflection.h>

#include <cctype>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string_view>

#include "cluster/counted.h"
#include "cluster/job/scalars.h"

namespace carousel {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Kind = YamlNode::Kind;

bool IsUnspecified(const EnumValueDescriptor& value) {
  return value.number() == 0 && value.name().ends_with("_UNSPECIFIED");
}

// Case and the choice of - or _ do not matter in an enum value's name.
std::string Normalised(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text;
}

std::string Listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

class Loader {
 public:
  Loader(const YamlDialect& dialect, FieldPlaces* places, Faults* faults)
      : dialect_(dialect), places_(places), faults_(faults) {}

  void LoadMessage(const YamlNode& node, const std::string& path, Message* message);

 private:
  void LoadField(const YamlEntry& entry, const std::string& path, const FieldDescriptor& field,
                 Message* message);
  void LoadList(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                Message* message);
  void LoadMap(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
               Message* message);
  // One value: sets the field, or adds to it if it is repeated.
  void LoadValue(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                 Message* message);
  void LoadInteger(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                   Message* message);
  void LoadNumber(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                  Message* message);
  void LoadBool(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                Message* message);
  void LoadEnum(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                Message* message);
  void LoadString(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                  Message* message);

  const EnumValueDescriptor* FindEnumValue(const EnumDescriptor& type, std::string_view name);
  void Unexpected(const YamlNode& node, const std::string& path, const std::string& expected);

  const YamlDialect& dialect_;
  FieldPlaces* const places_;
  Faults* const faults_;
};

void Loader::Unexpected(const YamlNode& node, const std::string& path,
                        const std::string& expected) {
  std::string remedy;
  if (node.kind == Kind::kNull) remedy = "write a value, or remove the line to get the default";
  if (node.kind == Kind::kScalar && node.quoted) remedy = "remove the quotes";
  faults_->Add(node.place, path, "expected " + expected + ", got " + node.Described(), remedy);
}

std::vector<std::string> FieldNames(const Descriptor& type) {
  std::vector<std::string> names(type.field_count());
  for (int i = 0; i < type.field_count(); ++i) names[i] = type.field(i)->name();
  return names;
}

void Loader::LoadMessage(const YamlNode& node, const std::string& path, Message* message) {
  const Descriptor& type = *message->GetDescriptor();
  const std::vector<std::string> names = FieldNames(type);
  const std::string prefix = path.empty() ? "" : path + ".";
  if (node.kind != Kind::kMap) {
    places_->Spoil(path);
    return Unexpected(node, path, "a map with some of: " + Listed(names));
  }
  places_->Set(path, node.place);
  std::map<std::string, const YamlNode*> seen;
  for (const YamlEntry& entry : node.entries) {
    const std::string& name = entry.key.text;
    const std::string field_path = prefix + name;
    const FieldDescriptor* field = type.FindFieldByName(name);
    if (field == nullptr) {
      std::string remedy = DidYouMean(name, names);
      if (remedy.empty()) remedy = "known here: " + Listed(names);
      faults_->Add(entry.key.place, path, "unknown field " + Quoted(name), remedy);
      continue;
    }
    const auto [first, is_new] = seen.emplace(name, &entry.key);
    if (!is_new) {
      faults_->Add(entry.key.place, field_path,
                   "set twice (first on line " + std::to_string(first->second->place.line) + ")",
                   "remove one of the two");
      continue;
    }
    LoadField(entry, field_path, *field, message);
  }
}

void Loader::LoadField(const YamlEntry& entry, const std::string& path,
                       const FieldDescriptor& field, Message* message) {
  places_->Set(path, entry.value.place);
  const Reflection& reflection = *message->GetReflection();
  if (const auto* oneof = field.real_containing_oneof()) {
    const FieldDescriptor* other = reflection.GetOneofFieldDescriptor(*message, oneof);
    if (other != nullptr && other != &field) {
      faults_->Add(entry.key.place, path, "excludes \"" + other->name() + "\", which is set too",
                   "keep one of the two");
      return;
    }
  }
  if (field.is_map()) return LoadMap(entry.value, path, field, message);
  if (field.is_repeated()) return LoadList(entry.value, path, field, message);
  LoadValue(entry.value, path, field, message);
}

void Loader::LoadList(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                      Message* message) {
  if (node.kind != Kind::kSequence) return Unexpected(node, path, "a list such as [1, 3]");
  message->GetReflection()->ClearField(message, &field);
  for (size_t i = 0; i < node.items.size(); ++i) {
    const std::string item_path = path + "[" + std::to_string(i) + "]";
    places_->Set(item_path, node.items[i].place);
    LoadValue(node.items[i], item_path, field, message);
  }
  // Without the faulty elements the others would stand in wrong places.
  const Reflection& reflection = *message->GetReflection();
  if (static_cast<size_t>(reflection.FieldSize(*message, &field)) < node.items.size()) {
    reflection.ClearField(message, &field);
  }
}

void Loader::LoadMap(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                     Message* message) {
  if (node.kind != Kind::kMap) return Unexpected(node, path, "a map");
  const Reflection& reflection = *message->GetReflection();
  reflection.ClearField(message, &field);
  std::map<std::string, int> seen;
  for (const YamlEntry& entry : node.entries) {
    const std::string entry_path = path + "." + entry.key.text;
    if (seen[entry.key.text]++ > 0) {
      faults_->Add(entry.key.place, entry_path, "set twice", "remove one of the two");
      continue;
    }
    places_->Set(entry_path, entry.value.place);
    Message* pair = reflection.AddMessage(message, &field);
    LoadValue(entry.key, entry_path, *field.message_type()->map_key(), pair);
    LoadValue(entry.value, entry_path, *field.message_type()->map_value(), pair);
  }
}

void Loader::LoadValue(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                       Message* message) {
  const Reflection& reflection = *message->GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (node.kind == Kind::kMap || !field.is_repeated()) {
        return LoadMessage(node, path,
                           field.is_repeated() ? reflection.AddMessage(message, &field)
                                               : reflection.MutableMessage(message, &field));
      }
      return Unexpected(node, path, "a map");
    case FieldDescriptor::CPPTYPE_BOOL:
      return LoadBool(node, path, field, message);
    case FieldDescriptor::CPPTYPE_ENUM:
      return LoadEnum(node, path, field, message);
    case FieldDescriptor::CPPTYPE_STRING:
      return LoadString(node, path, field, message);
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return LoadNumber(node, path, field, message);
    default:
      return LoadInteger(node, path, field, message);
  }
}

template <class T>
bool Fits(int64_t value) {
  if constexpr (std::is_unsigned_v<T>) {
    return value >= 0 && static_cast<uint64_t>(value) <= std::numeric_limits<T>::max();
  } else {
    return value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max();
  }
}

void Loader::LoadInteger(const YamlNode& node, const std::string& path,
                         const FieldDescriptor& field, Message* message) {
  const bool is_word = node.kind == Kind::kScalar && !node.quoted;
  const std::optional<int64_t> value = is_word ? ParseInteger(node.text) : std::nullopt;
  if (!value && is_word && IsInteger(node.text)) {
    faults_->Add(node.place, path, Quoted(node.text) + " is beyond the integers of 64 bits",
                 "the greatest is " + Grouped(std::numeric_limits<int64_t>::max()));
    return;
  }
  if (!value) return Unexpected(node, path, "an integer (12, 4_096, 300B)");
  const Reflection& reflection = *message->GetReflection();
  bool fits = true;
  const auto set = [&]<class T>(T, auto setter, auto adder) {
    fits = Fits<T>(*value);
    if (!fits) return;
    const auto number = static_cast<T>(*value);
    (reflection.*(field.is_repeated() ? adder : setter))(message, &field, number);
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      set(int32_t{}, &Reflection::SetInt32, &Reflection::AddInt32);
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      set(uint32_t{}, &Reflection::SetUInt32, &Reflection::AddUInt32);
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      set(uint64_t{}, &Reflection::SetUInt64, &Reflection::AddUInt64);
      break;
    default:
      set(int64_t{}, &Reflection::SetInt64, &Reflection::AddInt64);
      break;
  }
  if (!fits) {
    faults_->Add(node.place, path,
                 Quoted(node.text) + " does not fit a field of type " + field.cpp_type_name(), "");
  }
}

void Loader::LoadNumber(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                        Message* message) {
  const bool duration = field.name().ends_with("_seconds");
  std::optional<double> value;
  if (node.kind == Kind::kScalar && !node.quoted) {
    value = duration ? ParseDuration(node.text) : ParseNumber(node.text);
  }
  if (!value) {
    return Unexpected(
        node, path, duration ? "a duration (30s, 10min, 2h, or seconds)" : "a number (0.1, 3e-4)");
  }
  const Reflection& reflection = *message->GetReflection();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    field.is_repeated() ? reflection.AddDouble(message, &field, *value)
                        : reflection.SetDouble(message, &field, *value);
    return;
  }
  const auto narrow = static_cast<float>(*value);
  if (!std::isfinite(narrow)) {
    faults_->Add(node.place, path, Quoted(node.text) + " does not fit a field of type float", "");
    return;
  }
  field.is_repeated() ? reflection.AddFloat(message, &field, narrow)
                      : reflection.SetFloat(message, &field, narrow);
}

void Loader::LoadBool(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                      Message* message) {
  const bool is_word = node.kind == Kind::kScalar && !node.quoted;
  if (!is_word || (node.text != "true" && node.text != "false")) {
    return Unexpected(node, path, "true or false");
  }
  const bool value = node.text == "true";
  const Reflection& reflection = *message->GetReflection();
  field.is_repeated() ? reflection.AddBool(message, &field, value)
                      : reflection.SetBool(message, &field, value);
}

const EnumValueDescriptor* Loader::FindEnumValue(const EnumDescriptor& type,
                                                 std::string_view name) {
  const std::string wanted = Normalised(name);
  for (const auto& alias : dialect_.enum_aliases) {
    if (alias.enum_name == type.name() && Normalised(alias.written) == wanted) {
      return type.FindValueByName(alias.value);
    }
  }
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor& value = *type.value(i);
    if (!IsUnspecified(value) && Normalised(value.name()) == wanted) return &value;
  }
  return nullptr;
}

void Loader::LoadEnum(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                      Message* message) {
  const EnumDescriptor& type = *field.enum_type();
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    const std::string name = dialect_.NameOf(*type.value(i));
    if (!name.empty()) names.push_back(name);
  }
  if (node.kind != Kind::kScalar) return Unexpected(node, path, "one of: " + Listed(names));
  const EnumValueDescriptor* value = FindEnumValue(type, node.text);
  if (value == nullptr) {
    faults_->Add(node.place, path, Quoted(node.text) + " is not one of: " + Listed(names),
                 DidYouMean(node.text, names));
    return;
  }
  const Reflection& reflection = *message->GetReflection();
  field.is_repeated() ? reflection.AddEnum(message, &field, value)
                      : reflection.SetEnum(message, &field, value);
}

void Loader::LoadString(const YamlNode& node, const std::string& path, const FieldDescriptor& field,
                        Message* message) {
  if (node.kind != Kind::kScalar) return Unexpected(node, path, "a text");
  const Reflection& reflection = *message->GetReflection();
  field.is_repeated() ? reflection.AddString(message, &field, node.text)
                      : reflection.SetString(message, &field, node.text);
}

}  // namespace

std::string YamlDialect::NameOf(const EnumValueDescriptor& value) const {
  for (const EnumAlias& alias : enum_aliases) {
    if (alias.enum_name == value.type()->name() && alias.value == value.name()) {
      return alias.written;
    }
  }
  return IsUnspecified(value) ? std::string() : Normalised(value.name());
}

void LoadYaml(const YamlNode& root, const YamlDialect& dialect, Message* message,
              FieldPlaces* places, Faults* faults) {
  Loader(dialect, places, faults).LoadMessage(root, "", message);
}

}  // namespace carousel
