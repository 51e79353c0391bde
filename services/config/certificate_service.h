// CertificateService on gRPC (proto/gatepost/config/v1/certificate.proto).
#pragma once

#include "gatepost/config/v1/certificate.grpc.pb.h"
#include "services/config/catalogue.h"
#include "services/config/handler.h"
#include "services/config/repository.h"

namespace gatepost::config {

class CertificateServiceImpl final : public v1::CertificateService::Service {
 public:
  // The references outlive the service.
  CertificateServiceImpl(const Handler& handler, Catalogue& catalogue, Repository& repository)
      : handler_(handler), catalogue_(catalogue), repository_(repository) {}

  grpc::Status GetCertificate(grpc::ServerContext* context, const v1::GetCertificateRequest* request,
                              v1::Certificate* response) override;
  grpc::Status ListCertificates(grpc::ServerContext* context, const v1::ListCertificatesRequest* request,
                                v1::ListCertificatesResponse* response) override;
  grpc::Status CreateCertificate(grpc::ServerContext* context, const v1::CreateCertificateRequest* request,
                                 v1::Certificate* response) override;
  grpc::Status UpdateCertificate(grpc::ServerContext* context, const v1::UpdateCertificateRequest* request,
                                 v1::Certificate* response) override;
  grpc::Status CreateSigningRequest(grpc::ServerContext* context, const v1::CreateSigningRequestRequest* request,
                                    v1::Certificate* response) override;
  grpc::Status InstallCertificate(grpc::ServerContext* context, const v1::InstallCertificateRequest* request,
                                  v1::Certificate* response) override;
  grpc::Status DeleteCertificate(grpc::ServerContext* context, const v1::DeleteCertificateRequest* request,
                                 google::protobuf::Empty* response) override;

 private:
  const Handler& handler_;
  Catalogue& catalogue_;
  Repository& repository_;
};

}  // namespace gatepost::config
