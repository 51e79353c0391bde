// The file of --directory: what is right is read, what is wrong is refused by its name.
#include "services/auth/directory_settings.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "services/base/file.h"
#include "services/base/strings.h"

namespace gatepost::auth {
namespace {

constexpr char kUsers[] = R"j("users": {"base": "ou=people,dc=x", "filter": "(mail={login})", "login_attribute": "mail"})j";

// With `more` members, and these without one of theirs.
std::string File(const std::string& more, const std::string& without = "") {
  const std::vector<std::string> members = {R"j("name": "corp")j", R"j("uris": ["ldap://ldap.example.com"])j",
                                            R"j("domains": ["example.com"])j", kUsers};
  std::string text = "{";
  for (const std::string& member : members) {
    if (without.empty() || !member.starts_with("\"" + without)) text += member + ",";
  }
  text += more;
  if (text.ends_with(",")) text.pop_back();
  return text + "}";
}

std::string Complaint(const std::string& json) {
  const absl::StatusOr<DirectorySettings> settings = ParseDirectorySettings(json);
  return settings.ok() ? "none" : std::string(settings.status().message());
}

TEST(DirectorySettingsTest, DefaultsAreTheCarefulOnes) {
  const absl::StatusOr<DirectorySettings> settings = ParseDirectorySettings(File(""));
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->name, "corp");
  ASSERT_EQ(settings->servers.size(), 1u);
  EXPECT_EQ(settings->servers[0].tls, LdapServer::Tls::kStartTls);
  EXPECT_EQ(settings->servers[0].tcp, "ldap://ldap.example.com:389");
  EXPECT_EQ(settings->cache_ttl.count(), 0);
  EXPECT_TRUE(settings->users.subtree);
  EXPECT_EQ(settings->decoy_dn, "cn=gatepost-nobody,ou=people,dc=x");
  EXPECT_EQ(settings->connections, 4);
  EXPECT_TRUE(settings->may_submit && settings->may_relay);
}

TEST(DirectorySettingsTest, EverythingIsRead) {
  const absl::StatusOr<DirectorySettings> settings = ParseDirectorySettings(R"j({
    "name": "corp", "uris": ["ldaps://a.example.com:1636", "ldap://b.example.com"], "start_tls": true, "ca_file": "/ca.pem",
    "bind_dn": "cn=gatepost,dc=x", "bind_password_file": "/secret", "domains": ["Example.COM"],
    "users": {"base": "dc=x", "scope": "one", "filter": "(uid={local_part})", "login_attribute": "uid",
              "address_attribute": "mail", "decoy_dn": "uid=decoy,dc=x"},
    "groups": {"base": "dc=x", "filter": "(member={dn})", "map": {"CN=Relay, dc=x": "groups/relay"}},
    "may_submit": true, "may_relay": false, "cache_ttl_seconds": 600, "connect_timeout_ms": 500,
    "operation_timeout_ms": 3000, "connections": 64})j");
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->servers[0].tls, LdapServer::Tls::kAtOnce);
  EXPECT_EQ(settings->servers[0].tcp, "ldap://a.example.com:1636");
  EXPECT_EQ(settings->servers[1].tls, LdapServer::Tls::kStartTls);
  EXPECT_EQ(settings->domains, std::vector<std::string>{"example.com"});
  EXPECT_FALSE(settings->users.subtree);
  EXPECT_EQ(settings->users.filter.placeholder(), Placeholder::kLocalPart);
  ASSERT_TRUE(settings->groups);
  EXPECT_EQ(settings->group_names.at(*DnKey("cn=relay,dc=x")), "groups/relay");
  EXPECT_FALSE(settings->may_relay);
  EXPECT_EQ(settings->cache_ttl, std::chrono::minutes(10));
  EXPECT_EQ(settings->connect_timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(settings->connections, 64);
}

TEST(DirectorySettingsTest, WhatIsWrongIsNamed) {
  const std::pair<std::string, std::string> cases[] = {
      {"[]", "not a JSON object"},
      {"{\"name\": \"corp\",", "not a JSON object"},
      {File("", "name"), "`name` must be given"},
      {File(R"j("name": "Corp")j", "name"), "`name` must be as"},
      {File(R"j("name": 7)j", "name"), "`name` must be a text"},
      {File("", "uris"), "`uris` must be a list"},
      {File(R"j("uris": [])j", "uris"), "`uris` must be a list"},
      {File(R"j("uris": ["ldap://a", 1])j", "uris"), "`uris` must be a list"},
      {File(R"j("uris": ["http://a"])j", "uris"), "`uris` must be ldap://"},
      {File(R"j("uris": ["ldapi:///"])j", "uris"), "`uris` must be ldap://"},
      {File(R"j("uris": ["ldap:///dc=x"])j", "uris"), "`uris` must be ldap://"},
      {File(R"j("uris": ["ldap://a/dc=x"])j", "uris"), "`uris` must be ldap://"},
      {File(R"j("uris": ["ldap://a ldap://b"])j", "uris"), "`uris` must be ldap://"},
      {File(R"j("start_tls": false)j"), "`start_tls` may be false on loopback"},
      {File(R"j("start_tls": "no")j"), "`start_tls` must be true or false"},
      {File(R"j("start_tsl": true)j"), "`start_tsl` is not a setting"},
      {File("", "domains"), "`domains` must be a list"},
      {File(R"j("domains": [""])j", "domains"), "`domains` has what is no domain"},
      {File(R"j("domains": ["a@b"])j", "domains"), "`domains` has what is no domain"},
      {File("", "users"), "`users` must be given"},
      {File(R"j("users": {"filter": "(mail={login})", "login_attribute": "mail"})j", "users"), "`users.base` must be given"},
      {File(R"j("users": {"base": "x", "filter": "(mail={login})", "login_attribute": "mail"})j", "users"),
       "`users.base` must be a DN"},
      {File(R"j("users": {"base": "dc=x", "filter": "(mail=*)", "login_attribute": "mail"})j", "users"),
       "`users.filter` must be an LDAP filter"},
      {File(R"j("users": {"base": "dc=x", "filter": "(mail={dn})", "login_attribute": "mail"})j", "users"),
       "`users.filter` must have {login}"},
      {File(R"j("users": {"base": "dc=x", "filter": "(mail={login})", "login_attribute": "mail;binary"})j", "users"),
       "`users.login_attribute` must be an attribute"},
      {File(R"j("users": {"base": "dc=x", "filter": "(mail={login})", "login_attribute": "mail", "scope": "base"})j", "users"),
       "`users.scope` must be"},
      {File(R"j("bind_dn": "cn=x")j"), "`bind_password_file` must be given with"},
      {File(R"j("bind_password_file": "/x")j"), "`bind_password_file` must be given with"},
      {File(R"j("bind_dn": "x", "bind_password_file": "/x")j"), "`bind_dn` must be a DN"},
      {File(R"j("groups": {"map": {"cn=x": "groups/x"}})j"), "`groups.attribute` or"},
      {File(R"j("groups": {"attribute": "memberOf", "map": {}})j"), "`groups.map` must have"},
      {File(R"j("groups": {"attribute": "memberOf", "map": {"cn=x": "x"}})j"), "`groups.map` must say"},
      {File(R"j("groups": {"attribute": "memberOf", "map": {"x": "groups/x"}})j"), "`groups.map` must say"},
      {File(R"j("groups": {"attribute": "memberOf", "map": {"cn=x": "groups/x", "CN=X": "groups/y"}})j"), "a DN twice"},
      {File(R"j("cache_ttl_seconds": 601)j"), "`cache_ttl_seconds` must be a number from 0 to 600"},
      {File(R"j("cache_ttl_seconds": -1)j"), "`cache_ttl_seconds` must be"},
      {File(R"j("cache_ttl_seconds": 1.5)j"), "`cache_ttl_seconds` must be"},
      {File(R"j("connections": 0)j"), "`connections` must be a number from 1 to 64"},
      {File(R"j("connections": 65)j"), "`connections` must be"},
      {File(R"j("connect_timeout_ms": 2001)j"), "`connect_timeout_ms` must be"},
      {File(R"j("operation_timeout_ms": 99)j"), "`operation_timeout_ms` must be"},
  };
  for (const auto& [json, complaint] : cases) EXPECT_NE(Complaint(json).find(complaint), std::string::npos)
      << json << "\n" << Complaint(json);
}

TEST(DirectorySettingsTest, DomainsAreCanonicalAndSorted) {
  const absl::StatusOr<DirectorySettings> settings =
      ParseDirectorySettings(File(R"j("domains": ["Example.COM", "b.example"])j", "domains"));
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->domains, (std::vector<std::string>{"b.example", "example.com"}));
}

// Or each domain would be as many more guesses at one entry's password.
TEST(DirectorySettingsTest, WithTheLocalPartAloneThereIsOneDomain) {
  const auto file = [](const std::string& domains, const std::string& users, const std::string& groups) {
    return R"j({"name": "corp", "uris": ["ldap://a"], "domains": [)j" + domains + R"j(], "users": {"base": "dc=x", "filter": "(uid=)j" +
           users + R"j()", "login_attribute": "uid"}, "groups": {"base": "dc=x", "filter": "(memberUid=)j" + groups +
           R"j()", "map": {"cn=x": "groups/x"}}})j";
  };
  const std::string one = R"("a.example")", two = R"("a.example", "b.example")";
  EXPECT_EQ(Complaint(file(one, "{local_part}", "{local_part}")), "none");
  EXPECT_EQ(Complaint(file(two, "{login}", "{login}")), "none");
  EXPECT_EQ(Complaint(file(two, "{local_part}", "{dn}")),
            "`domains` must be one alone, since `users.filter` has {local_part}: use {login}");
  EXPECT_EQ(Complaint(file(two, "{login}", "{local_part}")),
            "`domains` must be one alone, since `groups.filter` has {local_part}: use {login}");
}

TEST(DirectorySettingsTest, PasswordsGoInClearOnLoopbackOrWhereItIsAskedFor) {
  for (const char* host : {"127.0.0.1:1389", "[::1]", "localhost"}) {
    EXPECT_EQ(Complaint(File(R"j("start_tls": false, "uris": ["ldap://)j" + std::string(host) + "\"]", "uris")), "none") << host;
  }
  EXPECT_EQ(Complaint(File(R"j("start_tls": false, "allow_clear_text": true)j")), "none");
  EXPECT_EQ(ParseDirectorySettings(File(R"j("uris": ["ldaps://[::1]"])j", "uris"))->servers[0].tcp, "ldap://[::1]:636");
}

TEST(DirectorySettingsTest, FilesThatAreNamedAreReadBeforeTheyAreNeeded) {
  const std::string folder = testing::TempDir() + "/directory" + std::to_string(getpid());
  std::filesystem::create_directory(folder);
  const std::string path = folder + "/directory.json", secret = folder + "/secret";
  ASSERT_TRUE(base::WriteFileAtomically(secret, "secret\n").ok());
  ASSERT_TRUE(base::WriteFileAtomically(path, File(R"j("bind_dn": "cn=x", "bind_password_file": ")j" + secret + "\"")).ok());
  EXPECT_TRUE(LoadDirectorySettings(path).ok()) << LoadDirectorySettings(path).status();
  ASSERT_EQ(chmod(secret.c_str(), 0644), 0);
  const absl::Status readable = LoadDirectorySettings(path).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(readable));
  EXPECT_NE(std::string(readable.message()).find(secret + " may be read by others"), std::string::npos) << readable;
  EXPECT_EQ(readable.message().find('\n'), absl::string_view::npos) << "one line";
  ASSERT_TRUE(base::WriteFileAtomically(path, File(R"j("ca_file": "/nonexistent/ca")j")).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(LoadDirectorySettings(path).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(LoadDirectorySettings(folder + "/missing").status()));
}

}  // namespace
}  // namespace gatepost::auth
