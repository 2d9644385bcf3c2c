#include "cluster/job/contract.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/reflection.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "cluster/check.h"
#include "cluster/job/scalars.h"

namespace carousel {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

using Line = std::pair<std::string, std::string>;  // path, value

std::string ValueText(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return NumberText(reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.GetEnum(message, &field)->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(message, &field);
    default:
      CAROUSEL_CHECK(false);  // no job has a field of another type: give it a text here
      return {};
  }
}

std::string ListText(const Message& message, const FieldDescriptor& field) {
  CAROUSEL_CHECK(field.cpp_type() == FieldDescriptor::CPPTYPE_INT64);
  const Reflection& reflection = *message.GetReflection();
  std::string text = "[";
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    text += (i > 0 ? "," : "") + std::to_string(reflection.GetRepeatedInt64(message, &field, i));
  }
  return text + "]";
}

// Fields that are set, by number.
void AddLines(const Message& message, const std::string& prefix, std::vector<Line>* lines) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string path = prefix + field->name();
    if (field->is_repeated()) {
      lines->emplace_back(path, ListText(message, *field));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      AddLines(message.GetReflection()->GetMessage(message, field), path + ".", lines);
    } else {
      lines->emplace_back(path, ValueText(message, *field));
    }
  }
}

std::vector<Line> ContractLines(const JobSpec& job) {
  JobSpec contract = job;
  contract.clear_name();
  contract.clear_pipeline();
  contract.clear_checkpoint();
  contract.mutable_model()->clear_preset();
  if (contract.data().has_dataset_digest()) contract.mutable_data()->clear_dataset();
  std::vector<Line> lines;
  AddLines(contract, "", &lines);
  return lines;
}

std::string ValueIn(const std::vector<Line>& lines, const std::string& path) {
  const auto it = std::find_if(lines.begin(), lines.end(),
                               [&](const Line& line) { return line.first == path; });
  return it == lines.end() ? "not set" : it->second;
}

}  // namespace

std::string CanonicalContract(const JobSpec& job) {
  std::string text;
  for (const auto& [path, value] : ContractLines(job)) {
    // A value with a line break must not look like two lines.
    text.append(path).append("=").append(std::to_string(value.size()));
    text.append(":").append(value).append("\n");
  }
  return text;
}

std::string ContractHash(const JobSpec& job) {
  const std::string text = CanonicalContract(job);
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits(text.data(), text.size()));
  std::string hex;
  for (unsigned char byte : digest.digest) {
    std::array<char, 3> digits;
    std::snprintf(digits.data(), digits.size(), "%02x", byte);
    hex += digits.data();
  }
  return hex;
}

std::vector<ContractDifference> DiffContracts(const JobSpec& a, const JobSpec& b) {
  const std::vector<Line> lines_a = ContractLines(a), lines_b = ContractLines(b);
  std::vector<ContractDifference> differences;
  for (const auto& [path, value] : lines_a) {
    const std::string other = ValueIn(lines_b, path);
    if (value != other) differences.push_back({path, value, other});
  }
  for (const auto& [path, value] : lines_b) {
    if (ValueIn(lines_a, path) == "not set") differences.push_back({path, "not set", value});
  }
  std::stable_partition(differences.begin(), differences.end(), [](const auto& difference) {
    return difference.path.find('.') == std::string::npos;
  });
  return differences;
}

std::string DescribeDifferences(const JobSpec& wanted, const JobSpec& stored) {
  std::string text;
  for (const ContractDifference& difference : DiffContracts(wanted, stored)) {
    text += (text.empty() ? "" : "\n") + difference.path + ": " + difference.a +
            ", but the stored job has " + difference.b;
  }
  return text;
}

}  // namespace carousel
