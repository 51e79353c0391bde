#include "services/auth/credential_service.h"

namespace gatepost::auth {
namespace {

#define GATEPOST_METHOD(name) "gatepost.auth.v1.CredentialService." name

}  // namespace

grpc::Status CredentialServiceImpl::GetCredential(grpc::ServerContext* context, const v1::GetCredentialRequest* request,
                                                  v1::Credential* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("GetCredential"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.Get(*request, &call), response); });
}

grpc::Status CredentialServiceImpl::ListCredentials(grpc::ServerContext* context,
                                                    const v1::ListCredentialsRequest* request,
                                                    v1::ListCredentialsResponse* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("ListCredentials"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.List(*request, &call), response); });
}

grpc::Status CredentialServiceImpl::CreateCredential(grpc::ServerContext* context,
                                                     const v1::CreateCredentialRequest* request,
                                                     v1::CreateCredentialResponse* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("CreateCredential"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.Create(*request, &call), response); });
}

grpc::Status CredentialServiceImpl::UpdateCredential(grpc::ServerContext* context,
                                                     const v1::UpdateCredentialRequest* request,
                                                     v1::Credential* response) {
  return calls_.Handle(*context, GATEPOST_METHOD("UpdateCredential"),
                       [&](rpc::Call& call) { return rpc::Give(catalogue_.Update(*request, &call), response); });
}

grpc::Status CredentialServiceImpl::DeleteCredential(grpc::ServerContext* context,
                                                     const v1::DeleteCredentialRequest* request,
                                                     google::protobuf::Empty*) {
  return calls_.Handle(*context, GATEPOST_METHOD("DeleteCredential"),
                       [&](rpc::Call& call) { return catalogue_.Delete(*request, &call); });
}

}  // namespace gatepost::auth
