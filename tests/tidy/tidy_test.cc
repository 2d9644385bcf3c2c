// Holds the whole tree to the house's rules. Each failure says where, and what to do.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/tidy/call_rules.h"
#include "tests/tidy/include_rules.h"
#include "tests/tidy/lengths.h"
#include "tests/tidy/source_tree.h"

namespace carousel::tidy {
namespace {

const std::vector<SourceFile>& Tree() {
  static const std::vector<SourceFile> files = ReadTree(RepositoryRoot());
  return files;
}

using Rule = std::vector<Finding> (*)(const SourceFile&);

void HoldsEverywhere(Rule rule) {
  for (const SourceFile& file : Tree()) {
    for (const Finding& finding : rule(file)) ADD_FAILURE() << finding.ToString();
  }
}

const SourceFile* Find(const std::string& path) {
  const auto found = std::find_if(Tree().begin(), Tree().end(),
                                  [&](const SourceFile& file) { return file.path == path; });
  return found == Tree().end() ? nullptr : &*found;
}

TEST(Tidy, SeesTheTree) {
  EXPECT_GT(Tree().size(), 300u) << "found only part of the sources under " << RepositoryRoot();
  EXPECT_NE(Find("kernels/backend.h"), nullptr);
}

TEST(Tidy, IncludesGoOneWay) { HoldsEverywhere(CheckIncludes); }

TEST(Tidy, NoBannedCalls) { HoldsEverywhere(CheckCalls); }

TEST(Tidy, EveryExceptionIsForAFileThatIsThere) {
  std::vector<std::string_view> exceptions = OwnersOfIncludes();
  for (const std::string_view exempt : ExemptFromCallRules()) exceptions.push_back(exempt);
  for (const std::string_view pattern : exceptions) {
    const bool used = std::any_of(Tree().begin(), Tree().end(), [&](const SourceFile& file) {
      return file.IsCpp() && Matches(pattern, file.path);
    });
    EXPECT_TRUE(used) << "tests/tidy allows " << pattern << " what others may not: no such file";
  }
}

TEST(Tidy, NoNotesToOneselfAndNoPathsOfOneMachine) { HoldsEverywhere(CheckWords); }

TEST(Tidy, HeadersSayWhatTheyAre) { HoldsEverywhere(CheckHeader); }

TEST(Tidy, LongFilesAndFunctionsOnlyShrink) {
  std::ifstream in(RepositoryRoot() + "/tests/tidy/lengths.txt");
  std::ostringstream text;
  text << in.rdbuf();
  const Lengths measured = TooLong(Tree());
  for (const Finding& finding : CheckRatchet(measured, ParseList(text.str())))
    ADD_FAILURE() << finding.ToString();
  if (!HasFailure()) return;
  std::string list;
  for (const auto& [what, lines] : measured) list += std::to_string(lines) + " " + what + "\n";
  ADD_FAILURE() << "the list as the tree is now:\n" << list;
}

// A BUILD file names a source, or a test by its target's name.
bool Builds(const SourceFile& build, const SourceFile& file) {
  const std::string name = file.path.substr(file.path.rfind('/') + 1);
  const std::string stem = name.substr(0, name.rfind('.'));
  const auto holds = [&](const std::string& text) {
    return build.text.find(text) != std::string::npos;
  };
  return holds("\"" + name + "\"") || (stem.ends_with("_test") && holds("\"" + stem + "\"")) ||
         holds("glob(");
}

TEST(Tidy, EverySourceIsBuilt) {
  for (const SourceFile& file : Tree()) {
    if (!file.IsCpp()) continue;
    const SourceFile* build = Find(file.Folder() + "/BUILD.bazel");
    if (build == nullptr) {
      ADD_FAILURE() << file.Folder() << ": has sources and no BUILD.bazel";
    } else if (!Builds(*build, file)) {
      ADD_FAILURE() << file.path << ": no target has it; add it to " << build->path
                    << ", or remove it";
    }
  }
}

// Parts of a folder may be described by its parent; tests/ is described as a whole.
TEST(Tidy, EveryFolderHasItsManual) {
  std::set<std::string> folders;
  for (const SourceFile& file : Tree()) {
    if (file.path.find('/') != std::string::npos && file.path.find("/stubs/") == std::string::npos)
      folders.insert(file.Folder());
  }
  for (const std::string& folder : folders) {
    if (folder[0] == '.' || Find(folder + "/README.md") != nullptr) continue;
    const size_t slash = folder.rfind('/');
    const std::string parent = folder.starts_with("tests/") ? "tests" : folder.substr(0, slash);
    const SourceFile* manual = slash == std::string::npos ? nullptr : Find(parent + "/README.md");
    const std::string name = folder.substr(slash == std::string::npos ? 0 : slash + 1) + "/";
    if (manual == nullptr || manual->text.find(name) == std::string::npos) {
      ADD_FAILURE()
          << folder
          << ": write its README.md (problem, words, invariants, reading order), or describe `"
          << name << "` in its parent's";
    }
  }
}

// "[text](path)" in a manual: what it points to, from the manual's folder.
std::vector<std::string> LinksOf(const SourceFile& manual) {
  std::vector<std::string> links;
  for (size_t at = manual.text.find("]("); at != std::string::npos;
       at = manual.text.find("](", at + 1)) {
    const size_t end = manual.text.find(')', at);
    const std::string target = manual.text.substr(at + 2, end - at - 2);
    if (target.find("://") == std::string::npos)
      links.push_back(target.substr(0, target.find('#')));
  }
  return links;
}

TEST(Tidy, LinksInManualsLeadSomewhere) {
  for (const SourceFile& file : Tree()) {
    if (!file.path.ends_with(".md")) continue;
    const auto folder = (std::filesystem::path(RepositoryRoot()) / file.path).parent_path();
    for (const std::string& link : LinksOf(file)) {
      EXPECT_TRUE(std::filesystem::exists(folder / link))
          << file.path << ": links to " << link << ", which is not there";
    }
  }
}

TEST(Tidy, TheTopLevelIsTheLayout) {
  const std::set<std::string> layout = {"README.md",   "LICENSE", "WORKSPACE", "BUILD.bazel",
                                        "bazel",       "proto",   "kernels",   "cluster",
                                        "coordinator", "worker",  "tests"};
  for (const auto& entry : std::filesystem::directory_iterator(RepositoryRoot())) {
    const std::string name = entry.path().filename();
    if (name[0] == '.' || entry.is_symlink()) continue;  // tools' files; bazel-bin and its kin
    EXPECT_EQ(layout.count(name), 1u)
        << name << ": does not belong at the top level; find its folder in README.md, the map";
  }
  for (const std::string& name : layout) {
    EXPECT_TRUE(std::filesystem::exists(RepositoryRoot() + "/" + name)) << name << " is missing";
  }
}

TEST(Tidy, TheGoldenDataAreSmallEnoughToBeCarriedByEveryClone) {
  uintmax_t bytes = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(RepositoryRoot() + "/tests/golden/data")) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  EXPECT_GT(bytes, 0u);
  EXPECT_LT(bytes, 10'000'000u) << "strip them to what is compared (tests/golden/strip_golden.py)";
}

}  // namespace
}  // namespace carousel::tidy
