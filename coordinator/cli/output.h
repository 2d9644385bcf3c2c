// Data on stdout, in the form that was asked for: a table for people, JSON (one document, one line)
// or YAML for programs. The JSON is the contract, the table is not.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace carousel {

enum class OutputFormat { kTable, kJson, kYaml };

// kJson or kYaml.
void PrintDocument(const nlohmann::ordered_json& document, OutputFormat format);

// One of several that come as time goes: JSON lines, or YAML documents each after its "---".
void PrintNext(const nlohmann::ordered_json& document, OutputFormat format);

// Columns as wide as their widest cell, two spaces apart; numbers are the caller's to format.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_({std::move(header)}) {}
  void AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void Print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "name:  value" lines, values aligned.
void PrintFields(const std::vector<std::pair<std::string, std::string>>& fields);

}  // namespace carousel
