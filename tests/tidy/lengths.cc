#include "tests/tidy/lengths.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace carousel::tidy {
namespace {

bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

// Drops "template <...>" and "public:" at the front of what stands before a brace.
std::string_view StripPrefixes(std::string_view head) {
  head = Trim(head);
  for (std::string_view access : {"public:", "private:", "protected:"}) {
    if (head.starts_with(access)) return StripPrefixes(head.substr(access.size()));
  }
  if (!head.starts_with("template")) return head;
  size_t at = head.find('<');
  if (at == std::string_view::npos) return head;
  int depth = 0;
  for (; at < head.size(); ++at) {
    if (head[at] == '<') ++depth;
    if (head[at] == '>' && --depth == 0) break;
  }
  return StripPrefixes(head.substr(std::min(at + 1, head.size())));
}

bool StartsWithWord(std::string_view text, std::string_view word) {
  return text.starts_with(word) && (text.size() == word.size() || !IsWord(text[word.size()]));
}

enum class Block { kScope, kFunction, kOther };

Block KindOf(std::string_view head) {
  const std::string_view stripped = StripPrefixes(head);
  for (std::string_view word :
       {"namespace", "inline namespace", "class", "struct", "union", "extern"}) {
    if (StartsWithWord(stripped, word)) return Block::kScope;
  }
  if (StartsWithWord(stripped, "enum") || stripped.ends_with('=')) return Block::kOther;
  return stripped.find('(') == std::string_view::npos ? Block::kOther : Block::kFunction;
}

std::string NameOf(std::string_view head) {
  const std::string_view stripped = StripPrefixes(head);
  const size_t open = stripped.find('(');
  size_t begin = open;
  while (begin > 0 &&
         (IsWord(stripped[begin - 1]) || stripped[begin - 1] == ':' || stripped[begin - 1] == '~'))
    --begin;
  const std::string name(stripped.substr(begin, open - begin));
  if (!name.starts_with("TEST")) return name.empty() ? "operator" : name;
  return name + std::string(stripped.substr(open, stripped.find(')', open) + 1 - open));
}

class FunctionFinder {
 public:
  explicit FunctionFinder(std::string_view code) : code_(code) {}

  std::vector<Function> Run() {
    while (at_ < code_.size()) Step();
    return std::move(functions_);
  }

 private:
  // At namespace or class level only; blocks are jumped over whole.
  void Step() {
    const char c = code_[at_];
    if (c == '(') {
      at_ = End('(', ')');
    } else if (c == '{') {
      OpenBlock();
    } else if (c == ';' || c == '}') {
      head_ = ++at_;
    } else {
      ++at_;
    }
  }

  void OpenBlock() {
    const std::string_view head = code_.substr(head_, at_ - head_);
    const Block kind = KindOf(head);
    if (kind == Block::kScope) {
      head_ = ++at_;
      return;
    }
    const size_t end = End('{', '}');
    size_t next = end;
    while (next < code_.size() && IsSpace(code_[next])) ++next;
    at_ = end;
    // A member's initialiser, a_{1}: the function's own brace is still to come.
    if (next < code_.size() && (code_[next] == ',' || code_[next] == '{')) return;
    if (kind == Block::kFunction) Add(head, end);
    head_ = end;
  }

  void Add(std::string_view head, size_t end) {
    const std::string_view stripped = StripPrefixes(head);
    const size_t first = static_cast<size_t>(stripped.data() - code_.data());
    const int line = LineAt(first);
    functions_.push_back({NameOf(head), line, LineAt(end - 1) - line + 1});
  }

  // Just after the bracket that closes the one at at_.
  size_t End(char open, char close) const {
    int depth = 0;
    for (size_t i = at_; i < code_.size(); ++i) {
      if (code_[i] == open) ++depth;
      if (code_[i] == close && --depth == 0) return i + 1;
    }
    return code_.size();
  }

  int LineAt(size_t position) const {
    return 1 + static_cast<int>(std::count(
                   code_.begin(), code_.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
  }

  const std::string_view code_;
  size_t at_ = 0, head_ = 0;
  std::vector<Function> functions_;
};

}  // namespace

std::vector<Function> FunctionsOf(const SourceFile& file) {
  return FunctionFinder(file.code).Run();
}

Lengths TooLong(const std::vector<SourceFile>& files) {
  Lengths lengths;
  for (const SourceFile& file : files) {
    if (!file.IsCpp()) continue;
    const int lines = static_cast<int>(Lines(file.text).size());
    if (lines > kLongestFile) lengths[file.path] = lines;
    for (const Function& function : FunctionsOf(file)) {
      int& longest = lengths[file.path + ":" + function.name];
      longest = std::max(longest, function.lines);
    }
  }
  std::erase_if(lengths, [](const auto& entry) {
    return entry.second <=
           (entry.first.find(':') == std::string::npos ? kLongestFile : kLongestFunction);
  });
  return lengths;
}

Lengths ParseList(std::string_view text) {
  Lengths lengths;
  for (std::string_view line : Lines(text)) {
    line = Trim(line);
    const size_t space = line.find(' ');
    if (line.empty() || line[0] == '#' || space == std::string_view::npos) continue;
    lengths[std::string(Trim(line.substr(space)))] =
        std::atoi(std::string(line.substr(0, space)).c_str());
  }
  return lengths;
}

std::vector<Finding> CheckRatchet(const Lengths& measured, const Lengths& listed) {
  std::vector<Finding> findings;
  for (const auto& [what, lines] : measured) {
    const auto entry = listed.find(what);
    if (entry == listed.end()) {
      findings.push_back(
          {what, 0,
           std::to_string(lines) +
               " lines: split it along its meaning (limits: files 400 lines, functions 60)"});
    } else if (lines > entry->second) {
      findings.push_back({what, 0,
                          "grew from " + std::to_string(entry->second) + " to " +
                              std::to_string(lines) + " lines: it may only shrink"});
    } else if (lines < entry->second) {
      findings.push_back({what, 0,
                          "shrank, good: write its line in tests/tidy/lengths.txt as \"" +
                              std::to_string(lines) + " " + what + "\""});
    }
  }
  for (const auto& [what, lines] : listed) {
    if (measured.count(what) == 0)
      findings.push_back(
          {what, 0, "is short now, or gone: take its line out of tests/tidy/lengths.txt"});
  }
  return findings;
}

}  // namespace carousel::tidy
