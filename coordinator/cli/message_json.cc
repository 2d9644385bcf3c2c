#include "coordinator/cli/message_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "cluster/check.h"
#include "cluster/job/job_file.h"
#include "coordinator/cli/figures.h"

namespace carousel {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using nlohmann::ordered_json;

ordered_json Number(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

ordered_json Text(const FieldDescriptor& field, const std::string& value) {
  if (field.type() != FieldDescriptor::TYPE_BYTES) return value;
  return absl::BytesToHexString(absl::string_view(value.data(), value.size()));
}

ordered_json SingleValue(const Message& message, const Reflection& reflection,
                         const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(message, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetInt64(message, field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetUInt32(message, field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetUInt64(message, field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return Number(reflection.GetDouble(message, field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return Number(reflection.GetFloat(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return JobDialect().NameOf(*reflection.GetEnum(message, field));
    case FieldDescriptor::CPPTYPE_STRING:
      return Text(*field, reflection.GetString(message, field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToJsonDocument(reflection.GetMessage(message, field));
  }
  return nullptr;
}

ordered_json ListElement(const Message& message, const Reflection& reflection,
                         const FieldDescriptor* field, int index) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetRepeatedInt64(message, field, index);
    case FieldDescriptor::CPPTYPE_STRING:
      return Text(*field, reflection.GetRepeatedString(message, field, index));
    default:  // the schemas that are shown have no other lists
      CAROUSEL_CHECK(field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE);
      return ToJsonDocument(reflection.GetRepeatedMessage(message, field, index));
  }
}

ordered_json List(const Message& message, const Reflection& reflection,
                  const FieldDescriptor* field) {
  ordered_json list = ordered_json::array();
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    list.push_back(ListElement(message, reflection, field, i));
  }
  return list;
}

}  // namespace

ordered_json ToJsonDocument(const Message& message) {
  ordered_json document = ordered_json::object();
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->is_repeated()) {
      document[field->name()] = List(message, reflection, field);
    } else if (!field->has_presence() || reflection.HasField(message, field)) {
      document[field->name()] = SingleValue(message, reflection, field);
    }
  }
  return document;
}

ordered_json JobToJson(const Job& job) {
  ordered_json document = ToJsonDocument(job);
  if (job.step() == 0) document["loss"] = nullptr;
  if (!HasMeasuredBubble(job)) document["measured_bubble_ratio"] = nullptr;
  if (job.tokens_per_second() == 0) {
    document["tokens_per_second"] = nullptr;
    document["eta_seconds"] = nullptr;
  }
  document["perplexity"] = job.step() == 0 ? ordered_json(nullptr) : Number(std::exp(job.loss()));
  return document;
}

}  // namespace carousel
