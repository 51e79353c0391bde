#include "services/auth/throttle_service.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "services/auth/prepare.h"
#include "services/auth/user_records.h"
#include "services/base/strings.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {
namespace {

constexpr size_t kMostListed = 1'000;

v1::Throttle::Kind ToProto(ThrottleKind kind) {
  switch (kind) {
    case ThrottleKind::kPair:
      return v1::Throttle::LOGIN_AND_NETWORK;
    case ThrottleKind::kNetwork:
      return v1::Throttle::NETWORK;
    case ThrottleKind::kLogin:
      return v1::Throttle::LOGIN;
  }
  __builtin_unreachable();
}

std::optional<ThrottleKind> FromProto(v1::Throttle::Kind kind) {
  switch (kind) {
    case v1::Throttle::LOGIN_AND_NETWORK:
      return ThrottleKind::kPair;
    case v1::Throttle::NETWORK:
      return ThrottleKind::kNetwork;
    case v1::Throttle::LOGIN:
      return ThrottleKind::kLogin;
    default:
      return std::nullopt;
  }
}

absl::Status Judge(const v1::ClearThrottleRequest& request) {
  std::vector<rpc::FieldViolation> violations;
  const std::optional<ThrottleKind> kind = FromProto(request.kind());
  if (!kind) violations.push_back({"kind", "must be LOGIN_AND_NETWORK, NETWORK or LOGIN"});
  const bool of_network = kind == ThrottleKind::kNetwork;
  const bool of_login = kind == ThrottleKind::kLogin;
  if (of_network != request.login().empty() && kind) {
    violations.push_back({"login", of_network ? "must be empty: the counter is a network's" : "must be set"});
  }
  if (of_login != request.network().empty() && kind) {
    violations.push_back({"network", of_login ? "must be empty: the counter is a login's" : "must be set"});
  }
  return violations.empty() ? absl::OkStatus() : rpc::InvalidFields(violations);
}

}  // namespace

grpc::Status ThrottleServiceImpl::ListThrottles(grpc::ServerContext* context, const v1::ListThrottlesRequest*,
                                                v1::ListThrottlesResponse* response) {
  return calls_.Handle(*context, "gatepost.auth.v1.ThrottleService.ListThrottles", [&](rpc::Call&) {
    const std::vector<Throttle::Entry> entries = ledger_.InForce();
    for (size_t i = 0; i < std::min(entries.size(), kMostListed); ++i) {
      v1::Throttle* throttle = response->add_throttles();
      throttle->set_kind(ToProto(entries[i].kind));
      throttle->set_login(entries[i].login);
      throttle->set_network(entries[i].network);
      throttle->set_failures(static_cast<uint32_t>(entries[i].failures));
      *throttle->mutable_until() = ToTimestamp(entries[i].until);
    }
    response->set_more(entries.size() > kMostListed);
    return absl::OkStatus();
  });
}

grpc::Status ThrottleServiceImpl::ClearThrottle(grpc::ServerContext* context, const v1::ClearThrottleRequest* request,
                                                google::protobuf::Empty*) {
  return calls_.Handle(*context, "gatepost.auth.v1.ThrottleService.ClearThrottle", [&](rpc::Call& call) {
    if (absl::Status status = Judge(*request); !status.ok()) return status;
    call.resource = base::StrCat("throttles/", request->network(), " ", request->login());
    // A login as an administrator types it, or as the list shows it.
    const std::optional<std::string> prepared = PrepareLogin(request->login());
    const std::string login = prepared ? LoginKey(*prepared) : request->login();
    if (ledger_.Clear(*FromProto(request->kind()), login, request->network())) return absl::OkStatus();
    return rpc::Error(absl::StatusCode::kNotFound, "NOT_THROTTLED", "no such throttle is in force here");
  });
}

}  // namespace gatepost::auth
