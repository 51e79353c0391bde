#include "services/auth/group_service.h"

namespace gatepost::auth {
namespace {

#define GATEPOST_METHOD(name) "gatepost.auth.v1.GroupService." name

}  // namespace

grpc::Status GroupServiceImpl::GetGroup(grpc::ServerContext* context, const v1::GetGroupRequest* request,
                                        v1::Group* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("GetGroup"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.Get(*request, &call), response); });
}

grpc::Status GroupServiceImpl::ListGroups(grpc::ServerContext* context, const v1::ListGroupsRequest* request,
                                          v1::ListGroupsResponse* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("ListGroups"),
                       [&](rpc::Call&) { return rpc::Give(catalogue_.List(*request), response); });
}

grpc::Status GroupServiceImpl::CreateGroup(grpc::ServerContext* context, const v1::CreateGroupRequest* request,
                                           v1::Group* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("CreateGroup"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.Create(*request, &call), response); });
}

grpc::Status GroupServiceImpl::UpdateGroup(grpc::ServerContext* context, const v1::UpdateGroupRequest* request,
                                           v1::Group* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("UpdateGroup"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.Update(*request, &call), response); });
}

grpc::Status GroupServiceImpl::DeleteGroup(grpc::ServerContext* context, const v1::DeleteGroupRequest* request,
                                           google::protobuf::Empty*) {
  return calls_.Handle(*context, GATEPOST_METHOD("DeleteGroup"),
                       [&](rpc::Call& call) { return catalogue_.Delete(*request, &call); });
}

}  // namespace gatepost::auth
