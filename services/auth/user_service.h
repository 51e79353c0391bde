// UserService: each method is rpc::Calls' frame (who may, audit) around the catalogue. On gRPC's thread-per-call API,
// since hashing a password waits for a verifier.
#pragma once

#include <grpcpp/grpcpp.h>

#include "gatepost/auth/v1/user.grpc.pb.h"
#include "services/auth/user_catalogue.h"
#include "services/rpc/call.h"

namespace gatepost::auth {

class UserServiceImpl final : public v1::UserService::Service {
 public:
  // The references outlive the service.
  UserServiceImpl(const rpc::Calls& calls, UserCatalogue& catalogue) : calls_(calls), catalogue_(catalogue) {}

  grpc::Status GetUser(grpc::ServerContext* context, const v1::GetUserRequest* request, v1::User* response) override;
  grpc::Status ListUsers(grpc::ServerContext* context, const v1::ListUsersRequest* request,
                         v1::ListUsersResponse* response) override;
  grpc::Status CreateUser(grpc::ServerContext* context, const v1::CreateUserRequest* request,
                          v1::User* response) override;
  grpc::Status UpdateUser(grpc::ServerContext* context, const v1::UpdateUserRequest* request,
                          v1::User* response) override;
  grpc::Status DeleteUser(grpc::ServerContext* context, const v1::DeleteUserRequest* request,
                          google::protobuf::Empty* response) override;
  grpc::Status SetUserPassword(grpc::ServerContext* context, const v1::SetUserPasswordRequest* request,
                               v1::User* response) override;
  grpc::Status DisableUser(grpc::ServerContext* context, const v1::DisableUserRequest* request,
                           v1::User* response) override;
  grpc::Status EnableUser(grpc::ServerContext* context, const v1::EnableUserRequest* request,
                          v1::User* response) override;
  grpc::Status RevokeUserSessions(grpc::ServerContext* context, const v1::RevokeUserSessionsRequest* request,
                                  v1::User* response) override;
  grpc::Status RevokeDirectoryUserSessions(grpc::ServerContext* context,
                                           const v1::RevokeDirectoryUserSessionsRequest* request,
                                           v1::RevokeDirectoryUserSessionsResponse* response) override;

 private:
  const rpc::Calls& calls_;
  UserCatalogue& catalogue_;
};

}  // namespace gatepost::auth
