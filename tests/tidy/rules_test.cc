// The tidy rules find what they forbid, and nothing else.

#include <gtest/gtest.h>

#include <string>

#include "tests/tidy/call_rules.h"
#include "tests/tidy/include_rules.h"
#include "tests/tidy/lengths.h"
#include "tests/tidy/source_tree.h"

namespace carousel::tidy {
namespace {

size_t Includes(const std::string& path, const std::string& text) {
  return CheckIncludes(MakeSource(path, text)).size();
}
size_t Calls(const std::string& path, const std::string& text) {
  return CheckCalls(MakeSource(path, text)).size();
}
size_t Words(const std::string& path, const std::string& text) {
  return CheckWords(MakeSource(path, text)).size();
}

TEST(IncludeRules, FollowTheMap) {
  EXPECT_EQ(
      Includes(
          "worker/stage.h",
          "#include \"kernels/backend.h\"\n#include \"absl/status/status.h\"\n#include <vector>\n"),
      0u);
  EXPECT_EQ(Includes("coordinator/state.h", "#include \"kernels/backend.h\"\n"), 1u);
  EXPECT_EQ(Includes("coordinator/state.h", "#include \"worker/stage.h\"\n"), 1u);
  EXPECT_EQ(Includes("worker/stage.h", "#include \"coordinator/state.h\"\n"), 1u);
  EXPECT_EQ(Includes("cluster/store.h", "#include \"coordinator/state.h\"\n"), 1u);
  EXPECT_EQ(Includes("kernels/norm.h", "#include \"proto/job.pb.h\"\n"), 1u);
  EXPECT_EQ(Includes("proto/job.proto", "import \"proto/model.proto\";\n"), 0u);
  EXPECT_EQ(Includes("worker/stage.h", "#include \"unit.h\"\n"), 1u) << "not from the root";
}

TEST(IncludeRules, KnowTheOwnersOfLibraries) {
  EXPECT_EQ(Includes("cluster/rocksdb_store.cc", "#include <rocksdb/db.h>\n"), 0u);
  EXPECT_EQ(Includes("cluster/shard_store.cc", "#include <rocksdb/db.h>\n"), 1u);
  EXPECT_EQ(Includes("worker/session.cc",
                     "#include <grpcpp/grpcpp.h>\n#include \"proto/coordinator.grpc.pb.h\"\n"),
            0u);
  EXPECT_EQ(Includes("worker/executor.cc", "#include \"proto/worker.grpc.pb.h\"\n"), 1u);
  EXPECT_EQ(Includes("worker/worker_main.cc", "#include <grpcpp/grpcpp.h>\n"), 0u);
  EXPECT_EQ(Includes("worker/stage.cc", "#include <cuda_runtime.h>\n"), 1u);
  EXPECT_EQ(Includes("coordinator/decide.cc", "#include <chrono>\n"), 1u);
  EXPECT_EQ(Includes("worker/stage.cc", "#include <chrono>\n"), 1u);
  EXPECT_EQ(Includes("worker/executor.cc", "#include <chrono>\n"), 0u);
  EXPECT_EQ(Includes("kernels/norm.h", "#include <random>\n"), 1u);
  EXPECT_EQ(Includes("cluster/store.cc", "#include <CLI/CLI.hpp>\n"), 1u);
}

TEST(CallRules, FindCallsAndSayWhatToUse) {
  EXPECT_EQ(Calls("worker/stage.cc", "void F() { assert(x); }\n"), 1u);
  EXPECT_EQ(Calls("worker/stage.cc", "void F() { std::printf(\"x\"); }\n"), 1u);
  EXPECT_EQ(Calls("worker/worker_main.cc", "void F() { std::printf(\"x\"); }\n"), 0u);
  EXPECT_EQ(Calls("kernels/cpu/norm.cc", "float F(float x) { return std::exp(x); }\n"), 1u);
  EXPECT_EQ(Calls("kernels/cpu/norm.cc",
                  "// std::exp(x) would differ\nauto s = \"std::exp(x)\"; int n = 500'000;\n"),
            0u);
  EXPECT_EQ(Calls("tests/a_test.cc", "using namespace std;\n"), 1u);
  EXPECT_EQ(Calls("worker/stage.cc", "static_assert(x); std::snprintf(a, b); my_rand(3);\n"), 0u);
  const std::vector<Finding> findings =
      CheckCalls(MakeSource("cluster/a.cc", "\nint x = std::rand();\n"));
  ASSERT_FALSE(findings.empty());
  EXPECT_EQ(findings[0].line, 2);
  EXPECT_NE(findings[0].ToString().find("keyed_random.h"), std::string::npos);
}

TEST(CallRules, KnowLibmByAllItsNames) {
  for (const char* call : {"std::exp(x)", "exp(x)", "expf(x)", "__builtin_exp(x)",
                           "__builtin_tanhf(x)", "std::pow(x, 2)", "::log1p(x)", "std::erf(x)"}) {
    const std::string code = "float F(float x) { return " + std::string(call) + "; }\n";
    EXPECT_EQ(Calls("kernels/cpu/norm.cc", code), 1u) << call;
    EXPECT_EQ(Calls("coordinator/cli/figures.cc", code), 0u) << call;
  }
  for (const char* own : {"Exp(x)", "OwnLog(x)", "math::ScaledExp(x)", "std::sqrt(x)",
                          "__builtin_fma(x, x, x)", "__builtin_sqrtf(x)"}) {
    const std::string code = "float F(float x) { return " + std::string(own) + "; }\n";
    EXPECT_EQ(Calls("kernels/cpu/norm.cc", code), 0u) << own;
  }
  const std::string of_doubles =
      "return EachLane(x, [](double lane) { return __builtin_exp(lane); });\n";
  EXPECT_EQ(Calls("kernels/cpu/math.h", of_doubles), 0u);
  EXPECT_EQ(Calls("kernels/cpu/norm.cc", of_doubles), 1u);
  EXPECT_EQ(Calls("kernels/cpu/math.h",
                  "return EachLane(x, [](float l) { return __builtin_expf(l); });\n"),
            1u);
}

TEST(WordRules, FindNotesAndPathsOfOneMachine) {
  EXPECT_EQ(Words("README.md", "a\nTODO: more\n"), 1u);
  EXPECT_EQ(Words("cluster/a.sh", "cd /home/anna/carousel\n"), 1u);
  EXPECT_EQ(Words("README.md", "see cluster/work/x and ~/home\n"), 0u);
}

TEST(HeaderRules, WantACommentAndPragmaOnce) {
  EXPECT_EQ(CheckHeader(MakeSource("a/b.h", "// What it is.\n#pragma once\n")).size(), 0u);
  EXPECT_EQ(CheckHeader(MakeSource("a/b.h", "#pragma once\n")).size(), 2u);
  EXPECT_EQ(CheckHeader(MakeSource("a/b.h", "// What it is.\n#ifndef B_H_\n#define B_H_\n#endif\n"))
                .size(),
            1u);
}

TEST(BlankNonCode, LeavesCodeInItsPlace) {
  EXPECT_EQ(BlankNonCode("a /* b\n c */ d"), "a     \n      d");
  EXPECT_EQ(BlankNonCode("x = 'a' + \"b\\\"c\"; // e"), "x =     +       ;     ");
  EXPECT_EQ(BlankNonCode("R\"y(a \" b)y\" z"), "R            z");
  EXPECT_EQ(BlankNonCode("#define A \\\n  {\nb"), "           \n   \nb");
}

TEST(Lengths, FunctionsAreFoundByTheirBraces) {
  // Given a constructor with initialisers, a template, a class with a method, a table, a test.
  const SourceFile file = MakeSource("a.cc",
                                     "namespace n {\n"
                                     "const std::map<int, F> kTable = {\n"
                                     "    {1, G(2)},\n"
                                     "};\n"
                                     "Core::Core(int a) : a_{a}, b_(2) {\n"
                                     "  if (a) {\n"
                                     "  }\n"
                                     "}\n"
                                     "template <class T>\n"
                                     "T Twice(T x, Options o = {}) {\n"
                                     "  return x;\n"
                                     "}\n"
                                     "class Thing {\n"
                                     " public:\n"
                                     "  int Size() const { return 1; }\n"
                                     "  int x_ = 0;\n"
                                     "};\n"
                                     "}  // namespace n\n"
                                     "TEST(Thing, Holds) {\n"
                                     "  auto f = [] { return 1; };\n"
                                     "}\n");
  // When its functions are listed.
  const std::vector<Function> functions = FunctionsOf(file);
  // Then each is there once, with its lines.
  ASSERT_EQ(functions.size(), 4u);
  EXPECT_EQ(functions[0].name, "Core::Core");
  EXPECT_EQ(functions[0].line, 5);
  EXPECT_EQ(functions[0].lines, 4);
  EXPECT_EQ(functions[1].name, "Twice");
  EXPECT_EQ(functions[1].lines, 3);
  EXPECT_EQ(functions[2].name, "Size");
  EXPECT_EQ(functions[2].lines, 1);
  EXPECT_EQ(functions[3].name, "TEST(Thing, Holds)");
  EXPECT_EQ(functions[3].lines, 3);
}

TEST(Lengths, TheListOnlyShrinks) {
  const Lengths listed = ParseList("# a comment\n500 a.cc\n70 a.cc:F\n80 b.cc:Gone\n");
  EXPECT_EQ(listed.size(), 3u);
  EXPECT_EQ(CheckRatchet({{"a.cc", 500}, {"a.cc:F", 70}, {"b.cc:Gone", 80}}, listed).size(), 0u);
  EXPECT_EQ(CheckRatchet({{"a.cc", 501}, {"a.cc:F", 70}, {"b.cc:Gone", 80}}, listed).size(), 1u)
      << "grew";
  EXPECT_EQ(CheckRatchet({{"a.cc", 450}, {"a.cc:F", 70}, {"b.cc:Gone", 80}}, listed).size(), 1u)
      << "shrank";
  EXPECT_EQ(CheckRatchet({{"a.cc", 500}, {"a.cc:F", 70}}, listed).size(), 1u) << "is gone";
  EXPECT_EQ(
      CheckRatchet({{"a.cc", 500}, {"a.cc:F", 70}, {"b.cc:Gone", 80}, {"c.cc:New", 61}}, listed)
          .size(),
      1u)
      << "is new";
}

TEST(Lengths, LimitsAreKept) {
  std::string body;
  for (int i = 0; i < kLongestFunction - 2; ++i) body += "  x();\n";
  EXPECT_EQ(TooLong({MakeSource("a.cc", "void F() {\n" + body + "}\n")}).size(), 0u);
  EXPECT_EQ(TooLong({MakeSource("a.cc", "void F() {\n" + body + "  y();\n}\n")}),
            (Lengths{{"a.cc:F", kLongestFunction + 1}}));
}

}  // namespace
}  // namespace carousel::tidy
