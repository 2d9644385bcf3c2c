#include "cluster/job/yaml_writer.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/cluster/job/every_kind.pb.h"

namespace carousel {
namespace {

using testing::EveryKind;

const YamlDialect kDialect = {{{"Colour", "1f1b", "ONE_F_ONE_B"}}};

EveryKind Full() {
  EveryKind message;
  message.set_small(-3);
  message.set_large(int64_t{1} << 60);
  message.set_small_count(4'000'000'000u);
  message.set_large_count(7);
  message.set_single_number(0.1f);
  message.set_number(1.0 / 3);
  message.set_wait_seconds(600);
  message.set_flag(false);
  message.set_text("a \"quoted\"\n\\ ünïcode: # x");
  message.set_colour(testing::ONE_F_ONE_B);
  message.mutable_part();
  message.add_numbers(1);
  message.add_numbers(-2);
  message.add_parts()->set_name("true");
  message.add_parts();
  message.add_parts()->set_size(5);
  (*message.mutable_sizes())["x y"] = 1;
  message.set_left("12");
  message.add_words("null");
  message.add_words("plain-word");
  message.add_flags(true);
  return message;
}

EveryKind ReadBack(const std::string& yaml) {
  EveryKind message;
  Faults faults;
  FieldPlaces places;
  const auto root = ParseYaml(yaml, "f", &faults);
  EXPECT_TRUE(root.has_value()) << faults.ToStatus() << "\n" << yaml;
  if (root) LoadYaml(*root, kDialect, &message, &places, &faults);
  EXPECT_TRUE(faults.empty()) << faults.ToStatus() << "\n" << yaml;
  return message;
}

TEST(YamlWriterTest, WhatIsWrittenReadsBackToTheSameMessage) {
  for (const EveryKind& message : {Full(), EveryKind()}) {
    const EveryKind back = ReadBack(ToYaml(message, kDialect));
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(message, back))
        << ToYaml(message, kDialect);
  }
}

TEST(YamlWriterTest, TheTextIsPlainAndInTheOrderOfTheSchema) {
  EveryKind message;
  message.add_words("a");
  message.set_colour(testing::ONE_F_ONE_B);
  message.set_small(3);
  message.add_parts()->set_name("first");
  message.mutable_parts(0)->set_size(1);
  EXPECT_EQ(ToYaml(message, kDialect),
            "small: 3\n"
            "colour: 1f1b\n"
            "numbers: []\n"
            "parts:\n"
            "  - name: first\n"
            "    size: 1\n"
            "sizes: {}\n"
            "words: [a]\n"
            "flags: []\n"
            "plain: 0\n");
}

TEST(YamlWriterTest, JsonKeepsTheSchemasNames) {
  EveryKind message;
  message.set_wait_seconds(1.5);
  EXPECT_NE(ToJson(message).find("\"wait_seconds\": 1.5"), std::string::npos);
}

}  // namespace
}  // namespace carousel
