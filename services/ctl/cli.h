// What every noun of gatepostctl shares: the command under construction, the connection, the way results and errors
// leave.
//
// Each noun's file has one function that adds its subcommands to the root; a subcommand's callback only stores an
// action in the Invocation, which main runs after parsing. Actions return a Status: its message is what the user reads.
// UsageError makes exit code 2 of it, anything else 1. One thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/ctl/output.h"

namespace gatepost::ctl {

// Global options; each may also come from GATEPOSTCTL_<NAME>.
struct Options {
  std::string config_address = "127.0.0.1:2050";
  std::string auth_address = "127.0.0.1:2060";
  std::string cert;
  std::string key;
  std::string ca;
  std::string server_name;
  int timeout_seconds = 10;
  Format output = Format::kText;
};

enum class Service { kConfig, kAuth };

class Invocation {
 public:
  Invocation(std::istream& in, std::ostream& out, std::ostream& err) : in(in), out(out), err(err) {}

  Options options;
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  // What the parsed command line asks for.
  std::function<absl::Status()> action;

  // The channel to a service, made on first use. FAILED_PRECONDITION: an identity file is missing or unreadable.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Channel(Service service);

  // Another channel than the options say: for tests.
  void UseChannel(Service service, std::shared_ptr<grpc::Channel> channel);

  // One unary call. The Status of a failure is ready to be shown: what to do, then every violation on a line of its
  // own.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(Service service,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
    auto channel = Channel(service);
    if (!channel.ok()) return channel.status();
    Stub stub(*channel);
    grpc::ClientContext context;
    Prepare(&context);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    peer_ = context.peer();
    if (!status.ok()) return Explain(service, status);
    return response;
  }

  // HOST:PORT that answered the last call: which of several replicas.
  std::string AnsweredBy() const;

 private:
  void Prepare(grpc::ClientContext* context) const;
  absl::Status Explain(Service service, const grpc::Status& status) const;

  std::shared_ptr<grpc::Channel> channels_[2];
  std::string peer_;  // as gRPC names it: `ipv4:192.0.2.1:2050`, `ipv6:%5B2001:db8::1%5D:2050`
};

// A mistake in how the command was given: exit code 2.
absl::Status UsageError(std::string_view message);
bool IsUsageError(const absl::Status& status);

// "a" or "virtualServers/a" -> "virtualServers/a".
std::string NameOf(std::string_view collection, std::string_view id);

// Adds `noun` with its help; its subcommands are required, and global options may follow them.
CLI::App* AddNoun(CLI::App* root, const std::string& noun, const std::string& help);

// An option that may be given many times, with one value each.
CLI::Option* Repeatable(CLI::Option* option);

// The contents of a file, "-" being standard input. 16 MiB at most.
absl::StatusOr<std::string> ReadInput(const std::string& path, std::istream& in);

// The nouns.
void AddVirtualServer(CLI::App* root, Invocation* invocation);
void AddCertificate(CLI::App* root, Invocation* invocation);
void AddUser(CLI::App* root, Invocation* invocation);
void AddGroup(CLI::App* root, Invocation* invocation);
void AddCredential(CLI::App* root, Invocation* invocation);
void AddThrottle(CLI::App* root, Invocation* invocation);
void AddEdge(CLI::App* root, Invocation* invocation);
void AddSimulate(CLI::App* root, Invocation* invocation);
void AddPki(CLI::App* root, Invocation* invocation);
void AddApply(CLI::App* root, Invocation* invocation);
void AddImport(CLI::App* root, Invocation* invocation);
void AddCompletion(CLI::App* root, Invocation* invocation);

}  // namespace gatepost::ctl
