#include "coordinator/cli/output.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace carousel {
namespace {

using nlohmann::ordered_json;

// A JSON string is a YAML string too.
std::string Dumped(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string YamlOf(const ordered_json& value, const std::string& indent);

// "key: scalar", or "key:" and the block below.
std::string YamlAfter(const std::string& lead, const ordered_json& value,
                      const std::string& indent) {
  if (value.is_structured() && !value.empty()) return lead + "\n" + YamlOf(value, indent);
  return lead + " " + Dumped(value) + "\n";
}

std::string YamlOf(const ordered_json& value, const std::string& indent) {
  std::string text;
  if (value.is_object()) {
    for (const auto& [key, element] : value.items()) {
      text += YamlAfter(indent + key + ":", element, indent + "  ");
    }
  } else if (value.is_array()) {
    for (const ordered_json& element : value) {
      const std::string inner = indent + "  ";
      const bool block = element.is_structured() && !element.empty();
      const std::string lines = block ? YamlOf(element, inner) : inner + Dumped(element) + "\n";
      text += indent + "- " + lines.substr(inner.size());  // the first line stands behind the dash
    }
  } else {
    text = indent + Dumped(value) + "\n";
  }
  return text;
}

size_t Columns(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

void PrintDocument(const ordered_json& document, OutputFormat format) {
  const std::string text = format == OutputFormat::kYaml
                               ? (document.empty() ? Dumped(document) + "\n" : YamlOf(document, ""))
                               : Dumped(document) + "\n";
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void PrintNext(const ordered_json& document, OutputFormat format) {
  if (format == OutputFormat::kYaml) std::puts("---");
  PrintDocument(document, format);
}

void Table::Print() const {
  std::vector<size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Columns(row[i]));
  }
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - Columns(row[i]) + 2, ' ');
    }
    std::printf("%s\n", line.c_str());
  }
  std::fflush(stdout);
}

void PrintFields(const std::vector<std::pair<std::string, std::string>>& fields) {
  size_t width = 0;
  for (const auto& [name, value] : fields) width = std::max(width, name.size());
  for (const auto& [name, value] : fields) {
    std::printf("%s:%*s%s\n", name.c_str(), static_cast<int>(width - name.size() + 2), "",
                value.c_str());
  }
  std::fflush(stdout);
}

}  // namespace carousel
