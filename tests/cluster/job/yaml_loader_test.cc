#include "cluster/job/yaml_loader.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/cluster/job/every_kind.pb.h"

namespace carousel {
namespace {

using testing::EveryKind;

const YamlDialect kDialect = {{{"Colour", "1f1b", "ONE_F_ONE_B"}}};

struct Loaded {
  EveryKind message;
  FieldPlaces places;
  std::string faults;
};

Loaded Load(const std::string& text) {
  Loaded loaded;
  Faults faults;
  if (auto root = ParseYaml(text, "f", &faults)) {
    LoadYaml(*root, kDialect, &loaded.message, &loaded.places, &faults);
  }
  loaded.faults = std::string(faults.ToStatus().message());
  return loaded;
}

TEST(YamlLoaderTest, EveryKindOfFieldIsRead) {
  const Loaded loaded = Load(R"(
small: -3
large: 300B
small_count: 4_000_000_000
large_count: 7
single_number: 0.5
number: 3e-4
wait_seconds: 10min
flag: true
text: "two words"
colour: Dark-Blue
part: {name: a, size: 2k}
numbers: [1, 2, 3]
parts:
  - name: b
  - size: 4
sizes: {x: 1, y: 2}
right: 5
words: [a, "b c"]
flags: [true, false]
plain: 9
)");
  ASSERT_EQ(loaded.faults, "");
  const EveryKind& message = loaded.message;
  EXPECT_EQ(message.small(), -3);
  EXPECT_EQ(message.large(), 300'000'000'000);
  EXPECT_EQ(message.small_count(), 4'000'000'000u);
  EXPECT_EQ(message.single_number(), 0.5f);
  EXPECT_EQ(message.number(), 3e-4);
  EXPECT_EQ(message.wait_seconds(), 600);
  EXPECT_TRUE(message.flag());
  EXPECT_EQ(message.text(), "two words");
  EXPECT_EQ(message.colour(), testing::DARK_BLUE);
  EXPECT_EQ(message.part().size(), 2000);
  EXPECT_EQ(message.numbers_size(), 3);
  EXPECT_EQ(message.parts(1).size(), 4);
  EXPECT_EQ(message.sizes().at("y"), 2);
  EXPECT_EQ(message.right(), 5);
  EXPECT_EQ(message.words(1), "b c");
  EXPECT_FALSE(message.flags(1));
  EXPECT_EQ(message.plain(), 9);
}

TEST(YamlLoaderTest, WhatIsLeftOutStaysUnset) {
  const Loaded loaded = Load("small: 0\n");
  EXPECT_TRUE(loaded.message.has_small());
  EXPECT_FALSE(loaded.message.has_large());
  EXPECT_TRUE(loaded.places.Has("small"));
  EXPECT_FALSE(loaded.places.Has("large"));
}

TEST(YamlLoaderTest, AListReplacesAndAMapIsMerged) {
  EveryKind message;
  message.add_numbers(7);
  message.mutable_part()->set_name("kept");
  Faults faults;
  FieldPlaces places;
  const auto root = ParseYaml("numbers: [1]\npart: {size: 2}\n", "f", &faults);
  LoadYaml(*root, kDialect, &message, &places, &faults);
  EXPECT_EQ(message.numbers_size(), 1);
  EXPECT_EQ(message.part().name(), "kept");
  EXPECT_EQ(message.part().size(), 2);
}

TEST(YamlLoaderTest, AliasesNameEnumValuesThatTheSchemaCannotSpell) {
  EXPECT_EQ(Load("colour: 1f1b").message.colour(), testing::ONE_F_ONE_B);
  EXPECT_EQ(Load("colour: 1F1B").message.colour(), testing::ONE_F_ONE_B);
  EXPECT_EQ(Load("colour: one_f_one_b").message.colour(), testing::ONE_F_ONE_B);
}

// Each line: a text, and all that is said about it.
struct Complaint {
  const char* text;
  const char* faults;
};

class YamlLoaderComplaintTest : public ::testing::TestWithParam<Complaint> {};

TEST_P(YamlLoaderComplaintTest, IsExact) {
  EXPECT_EQ(Load(GetParam().text).faults, GetParam().faults);
}

INSTANTIATE_TEST_SUITE_P(
    All, YamlLoaderComplaintTest,
    ::testing::Values(
        Complaint{"part:\n  nmae: a",
                  "f:2:3: part: unknown field \"nmae\"; did you mean \"name\"?"},
        Complaint{"part: {colour: a}",
                  "f:1:8: part: unknown field \"colour\"; known here: name, size"},
        Complaint{"small: 1\nflag: true\nsmall: 2",
                  "f:3:1: small: set twice (first on line 1); remove one of the two"},
        Complaint{"large: many",
                  "f:1:8: large: expected an integer (12, 4_096, 300B), got \"many\""},
        Complaint{
            "large: \"12\"",
            "f:1:8: large: expected an integer (12, 4_096, 300B), got \"12\"; remove the quotes"},
        Complaint{"large: [1]", "f:1:8: large: expected an integer (12, 4_096, 300B), got a list"},
        Complaint{
            "large:",
            "f:1:1: large: expected an integer (12, 4_096, 300B), got nothing; write a value, or "
            "remove the line to get the default"},
        Complaint{"small: 3B", "f:1:8: small: \"3B\" does not fit a field of type int32"},
        Complaint{"small_count: -1",
                  "f:1:14: small_count: \"-1\" does not fit a field of type uint32"},
        Complaint{"number: fast", "f:1:9: number: expected a number (0.1, 3e-4), got \"fast\""},
        Complaint{"single_number: 1e300",
                  "f:1:16: single_number: \"1e300\" does not fit a field of type float"},
        Complaint{
            "wait_seconds: soon",
            "f:1:15: wait_seconds: expected a duration (30s, 10min, 2h, or seconds), got \"soon\""},
        Complaint{"flag: yes", "f:1:7: flag: expected true or false, got \"yes\""},
        Complaint{"text: {a: b}", "f:1:7: text: expected a text, got a map"},
        Complaint{
            "colour: gred",
            "f:1:9: colour: \"gred\" is not one of: red, dark_blue, 1f1b; did you mean \"red\"?"},
        Complaint{"colour: colour_unspecified",
                  "f:1:9: colour: \"colour_unspecified\" is not one of: red, dark_blue, 1f1b"},
        Complaint{"numbers: 3", "f:1:10: numbers: expected a list such as [1, 3], got \"3\""},
        Complaint{"numbers: [1, x]",
                  "f:1:14: numbers[1]: expected an integer (12, 4_096, 300B), got \"x\""},
        Complaint{"part: 3", "f:1:7: part: expected a map with some of: name, size, got \"3\""},
        Complaint{"parts: [3]", "f:1:9: parts[0]: expected a map, got \"3\""},
        Complaint{"sizes: {a: 1, a: 2}", "f:1:15: sizes.a: set twice; remove one of the two"},
        Complaint{"left: a\nright: 2",
                  "f:2:1: right: excludes \"left\", which is set too; keep one of the two"},
        Complaint{"- small",
                  "f:1:1: expected a map with some of: small, large, small_count, large_count, "
                  "single_number, number, wait_seconds, flag, text, colour, part, numbers, "
                  "parts, sizes, left, right, words, flags, plain, got a list"}));

TEST(YamlLoaderTest, AllFaultsAreReportedAtOnce) {
  const Loaded loaded = Load("smal: 1\nflag: 2\nparts:\n  - size: x\n");
  EXPECT_EQ(loaded.faults,
            "f:1:1: unknown field \"smal\"; did you mean \"small\"?\n"
            "f:2:7: flag: expected true or false, got \"2\"\n"
            "f:4:11: parts[0].size: expected an integer (12, 4_096, 300B), got \"x\"");
}

}  // namespace
}  // namespace carousel
