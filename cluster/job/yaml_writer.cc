#include "cluster/job/yaml_writer.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/reflection.h>
#include <google/protobuf/util/json_util.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <string_view>

#include "cluster/check.h"
#include "cluster/job/scalars.h"

namespace carousel {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// True if any YAML reader takes the bare word for this very text.
bool IsPlainWord(std::string_view text) {
  if (text.empty() || (!std::isalpha(static_cast<unsigned char>(text[0])) && text[0] != '/')) {
    return false;
  }
  for (std::string_view taken : {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}) {
    std::string lower(text);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (lower == taken) return false;
  }
  for (char c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c)) &&
        std::string_view("_-./").find(c) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

std::string TextOf(std::string_view text) {
  if (IsPlainWord(text)) return std::string(text);
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      std::array<char, 8> escape;
      std::snprintf(escape.data(), escape.size(), "\\x%02x", static_cast<unsigned char>(c));
      quoted += escape.data();
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

class Writer {
 public:
  explicit Writer(const YamlDialect& dialect) : dialect_(dialect) {}

  void WriteMessage(const Message& message, const std::string& indent);
  std::string Take() { return std::move(text_); }

 private:
  void WriteField(const Message& message, const FieldDescriptor& field, const std::string& indent);
  void WriteMap(const Message& message, const FieldDescriptor& field, const std::string& indent);
  void WriteList(const Message& message, const FieldDescriptor& field, const std::string& indent);
  // `index` < 0: a field that is not repeated.
  std::string Scalar(const Message& message, const FieldDescriptor& field, int index) const;

  const YamlDialect& dialect_;
  std::string text_;
};

bool IsWritten(const Message& message, const FieldDescriptor& field) {
  return field.is_repeated() || !field.has_presence() ||
         message.GetReflection()->HasField(message, &field);
}

void Writer::WriteMessage(const Message& message, const std::string& indent) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (IsWritten(message, field)) WriteField(message, field, indent);
  }
}

void Writer::WriteField(const Message& message, const FieldDescriptor& field,
                        const std::string& indent) {
  if (field.is_map()) return WriteMap(message, field, indent);
  if (field.is_repeated()) return WriteList(message, field, indent);
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    const std::string value = Scalar(message, field, -1);
    if (!value.empty()) text_ += indent + field.name() + ": " + value + "\n";
    return;
  }
  const size_t before = text_.size();
  text_ += indent + field.name() + ":\n";
  const size_t header = text_.size();
  WriteMessage(message.GetReflection()->GetMessage(message, &field), indent + "  ");
  if (text_.size() == header)
    text_.replace(before, header - before, indent + field.name() + ": {}\n");
}

void Writer::WriteMap(const Message& message, const FieldDescriptor& field,
                      const std::string& indent) {
  const Reflection& reflection = *message.GetReflection();
  const int size = reflection.FieldSize(message, &field);
  text_ += indent + field.name() + (size == 0 ? ": {}\n" : ":\n");
  const FieldDescriptor& key = *field.message_type()->map_key();
  const FieldDescriptor& value = *field.message_type()->map_value();
  for (int i = 0; i < size; ++i) {
    const Message& pair = reflection.GetRepeatedMessage(message, &field, i);
    text_ += indent + "  " + Scalar(pair, key, -1) + ":";
    if (value.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      text_ += " " + Scalar(pair, value, -1) + "\n";
    } else {
      text_ += "\n";
      WriteMessage(pair.GetReflection()->GetMessage(pair, &value), indent + "    ");
    }
  }
}

void Writer::WriteList(const Message& message, const FieldDescriptor& field,
                       const std::string& indent) {
  const Reflection& reflection = *message.GetReflection();
  const int size = reflection.FieldSize(message, &field);
  if (size > 0 && field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    text_ += indent + field.name() + ":\n";
    for (int i = 0; i < size; ++i) {
      const size_t item = text_.size();
      WriteMessage(reflection.GetRepeatedMessage(message, &field, i), indent + "    ");
      if (text_.size() == item) {
        text_ += indent + "  - {}\n";
      } else {
        text_[item + indent.size() + 2] = '-';
      }
    }
    return;
  }
  text_ += indent + field.name() + ": [";
  for (int i = 0; i < size; ++i) text_ += (i > 0 ? ", " : "") + Scalar(message, field, i);
  text_ += "]\n";
}

std::string Writer::Scalar(const Message& message, const FieldDescriptor& field, int index) const {
  const Reflection& reflection = *message.GetReflection();
  const auto get = [&](auto single, auto repeated) {
    return index < 0 ? (reflection.*single)(message, &field)
                     : (reflection.*repeated)(message, &field, index);
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(get(&Reflection::GetInt32, &Reflection::GetRepeatedInt32));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(get(&Reflection::GetInt64, &Reflection::GetRepeatedInt64));
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(get(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32));
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(get(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return NumberText(get(&Reflection::GetDouble, &Reflection::GetRepeatedDouble));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return NumberText(get(&Reflection::GetFloat, &Reflection::GetRepeatedFloat));
    case FieldDescriptor::CPPTYPE_BOOL:
      return get(&Reflection::GetBool, &Reflection::GetRepeatedBool) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return dialect_.NameOf(*get(&Reflection::GetEnum, &Reflection::GetRepeatedEnum));
    case FieldDescriptor::CPPTYPE_STRING:
      return TextOf(get(&Reflection::GetString, &Reflection::GetRepeatedString));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return {};
}

}  // namespace

std::string ToYaml(const Message& message, const YamlDialect& dialect) {
  Writer writer(dialect);
  writer.WriteMessage(message, "");
  return writer.Take();
}

std::string ToJson(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  CAROUSEL_CHECK(google::protobuf::util::MessageToJsonString(message, &json, options).ok());
  return json;
}

}  // namespace carousel
