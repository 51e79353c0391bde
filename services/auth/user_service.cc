#include "services/auth/user_service.h"

#include <utility>

namespace gatepost::auth {
namespace {

#define GATEPOST_METHOD(name) "gatepost.auth.v1.UserService." name

}  // namespace

grpc::Status UserServiceImpl::GetUser(grpc::ServerContext* context, const v1::GetUserRequest* request,
                                      v1::User* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("GetUser"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.Get(*request, &call), response); });
}

grpc::Status UserServiceImpl::ListUsers(grpc::ServerContext* context, const v1::ListUsersRequest* request,
                                        v1::ListUsersResponse* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("ListUsers"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.List(*request, &call), response); });
}

grpc::Status UserServiceImpl::CreateUser(grpc::ServerContext* context, const v1::CreateUserRequest* request,
                                         v1::User* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("CreateUser"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.Create(*request, &call), response); });
}

grpc::Status UserServiceImpl::UpdateUser(grpc::ServerContext* context, const v1::UpdateUserRequest* request,
                                         v1::User* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("UpdateUser"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.Update(*request, &call), response); });
}

grpc::Status UserServiceImpl::DeleteUser(grpc::ServerContext* context, const v1::DeleteUserRequest* request,
                                         google::protobuf::Empty*) {
  return calls_.Handle(*context, GATEPOST_METHOD("DeleteUser"),
                       [&](rpc::Call& call) { return catalogue_.Delete(*request, &call); });
}

grpc::Status UserServiceImpl::SetUserPassword(grpc::ServerContext* context, const v1::SetUserPasswordRequest* request,
                                              v1::User* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("SetUserPassword"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.SetPassword(*request, &call), response); });
}

grpc::Status UserServiceImpl::DisableUser(grpc::ServerContext* context, const v1::DisableUserRequest* request,
                                          v1::User* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("DisableUser"), [&](rpc::Call& call) {
    return rpc::Give(catalogue_.SetState(request->name(), request->etag(), v1::User::DISABLED, &call), response);
  });
}

grpc::Status UserServiceImpl::EnableUser(grpc::ServerContext* context, const v1::EnableUserRequest* request,
                                         v1::User* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("EnableUser"), [&](rpc::Call& call) {
    return rpc::Give(catalogue_.SetState(request->name(), request->etag(), v1::User::ENABLED, &call), response);
  });
}

grpc::Status UserServiceImpl::RevokeUserSessions(grpc::ServerContext* context,
                                                 const v1::RevokeUserSessionsRequest* request, v1::User* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("RevokeUserSessions"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.RevokeUserSessions(*request, &call), response); });
}

grpc::Status UserServiceImpl::RevokeDirectoryUserSessions(grpc::ServerContext* context,
                                                          const v1::RevokeDirectoryUserSessionsRequest* request,
                                                          v1::RevokeDirectoryUserSessionsResponse* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("RevokeDirectoryUserSessions"), [&](rpc::Call& call) {
    return rpc::Give(catalogue_.RevokeDirectoryUserSessions(*request, &call), response);
  });
}

}  // namespace gatepost::auth
