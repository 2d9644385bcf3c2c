// A file of weights comes from a stranger: what is right is read to the bit, what is wrong is
// refused by name.

#include "worker/safetensors.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

std::string PathOf(const std::string& name) {
  static const TemporaryFolder folder;
  return folder / name;
}

// Writes a file with this header, padded as the reference writer pads, and these data.
std::string Write(const std::string& name, std::string json, const std::string& data) {
  while (json.size() % 8 != 0) json += ' ';
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(json.size() >> shift);
  const std::string path = PathOf(name);
  std::ofstream(path, std::ios::binary) << bytes << json << data;
  return path;
}

std::string Raw(const std::string& name, const std::string& bytes) {
  const std::string path = PathOf(name);
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

TEST(Safetensors, ReadsTensorsAndMetadataToTheBit) {
  const float values[] = {1.5f, -2.0f, 0.1f};
  const std::string data =
      "\x07" + std::string(reinterpret_cast<const char*>(values), sizeof(values));
  const std::string path = Write(
      "good",
      R"({"__metadata__":{"kind":"a"},"w":{"dtype":"F32","shape":[3,1],"data_offsets":[1,13]},)"
      R"("s":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})",
      data);

  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);

  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata().at("kind"), "a");
  const SafetensorsTensor* w = file->Find("w");
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->shape, (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(w->elements(), 3);
  float read[3];
  ASSERT_TRUE(file->Read(*w, read).ok());
  EXPECT_EQ(std::string(reinterpret_cast<char*>(read), 12), data.substr(1));
  EXPECT_EQ(file->Find("s")->elements(), 1);
  EXPECT_EQ(file->Find("absent"), nullptr);
}

TEST(Safetensors, ReadsAFileWithoutTensors) {
  EXPECT_TRUE(SafetensorsFile::Open(Write("empty", "{}", "")).ok());
}

struct Malformed {
  const char* name;
  std::string json;
  std::string data;
  const char* complaint;  // what the error must say
};

class MalformedHeader : public ::testing::TestWithParam<Malformed> {};

TEST_P(MalformedHeader, IsRefusedByName) {
  const Malformed& bad = GetParam();
  const std::string path = Write(bad.name, bad.json, bad.data);

  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);

  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(file.status().message());
  EXPECT_NE(message.find(path), std::string::npos) << message;
  EXPECT_NE(message.find(bad.complaint), std::string::npos) << message;
}

std::string Tensor(const std::string& fields) { return R"({"w":{)" + fields + "}}"; }

INSTANTIATE_TEST_SUITE_P(
    Headers, MalformedHeader,
    ::testing::Values(
        Malformed{"list", "[]", "", "does not start with {"},
        Malformed{"no_json", "{\"w\":", "", "not JSON at byte"},
        Malformed{"trailing", "{} x", "", "not JSON"},
        Malformed{"not_utf8", "{\"\xff\":{}}", "", "not JSON"},
        Malformed{"no_name", R"({"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", "a",
                  "without a name"},
        Malformed{
            "long_name",
            "{\"" + std::string(1025, 'w') + R"(":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})",
            "a", "1025 bytes; the limit is 1024"},
        Malformed{"twice",
                  R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                  R"("w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                  "a", "\"w\" twice"},
        Malformed{"metadata_twice", R"({"__metadata__":{},"__metadata__":{}})", "", "twice"},
        Malformed{"metadata_key_twice", R"({"__metadata__":{"a":"","a":""}})", "", "\"a\" twice"},
        Malformed{"metadata_number", R"({"__metadata__":{"a":1}})", "", "a number where"},
        Malformed{"metadata_nested", R"({"__metadata__":{"a":{}}})", "", "an object where"},
        Malformed{"tensor_is_list", R"({"w":[]})", "", "a list where"},
        Malformed{"field_twice", Tensor(R"("dtype":"U8","dtype":"U8")"), "", "\"dtype\" twice"},
        Malformed{"unknown_field", Tensor(R"("dtype":"U8","strides":[1])"), "", "\"strides\""},
        Malformed{"no_dtype", Tensor(R"("shape":[1],"data_offsets":[0,1])"), "a",
                  "dtype is missing"},
        Malformed{"no_offsets", Tensor(R"("dtype":"U8","shape":[1])"), "a",
                  "data_offsets is missing"},
        Malformed{"unknown_dtype", Tensor(R"("dtype":"F31","shape":[1],"data_offsets":[0,1])"), "a",
                  "unknown dtype \"F31\""},
        Malformed{"dtype_number", Tensor(R"("dtype":4)"), "", "a number where"},
        Malformed{"negative", Tensor(R"("dtype":"U8","shape":[-1],"data_offsets":[0,1])"), "a",
                  "-1 is negative"},
        Malformed{"fraction", Tensor(R"("dtype":"U8","shape":[1.5],"data_offsets":[0,1])"), "a",
                  "1.5 is not a whole one"},
        Malformed{"huge_number", Tensor(R"("dtype":"U8","shape":[1e30],"data_offsets":[0,1])"), "a",
                  "not a whole one"},
        Malformed{"zero", Tensor(R"("dtype":"U8","shape":[0],"data_offsets":[0,0])"), "",
                  "extent of 0"},
        Malformed{"rank",
                  Tensor(R"("dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1])"), "a",
                  "more than 8 extents"},
        Malformed{"nested_shape", Tensor(R"("dtype":"U8","shape":[[1]],"data_offsets":[0,1])"), "a",
                  "a list where"},
        Malformed{"overflow",
                  Tensor(R"("dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0])"),
                  "", "overflows 64 bits"},
        Malformed{"one_offset", Tensor(R"("dtype":"U8","shape":[1],"data_offsets":[0])"), "a",
                  "1 numbers instead of 2"},
        Malformed{"three_offsets", Tensor(R"("dtype":"U8","shape":[1],"data_offsets":[0,1,2])"),
                  "a", "more than 2"},
        Malformed{"backwards", Tensor(R"("dtype":"U8","shape":[1],"data_offsets":[1,0])"), "a",
                  "[1, 0]"},
        Malformed{"wrong_size", Tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), "abcd",
                  "take 8 bytes"},
        Malformed{"hole",
                  R"({"v":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                  R"("w":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                  "abc", "byte 2 of the data instead of 1"},
        Malformed{"overlap",
                  R"({"v":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                  R"("w":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                  "abc", "byte 1 of the data instead of 2"},
        Malformed{"cut", Tensor(R"("dtype":"F64","shape":[2],"data_offsets":[0,16])"), "abcd",
                  "cut or padded"},
        Malformed{"longer", Tensor(R"("dtype":"U8","shape":[1],"data_offsets":[0,1])"), "ab",
                  "cut or padded"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Safetensors, RefusesAFileShorterThanItsFirstField) {
  const auto file = SafetensorsFile::Open(Raw("short", "1234567"));
  EXPECT_NE(std::string(file.status().message()).find("7 bytes"), std::string::npos)
      << file.status();
}

TEST(Safetensors, RefusesAHeaderLongerThanTheFileWithoutAllocatingIt) {
  const auto file = SafetensorsFile::Open(Raw("long", std::string(8, '\xff') + "{}"));
  EXPECT_NE(std::string(file.status().message()).find("18446744073709551615"), std::string::npos)
      << file.status();
}

TEST(Safetensors, RefusesAFolderAndAMissingFile) {
  EXPECT_EQ(SafetensorsFile::Open(PathOf("")).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SafetensorsFile::Open(PathOf("missing")).status().code(), absl::StatusCode::kNotFound);
}

TEST(Safetensors, SaysSoWhenTheFileShrinksAfterItWasOpened) {
  const std::string path =
      Write("shrinks", Tensor(R"("dtype":"U8","shape":[4],"data_offsets":[0,4])"), "abcd");
  const auto file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok());
  Raw("shrinks", "");

  char data[4];
  EXPECT_EQ(file->Read(*file->Find("w"), data).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace carousel
