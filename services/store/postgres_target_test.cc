#include "services/store/postgres_target.h"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include "gtest/gtest.h"
#include "services/store/test_folder.h"

namespace gatepost::store {
namespace {

std::map<std::string, std::string> Parameters(const std::string& uri, const std::string& password_file = "") {
  const auto parameters = PostgresParameters({uri, password_file, "gatepost_auth"});
  EXPECT_TRUE(parameters.ok()) << parameters.status();
  return parameters.ok() ? *parameters : std::map<std::string, std::string>();
}

// A variable of the environment, while it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, /*overwrite=*/1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* const name_;
};

TEST(PostgresTargetTest, ToAnotherMachineTheServersNameIsVerified) {
  for (const char* uri : {"postgresql://db.example.net/gatepost", "postgresql://db.example.net:5433,127.0.0.1/gatepost",
                          "postgresql:///gatepost?host=192.0.2.1", "postgres://[2001:db8::1]/gatepost"}) {
    EXPECT_EQ(Parameters(uri)["sslmode"], "verify-full") << uri;
  }
}

TEST(PostgresTargetTest, ANameThatLooksLikeThisMachineIsAnother) {
  for (const char* uri :
       {"postgresql://127.evil.example/x", "postgresql://127.0.0.1.evil.example/x", "postgresql://127.1/x",
        "postgresql://localhost.evil.example/x", "postgresql://127.0.0.1/x?hostaddr=192.0.2.1",
        "postgresql://192.0.2.1/x?hostaddr=127.0.0.1", "postgresql://db.example.net/x?sslmode="}) {
    EXPECT_EQ(Parameters(uri)["sslmode"], "verify-full") << uri;
  }
}

TEST(PostgresTargetTest, AHostThatTheEnvironmentSaysIsVerifiedToo) {
  {
    const Variable host("PGHOST", "db.example.net");
    EXPECT_EQ(Parameters("postgresql:///x")["sslmode"], "verify-full");
    EXPECT_EQ(Parameters("postgresql:///x?host=")["sslmode"], "verify-full") << "an empty host is unsaid";
    EXPECT_FALSE(Parameters("postgresql://127.0.0.1/x").contains("sslmode")) << "the URI's host holds";
  }
  {
    const Variable address("PGHOSTADDR", "192.0.2.1");
    EXPECT_EQ(Parameters("postgresql://127.0.0.1/x")["sslmode"], "verify-full") << "libpq connects to the address";
  }
  {
    const Variable host("PGHOST", "/run/postgresql");
    EXPECT_FALSE(Parameters("postgresql:///x").contains("sslmode"));
  }
}

TEST(PostgresTargetTest, AServiceMaySayAnyHost) {
  EXPECT_EQ(Parameters("postgresql:///x?service=mail")["sslmode"], "verify-full");
  EXPECT_EQ(Parameters("postgresql://127.0.0.1/x?service=mail")["sslmode"], "verify-full") << "hostaddr, for one";
  const Variable service("PGSERVICE", "mail");
  EXPECT_EQ(Parameters("postgresql:///x")["sslmode"], "verify-full");
}

TEST(PostgresTargetTest, OnThisMachineThereIsNobodyBetween) {
  for (const char* uri :
       {"postgresql:///gatepost", "postgresql:///gatepost?host=/run/postgresql", "postgresql://[::1]/gatepost",
        "postgresql://127.0.0.1:5433,localhost/gatepost", "postgresql://127.0.0.2/gatepost?hostaddr=127.0.0.1"}) {
    EXPECT_FALSE(Parameters(uri).contains("sslmode")) << uri;
  }
}

TEST(PostgresTargetTest, WhatTheUriSaysHolds) {
  auto parameters = Parameters(
      "postgresql://gatepost@db.example.net/x?sslmode=require&connect_timeout=9&target_session_attrs=read-write");
  EXPECT_EQ(parameters["sslmode"], "require");
  EXPECT_EQ(parameters["connect_timeout"], "9");
  EXPECT_EQ(parameters["target_session_attrs"], "read-write");
  EXPECT_EQ(parameters["user"], "gatepost");
}

TEST(PostgresTargetTest, StandbysAreNotAsked) {
  EXPECT_EQ(Parameters("postgresql:///x")["target_session_attrs"], "primary");
  for (const char* role : {"any", "standby", "prefer-standby", "read-only"}) {
    const auto parameters = PostgresParameters({std::string("postgresql:///x?target_session_attrs=") + role, "", "x"});
    EXPECT_EQ(parameters.status().code(), absl::StatusCode::kFailedPrecondition) << role;
  }
}

TEST(PostgresTargetTest, ThePasswordComesFromItsFileWithoutTheEndOfTheLine) {
  const TestFolder folder;
  const std::string file = folder.path() + "/password";
  std::ofstream(file) << "geheim \r\n";
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  EXPECT_EQ(Parameters("postgresql://gatepost:other@/x", file)["password"], "geheim ");
  ASSERT_EQ(chmod(file.c_str(), 0644), 0);
  EXPECT_EQ(PostgresParameters({"postgresql:///x", file, "x"}).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(PostgresTargetTest, NoErrorSaysThePassword) {
  for (const char* uri : {"postgresql://gatepost:geheim@127.0.0.1/x?no=such", "postgresql://gatepost:geheim@h:x:y/%zz",
                          "postgresql://gatepost:geheim@/x?target_session_attrs=any", "postgresql://u:geheim@[::1/x"}) {
    const auto parameters = PostgresParameters({uri, "", "x"});
    ASSERT_EQ(parameters.status().code(), absl::StatusCode::kFailedPrecondition) << uri;
    EXPECT_EQ(parameters.status().ToString().find("geheim"), std::string::npos) << parameters.status();
  }
}

}  // namespace
}  // namespace gatepost::store
