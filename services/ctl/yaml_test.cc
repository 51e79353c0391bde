#include "services/ctl/yaml.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gatepost::ctl {
namespace {

using ::testing::HasSubstr;

std::string Json(std::string_view yaml) {
  auto documents = LoadStream(yaml);
  if (!documents.ok()) return "error: " + std::string(documents.status().message());
  if (documents->size() != 1) return "documents: " + std::to_string(documents->size());
  auto json = ToJson(documents->front());
  return json.ok() ? *json : "error: " + std::string(json.status().message());
}

TEST(Yaml, PlainScalarsHaveTypesAndQuotedOnesAreStrings) {
  EXPECT_EQ(Json("{a: 25, b: '25', c: \"true\", d: true, e: null, f: ~, g: , h: 1.5, i: yes, j: 127.0.0.1}"),
            R"({"a":25,"b":"25","c":"true","d":true,"e":null,"f":null,"g":null,"h":1.5,"i":"yes","j":"127.0.0.1"})");
}

TEST(Yaml, ANumberThatJsonDoesNotKnowIsAString) {
  EXPECT_EQ(Json("[{a: 010, b: 0x10, c: .5, d: 1., e: -, f: +1}]"),
            R"({"a":"010","b":"0x10","c":".5","d":"1.","e":"-","f":"+1"})");
}

TEST(Yaml, LargeIntegersKeepAllDigits) { EXPECT_EQ(Json("a: 18446744073709551615"), R"({"a":18446744073709551615})"); }

TEST(Yaml, TextIsEscapedForJson) {
  EXPECT_EQ(Json("a: \"q\\\" b\\\\ n\\n t\\t \\x01\""), "{\"a\":\"q\\\" b\\\\ n\\n t\\t \\u0001\"}");
  EXPECT_EQ(Json("pem: |\n  one\n  two\n"), R"({"pem":"one\ntwo\n"})");
}

TEST(Yaml, AStreamHoldsSeveralDocumentsAndEmptyOnesDoNotCount) {
  auto documents = LoadStream("---\n# nothing\n---\na: 1\n---\nb: 2\n");
  ASSERT_TRUE(documents.ok());
  EXPECT_EQ(documents->size(), 2u);
}

TEST(Yaml, AJsonArrayIsAStreamToo) {
  auto documents = LoadStream(R"([{"kind": "A"}, {"kind": "B"}])");
  ASSERT_TRUE(documents.ok());
  EXPECT_EQ(documents->size(), 2u);
}

TEST(Yaml, DuplicateKeysAreRefusedWithTheirLine) {
  EXPECT_THAT(Json("a: 1\nb: 2\na: 3\n"), HasSubstr("line 3: 'a' is there twice"));
}

TEST(Yaml, SyntaxErrorsNameTheLine) { EXPECT_THAT(Json("a: 1\nb: [1, 2\n"), HasSubstr("error: line ")); }

TEST(Yaml, TagsAreRefused) { EXPECT_THAT(Json("a: !!binary aGk=\n"), HasSubstr("not supported")); }

TEST(Yaml, NestingIsBounded) {
  EXPECT_THAT(Json("a: " + std::string(70, '[') + std::string(70, ']')), HasSubstr("nested deeper"));
  EXPECT_EQ(Json("a: " + std::string(60, '[') + std::string(60, ']')).substr(0, 5), R"({"a":)");
}

TEST(Yaml, AliasesCannotMultiplyWithoutBound) {
  std::string bomb = "a: &a [" + std::string(1000, 'x') + "]\n";
  for (char c = 'b'; c <= 'k'; ++c) {
    const std::string before(1, static_cast<char>(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [*" + before;
    for (int i = 0; i < 9; ++i) bomb += ", *" + before;
    bomb += "]\n";
  }
  EXPECT_THAT(Json(bomb), HasSubstr("larger than 16 MiB"));
}

TEST(Yaml, PrintedYamlReadsBackAsTheSameJson) {
  for (
      const char* json :
      {R"({"a":"b","n":1,"t":true,"list":[{"x":"1","y":{"z":"yes"}},{"x":"true"}],"empty":{},"none":[],"text":"a: b # c"})",
       R"({"pem":"-----BEGIN X-----\nabc\n-----END X-----\n","two":"a\n\nb","space":" a\nb","tab":"a\tb","q":"it's \"q\""})",
       R"({"ip":"127.0.0.1","v6":"::1","net":"10.0.0.0/8","time":"2026-01-01T00:00:00Z","nested":[["a","b"],[1]],"null":"null","tilde":"~"})"}) {
    auto yaml = JsonToYaml(json);
    ASSERT_TRUE(yaml.ok());
    EXPECT_EQ(Json(*yaml), json) << *yaml;
  }
}

TEST(Yaml, PrintedYamlIsReadable) {
  EXPECT_EQ(
      *JsonToYaml(
          R"({"name":"virtualServers/a","listeners":[{"address":"127.0.0.1","port":25},{"address":"::1","port":25}]})"),
      "name: virtualServers/a\nlisteners:\n  - address: 127.0.0.1\n    port: 25\n  - address: \"::1\"\n    port: 25\n");
}

TEST(Yaml, APathMakesTheMessagesOnItsWay) {
  YAML::Node root(YAML::NodeType::Map);
  EXPECT_TRUE(SetPath(root, "relay.mode", YAML::Load("ALL_EXCEPT")).ok());
  EXPECT_TRUE(SetPath(root, "relay.entries", YAML::Load("[{subnet: 10.0.0.0/8}]")).ok());
  EXPECT_TRUE(SetPath(root, "fqdn", YAML::Load("mail.example.com")).ok());
  EXPECT_EQ(*ToJson(root),
            R"({"relay":{"mode":"ALL_EXCEPT","entries":[{"subnet":"10.0.0.0/8"}]},"fqdn":"mail.example.com"})");
  EXPECT_FALSE(SetPath(root, "relay..mode", YAML::Load("x")).ok());
  EXPECT_FALSE(SetPath(root, "", YAML::Load("x")).ok());
  EXPECT_FALSE(SetPath(root, "relay.entries.subnet", YAML::Load("x")).ok());
}

}  // namespace
}  // namespace gatepost::ctl
