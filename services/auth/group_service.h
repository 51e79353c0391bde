// GroupService: each method is rpc::Calls' frame (who may, audit) around the catalogue. On gRPC's thread-per-call API,
// as user_service.h.
#pragma once

#include <grpcpp/grpcpp.h>

#include "gatepost/auth/v1/group.grpc.pb.h"
#include "services/auth/group_catalogue.h"
#include "services/rpc/call.h"

namespace gatepost::auth {

class GroupServiceImpl final : public v1::GroupService::Service {
 public:
  // The references outlive the service.
  GroupServiceImpl(const rpc::Calls& calls, GroupCatalogue& catalogue) : calls_(calls), catalogue_(catalogue) {}

  grpc::Status GetGroup(grpc::ServerContext* context, const v1::GetGroupRequest* request, v1::Group* response) override;
  grpc::Status ListGroups(grpc::ServerContext* context, const v1::ListGroupsRequest* request,
                          v1::ListGroupsResponse* response) override;
  grpc::Status CreateGroup(grpc::ServerContext* context, const v1::CreateGroupRequest* request,
                           v1::Group* response) override;
  grpc::Status UpdateGroup(grpc::ServerContext* context, const v1::UpdateGroupRequest* request,
                           v1::Group* response) override;
  grpc::Status DeleteGroup(grpc::ServerContext* context, const v1::DeleteGroupRequest* request,
                           google::protobuf::Empty* response) override;

 private:
  const rpc::Calls& calls_;
  GroupCatalogue& catalogue_;
};

}  // namespace gatepost::auth
