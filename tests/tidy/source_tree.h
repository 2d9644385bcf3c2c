// The repository's files as the tidy rules see them. Read once; no rule changes anything.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace carousel::tidy {

struct SourceFile {
  std::string path;  // from the repository's root
  std::string text;
  std::string
      code;  // text with comments, literals and preprocessor lines blanked; same size, same lines

  bool IsCpp() const {
    return path.ends_with(".h") || path.ends_with(".cc") || path.ends_with(".cu");
  }
  bool IsHeader() const { return path.ends_with(".h"); }
  std::string Folder() const { return path.substr(0, path.rfind('/')); }
};

// What a rule has to say about a place. `message` tells what to do instead.
struct Finding {
  std::string path;
  int line = 0;  // from 1; 0: the whole file
  std::string message;
  std::string ToString() const;
};

// A file whose text is at hand.
SourceFile MakeSource(std::string path, std::string text);

// The root of the tree that this test was built from.
std::string RepositoryRoot();

// All text files of the folders that hold our sources, in path order; generated and hidden folders
// left out.
std::vector<SourceFile> ReadTree(const std::string& root);

// C++ with comments, literals and preprocessor lines turned into spaces.
std::string BlankNonCode(std::string_view text);

std::vector<std::string_view> Lines(std::string_view text);

// True for '*' patterns: "cluster/*_main.cc".
bool Matches(std::string_view pattern, std::string_view path);
bool MatchesAny(const std::vector<std::string_view>& patterns, std::string_view path);

}  // namespace carousel::tidy
