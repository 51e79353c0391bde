#include "services/ctl/exchange_values.h"

#include <string>

#include "gtest/gtest.h"

namespace gatepost::ctl {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

YAML::Node Json(const std::string& text) { return YAML::Load(text); }

std::string Amounts(std::optional<Amount> amount) {
  if (!amount) return "nothing";
  return amount->unlimited ? "unlimited" : std::to_string(amount->value);
}

TEST(ExchangeValuesTest, CountsInAllTheirForms) {
  for (const char* text : {"20", "'20'", "{IsUnlimited: false, Value: 20}", "{Value: '20'}"})
    EXPECT_EQ(Amounts(ReadCount(Json(text))), "20") << text;
  for (const char* text : {"Unlimited", "{IsUnlimited: true}", "{IsUnlimited: true, Value: 7}", "{Value: unlimited}"})
    EXPECT_EQ(Amounts(ReadCount(Json(text))), "unlimited") << text;
  for (const char* text : {"-1", "1.5", "many", "[]", "{}", "null", "18446744073709551616"})
    EXPECT_EQ(Amounts(ReadCount(Json(text))), "nothing") << text;
}

TEST(ExchangeValuesTest, SizesInAllTheirForms) {
  for (const char* text : {"'36 MB (37,748,736 bytes)'", "'36 MB (37.748.736 bytes)'", "36MB", "36 MB", "37748736",
                           "{IsUnlimited: false, Value: '36 MB (37,748,736 bytes)'}", "'37748736 B'"})
    EXPECT_EQ(Amounts(ReadOctets(Json(text))), "37748736") << text;
  EXPECT_EQ(Amounts(ReadOctets(Json("Unlimited"))), "unlimited");
  for (const char* text : {"'36 XB'", "'(bytes)'", "99999999999TB", "MB"})
    EXPECT_EQ(Amounts(ReadOctets(Json(text))), "nothing") << text;
}

TEST(ExchangeValuesTest, TimesInAllTheirForms) {
  EXPECT_EQ(ReadDuration(Json("'00:00:05'")), seconds(5));
  EXPECT_EQ(ReadDuration(Json("'1.02:03:04.5'")), milliseconds(93'784'500));
  EXPECT_EQ(ReadDuration(Json("'00:00:00.0250000'")), milliseconds(25));
  EXPECT_EQ(ReadDuration(Json("{Ticks: 50000000, Days: 0}")), seconds(5));
  EXPECT_EQ(ReadDuration(Json("{TotalSeconds: 2.5}")), milliseconds(2'500));
  for (const char* text : {"5", "'00:05'", "'-00:00:05'", "'00:60:00'", "{}", "'00:00:'", "{Ticks: -1}"})
    EXPECT_EQ(ReadDuration(Json(text)), std::nullopt) << text;
}

TEST(ExchangeValuesTest, FlagsByNameAndByNumber) {
  const FlagNames names = {{"None", 0}, {"Tls", 1}, {"BasicAuth", 4}};
  EXPECT_EQ(ReadFlags(Json("'Tls, BasicAuth'"), names), 5u);
  EXPECT_EQ(ReadFlags(Json("tls"), names), 1u);
  EXPECT_EQ(ReadFlags(Json("5"), names), 5u);
  EXPECT_EQ(ReadFlags(Json("[Tls, BasicAuth]"), names), 5u);
  EXPECT_EQ(ReadFlags(Json("{value: 5, Value: 'Tls, BasicAuth'}"), names), 5u);
  EXPECT_EQ(ReadFlags(Json("None"), names), 0u);
  EXPECT_EQ(ReadFlags(Json("64"), names), 64u) << "the caller knows which there are";
  EXPECT_EQ(ReadFlags(Json("'Tls, Kerberos'"), names), std::nullopt) << "half of it would be wrong";
}

TEST(ExchangeValuesTest, BindingsInAllTheirForms) {
  const auto text = [](const char* json) {
    const auto endpoint = ReadBinding(Json(json));
    return endpoint ? endpoint->ToString() : "nothing";
  };
  EXPECT_EQ(text("'0.0.0.0:25'"), "0.0.0.0:25");
  EXPECT_EQ(text("'[::]:587'"), "[::]:587");
  EXPECT_EQ(text("{Address: 192.0.2.1, Port: 25}"), "192.0.2.1:25");
  EXPECT_EQ(text("{Address: {IPAddressToString: '2001:db8::1', Address: null}, Port: 25}"), "[2001:db8::1]:25");
  EXPECT_EQ(text("{Address: {Address: 16885952}, Port: 25}"), "192.168.1.1:25") << "the first octet is the lowest";
  for (const char* json :
       {"'25'", "{Port: 25}", "{Address: 192.0.2.1}", "{Address: {Address: 4294967296}, Port: 25}", "null"})
    EXPECT_EQ(text(json), "nothing") << json;
}

TEST(ExchangeValuesTest, RangesInAllTheirForms) {
  const auto text = [](const char* json) {
    const auto range = ReadRange(Json(json));
    return range ? range->ToString() : "nothing";
  };
  EXPECT_EQ(text("'0.0.0.0-255.255.255.255'"), "0.0.0.0-255.255.255.255");
  EXPECT_EQ(text("'10.0.0.0/8'"), "10.0.0.0-10.255.255.255");
  EXPECT_EQ(text("'10.1.2.3/8'"), "10.0.0.0-10.255.255.255") << "Exchange takes bits beyond the mask";
  EXPECT_EQ(text("'10.0.0.0/255.0.0.0'"), "10.0.0.0-10.255.255.255");
  EXPECT_EQ(text("'192.0.2.1'"), "192.0.2.1-192.0.2.1");
  EXPECT_EQ(text("'::/0'"), "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  EXPECT_EQ(text("{LowerBound: 192.0.2.1, UpperBound: 192.0.2.9}"), "192.0.2.1-192.0.2.9");
  EXPECT_EQ(text("{LowerBound: null, Expression: 192.0.2.0/31}"), "192.0.2.0-192.0.2.1");
  for (const char* json : {"'192.0.2.9-192.0.2.1'", "{LowerBound: 192.0.2.9, UpperBound: 192.0.2.1}", "'::1-192.0.2.1'",
                           "everywhere", "'10.0.0.0/33'", "{}"})
    EXPECT_EQ(text(json), "nothing") << json;
}

TEST(ExchangeValuesTest, LongValuesAreAbridged) {
  EXPECT_EQ(Abridged(Json("{A: [1, 2]}")), R"({"A":[1,2]})");
  EXPECT_EQ(Abridged(YAML::Node(std::string(80, 'x'))), std::string(80, 'x'));
  EXPECT_EQ(Abridged(YAML::Node(std::string(81, 'x'))), std::string(77, 'x') + "...");
}

}  // namespace
}  // namespace gatepost::ctl
