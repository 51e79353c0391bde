// gatepostctl throttle: what the brute-force defence refuses now, and how to let go of it.
#include <memory>
#include <string>
#include <utility>

#include "gatepost/auth/v1/throttle.grpc.pb.h"
#include "google/protobuf/util/time_util.h"
#include "services/ctl/cli.h"
#include "services/ctl/paging.h"

namespace gatepost::ctl {
namespace {

using auth::v1::Throttle;
using Throttles = auth::v1::ThrottleService;

struct Arguments {
  std::string login;
  std::string network;
};

std::string_view What(Throttle::Kind kind) {
  switch (kind) {
    case Throttle::LOGIN_AND_NETWORK:
      return "login from network";
    case Throttle::NETWORK:
      return "network";
    case Throttle::LOGIN:
      return "login";
    default:
      return "?";
  }
}

absl::Status List(Invocation* invocation) {
  auto throttles = ListAll<Throttle, Throttles::Stub, auth::v1::ListThrottlesRequest, auth::v1::ListThrottlesResponse>(
      invocation, Service::kAuth, &Throttles::Stub::ListThrottles,
      [](auto* response) { return response->mutable_throttles(); });
  if (!throttles.ok()) return throttles.status();
  Table table{{"REFUSED", "LOGIN", "NETWORK", "FAILURES", "UNTIL"}, {}};
  for (const Throttle& throttle : *throttles) {
    table.rows.push_back({std::string(What(throttle.kind())), Printable(throttle.login()), throttle.network(),
                          std::to_string(throttle.failures()),
                          google::protobuf::util::TimeUtil::ToString(throttle.until())});
  }
  return PrintList(invocation->options.output, Pointers(*throttles), table, "Nothing is throttled", invocation->out);
}

absl::Status Clear(Invocation* invocation, const Arguments& arguments) {
  if (arguments.login.empty() && arguments.network.empty())
    return UsageError("say which: --login, --network, or both, as `gatepostctl throttle list` shows them");
  auth::v1::ClearThrottleRequest request;
  request.set_kind(arguments.login.empty()     ? Throttle::NETWORK
                   : arguments.network.empty() ? Throttle::LOGIN
                                               : Throttle::LOGIN_AND_NETWORK);
  request.set_login(arguments.login);
  request.set_network(arguments.network);
  auto done = invocation->Call(Service::kAuth, &Throttles::Stub::ClearThrottle, request);
  if (!done.ok()) return done.status();
  if (invocation->options.output == Format::kText) invocation->out << "cleared, on every replica within a second\n";
  return absl::OkStatus();
}

}  // namespace

void AddThrottle(CLI::App* root, Invocation* invocation) {
  CLI::App* noun = AddNoun(root, "throttle", "Logins and networks that are refused for their failures");
  CLI::App* list = noun->add_subcommand("list", "List what is refused now");
  list->callback([=] { invocation->action = [=] { return List(invocation); }; });

  auto arguments = std::make_shared<Arguments>();
  CLI::App* clear = noun->add_subcommand("clear", "Forget the failures of one counter");
  clear->add_option("--login", arguments->login, "The login, as listed");
  clear->add_option("--network", arguments->network, "The network, as listed: 192.0.2.1, 2001:db8::/64");
  clear->callback([=] { invocation->action = [=] { return Clear(invocation, *arguments); }; });
  clear->footer("Example:\n  gatepostctl throttle clear --login alice@example.com --network 192.0.2.1");
}

}  // namespace gatepost::ctl
