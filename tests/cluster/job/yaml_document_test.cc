#include "cluster/job/yaml_document.h"

#include <gtest/gtest.h>

#include <string>

namespace carousel {
namespace {

using Kind = YamlNode::Kind;

std::string FaultsOf(const std::string& text) {
  Faults faults;
  EXPECT_FALSE(ParseYaml(text, "job.yaml", &faults).has_value()) << text;
  return std::string(faults.ToStatus().message());
}

YamlNode Parsed(const std::string& text) {
  Faults faults;
  auto node = ParseYaml(text, "job.yaml", &faults);
  EXPECT_TRUE(node.has_value()) << faults.ToStatus();
  return node.value_or(YamlNode());
}

TEST(YamlDocumentTest, EveryNodeKnowsWhereItWasWritten) {
  const YamlNode root = Parsed("name: a\nmodel:\n  slstm_at: [1, 3]\n");
  ASSERT_EQ(root.entries.size(), 2u);
  const YamlEntry& list = root.entries[1].value.entries[0];
  EXPECT_EQ(list.key.place, (Place{"job.yaml", 3, 3}));
  EXPECT_EQ(list.value.items[1].place, (Place{"job.yaml", 3, 17}));
  EXPECT_EQ(list.value.items[1].text, "3");
}

TEST(YamlDocumentTest, DoublesAreKeptForTheLoaderToSee) {
  EXPECT_EQ(Parsed("a: 1\na: 2\n").entries.size(), 2u);
}

TEST(YamlDocumentTest, QuotesAreRemembered) {
  EXPECT_TRUE(Parsed("a: \"12\"").entries[0].value.quoted);
  EXPECT_FALSE(Parsed("a: 12").entries[0].value.quoted);
  EXPECT_EQ(Parsed("a: \"null\"").entries[0].value.kind, Kind::kScalar);
  EXPECT_EQ(Parsed("a: null").entries[0].value.kind, Kind::kNull);
}

TEST(YamlDocumentTest, AnEmptyTextIsAnEmptyMap) {
  EXPECT_EQ(Parsed("").kind, Kind::kMap);
  EXPECT_EQ(Parsed("# nothing yet\n").kind, Kind::kMap);
}

TEST(YamlDocumentTest, JsonIsYaml) {
  EXPECT_EQ(Parsed(R"({"a": {"b": [1, 2]}})").entries[0].value.entries[0].value.items.size(), 2u);
}

TEST(YamlDocumentTest, BrokenSyntaxIsToldWithItsPlace) {
  EXPECT_EQ(FaultsOf("a: [1, 2\nb: 3"),
            "job.yaml:2:2: this is not YAML: end of sequence flow not found; look here and at the "
            "line before: is a colon or a bracket missing, an indentation uneven, or a text with : "
            "# * & to be put in quotes?");
  EXPECT_EQ(FaultsOf("\ta: 1\n").find("job.yaml:1:"), 0u);
}

TEST(YamlDocumentTest, SurprisingYamlIsRefused) {
  EXPECT_NE(FaultsOf("a: &x 1\nb: *x\n").find("job.yaml:1:4: an anchor"), std::string::npos);
  EXPECT_NE(FaultsOf("a: &x 1\nb: *x\n").find("job.yaml:2:4: an alias"), std::string::npos);
  EXPECT_NE(FaultsOf("a: !!int 1\n").find("the tag"), std::string::npos);
  EXPECT_NE(FaultsOf("a: !mine {b: 1}\n").find("\"!mine\""), std::string::npos);
  EXPECT_NE(FaultsOf("a: 1\n---\nb: 2\n").find("job.yaml:3:1: a second document"),
            std::string::npos);
  EXPECT_NE(FaultsOf("? [a, b]\n: 1\n").find("must be a word"), std::string::npos);
}

TEST(YamlDocumentTest, TextThatIsNoTextIsRefusedWithItsPlace) {
  EXPECT_EQ(FaultsOf("a: 1\nb: \xff\n").find("job.yaml:2:4: not UTF-8"), 0u);
  EXPECT_EQ(FaultsOf(std::string("a: \0b", 5)).find("job.yaml:1:4:"), 0u);
  EXPECT_EQ(FaultsOf("a: \xe2\x82").find("job.yaml:1:4:"), 0u);  // cut off inside a character
}

TEST(YamlDocumentTest, SizeDepthAndNumberAreLimited) {
  EXPECT_NE(
      FaultsOf(std::string(kMaxYamlBytes + 1, '#')).find("larger than the limit of 262,144 bytes"),
      std::string::npos);
  EXPECT_NE(FaultsOf(std::string(40, '[') + std::string(40, ']')).find("deeper than 32"),
            std::string::npos);
  std::string many = "a: [0";
  for (int i = 0; i < 60'000; ++i) many += ",0";
  EXPECT_NE(FaultsOf(many + "]").find("more than 50000 values"), std::string::npos);
  EXPECT_FALSE(FaultsOf(std::string(100'000, '[')).empty());
}

}  // namespace
}  // namespace carousel
