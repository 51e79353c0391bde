#include "services/store/postgres_target.h"

#include <sys/stat.h>

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

TEST(PostgresTargetTest, ToAnotherMachineTheServersNameIsVerified) {
  for (const char* uri : {"postgresql://db.example.net/gatepost", "postgresql://db.example.net:5433,127.0.0.1/gatepost",
                          "postgresql:///gatepost?host=192.0.2.1", "postgres://[2001:db8::1]/gatepost"}) {
    EXPECT_EQ(Parameters(uri)["sslmode"], "verify-full") << uri;
  }
}

TEST(PostgresTargetTest, OnThisMachineThereIsNobodyBetween) {
  for (const char* uri : {"postgresql:///gatepost", "postgresql:///gatepost?host=/run/postgresql",
                          "postgresql://[::1]/gatepost", "postgresql://127.0.0.1:5433,localhost/gatepost"}) {
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
