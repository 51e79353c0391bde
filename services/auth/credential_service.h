// CredentialService: each method is rpc::Calls' frame (who may, audit) around the catalogue. On gRPC's thread-per-call
// API, as user_service.h.
#pragma once

#include <grpcpp/grpcpp.h>

#include "gatepost/auth/v1/credential.grpc.pb.h"
#include "services/auth/credential_catalogue.h"
#include "services/rpc/call.h"

namespace gatepost::auth {

class CredentialServiceImpl final : public v1::CredentialService::Service {
 public:
  // The references outlive the service.
  CredentialServiceImpl(const rpc::Calls& calls, CredentialCatalogue& catalogue)
      : calls_(calls), catalogue_(catalogue) {}

  grpc::Status GetCredential(grpc::ServerContext* context, const v1::GetCredentialRequest* request,
                             v1::Credential* response) override;
  grpc::Status ListCredentials(grpc::ServerContext* context, const v1::ListCredentialsRequest* request,
                               v1::ListCredentialsResponse* response) override;
  grpc::Status CreateCredential(grpc::ServerContext* context, const v1::CreateCredentialRequest* request,
                                v1::CreateCredentialResponse* response) override;
  grpc::Status UpdateCredential(grpc::ServerContext* context, const v1::UpdateCredentialRequest* request,
                                v1::Credential* response) override;
  grpc::Status DeleteCredential(grpc::ServerContext* context, const v1::DeleteCredentialRequest* request,
                                google::protobuf::Empty* response) override;

 private:
  const rpc::Calls& calls_;
  CredentialCatalogue& catalogue_;
};

}  // namespace gatepost::auth
