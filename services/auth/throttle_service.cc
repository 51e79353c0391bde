#include "services/auth/throttle_service.h"

#include <optional>
#include <string>
#include <vector>

#include "services/auth/prepare.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/rpc/page_token.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {
namespace {

constexpr std::string_view kListMethod = "gatepost.auth.v1.ThrottleService.ListThrottles";

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

// As an administrator types it, or as the list shows it.
std::optional<std::string> LoginOf(const v1::ClearThrottleRequest& request) {
  const std::optional<std::string> prepared = PrepareLogin(request.login());
  return prepared ? std::optional<std::string>(LoginKey(*prepared)) : std::nullopt;
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
  if (!request.login().empty() && !LoginOf(request)) violations.push_back({"login", "is no login name"});
  if (!request.network().empty() && !Throttle::IsNetwork(request.network()))
    violations.push_back({"network", "must be as it is listed: 192.0.2.1, 2001:db8::/64 or 2001:db8::/48"});
  return violations.empty() ? absl::OkStatus() : rpc::InvalidFields(violations);
}

// What a page ends with, in the order of the list.
std::string PlaceOf(const Throttle::Entry& entry) {
  return base::StrCat(static_cast<int>(entry.kind), " ", entry.login, "\n", entry.network);
}

absl::Status List(const v1::ListThrottlesRequest& request, const std::vector<Throttle::Entry>& entries,
                  v1::ListThrottlesResponse* response) {
  GATEPOST_ASSIGN_OR_RETURN(const int32_t size, rpc::PageSize(request.page_size()));
  GATEPOST_ASSIGN_OR_RETURN(const std::string after, rpc::ReadPageToken(kListMethod, request.page_token()));
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string place = PlaceOf(entries[i]);
    if (!after.empty() && place <= after) continue;
    if (response->throttles_size() == size) {
      response->set_next_page_token(rpc::MakePageToken(kListMethod, PlaceOf(entries[i - 1])));
      return absl::OkStatus();
    }
    v1::Throttle* throttle = response->add_throttles();
    throttle->set_kind(ToProto(entries[i].kind));
    throttle->set_login(entries[i].login);
    throttle->set_network(entries[i].network);
    throttle->set_failures(static_cast<uint32_t>(entries[i].failures));
    *throttle->mutable_until() = ToTimestamp(entries[i].until);
  }
  return absl::OkStatus();
}

}  // namespace

grpc::Status ThrottleServiceImpl::ListThrottles(grpc::ServerContext* context, const v1::ListThrottlesRequest* request,
                                                v1::ListThrottlesResponse* response) {
  return calls_.Handle(*context, kListMethod, [&](rpc::Call&) { return List(*request, ledger_.InForce(), response); });
}

grpc::Status ThrottleServiceImpl::ClearThrottle(grpc::ServerContext* context, const v1::ClearThrottleRequest* request,
                                                google::protobuf::Empty*) {
  return calls_.Handle(*context, "gatepost.auth.v1.ThrottleService.ClearThrottle", [&](rpc::Call& call) {
    if (absl::Status status = Judge(*request); !status.ok()) return status;
    call.resource = base::StrCat("throttles/", request->network(), " ", request->login());
    const std::string login = LoginOf(*request).value_or("");
    if (ledger_.Clear(*FromProto(request->kind()), login, request->network())) return absl::OkStatus();
    return rpc::Error(absl::StatusCode::kNotFound, "NOT_THROTTLED", "no such throttle is in force here");
  });
}

}  // namespace gatepost::auth
