#include "services/config/certificate_service.h"

#include <utility>
#include <vector>

#include "services/base/status_macros.h"
#include "services/config/page.h"
#include "services/config/validate.h"

namespace gatepost::config {
namespace {

#define GATEPOST_METHOD(name) "gatepost.config.v1.CertificateService." name

}  // namespace

grpc::Status CertificateServiceImpl::GetCertificate(grpc::ServerContext* context, const v1::GetCertificateRequest* request,
                                                    v1::Certificate* response) {
  return handler_.Run(*context, GATEPOST_METHOD("GetCertificate"), [&](Call* call) -> absl::Status {
    GATEPOST_ASSIGN_OR_RETURN(*response, catalogue_.Get(*request, call));
    return absl::OkStatus();
  });
}

grpc::Status CertificateServiceImpl::ListCertificates(grpc::ServerContext* context,
                                                      const v1::ListCertificatesRequest* request,
                                                      v1::ListCertificatesResponse* response) {
  return handler_.Run(*context, GATEPOST_METHOD("ListCertificates"), [&](Call*) -> absl::Status {
    GATEPOST_ASSIGN_OR_RETURN(const Page page, ReadPage(*request, kCertificates));
    GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> records,
                              ListRecords(repository_, page, response->mutable_next_page_token()));
    for (const store::Record& record : records) {
      GATEPOST_ASSIGN_OR_RETURN(*response->add_certificates(), repository_.CertificateOf(record));
    }
    return absl::OkStatus();
  });
}

grpc::Status CertificateServiceImpl::CreateCertificate(grpc::ServerContext* context,
                                                       const v1::CreateCertificateRequest* request,
                                                       v1::Certificate* response) {
  return handler_.Run(*context, GATEPOST_METHOD("CreateCertificate"), [&](Call* call) -> absl::Status {
    GATEPOST_ASSIGN_OR_RETURN(*response, catalogue_.Create(*request, call));
    return absl::OkStatus();
  });
}

grpc::Status CertificateServiceImpl::UpdateCertificate(grpc::ServerContext* context,
                                                       const v1::UpdateCertificateRequest* request,
                                                       v1::Certificate* response) {
  return handler_.Run(*context, GATEPOST_METHOD("UpdateCertificate"), [&](Call* call) -> absl::Status {
    GATEPOST_ASSIGN_OR_RETURN(*response, catalogue_.Update(*request, call));
    return absl::OkStatus();
  });
}

grpc::Status CertificateServiceImpl::CreateSigningRequest(grpc::ServerContext* context,
                                                          const v1::CreateSigningRequestRequest* request,
                                                          v1::Certificate* response) {
  return handler_.Run(*context, GATEPOST_METHOD("CreateSigningRequest"), [&](Call* call) -> absl::Status {
    GATEPOST_ASSIGN_OR_RETURN(*response, catalogue_.CreateSigningRequest(*request, call));
    return absl::OkStatus();
  });
}

grpc::Status CertificateServiceImpl::InstallCertificate(grpc::ServerContext* context,
                                                        const v1::InstallCertificateRequest* request,
                                                        v1::Certificate* response) {
  return handler_.Run(*context, GATEPOST_METHOD("InstallCertificate"), [&](Call* call) -> absl::Status {
    GATEPOST_ASSIGN_OR_RETURN(*response, catalogue_.Install(*request, call));
    return absl::OkStatus();
  });
}

grpc::Status CertificateServiceImpl::DeleteCertificate(grpc::ServerContext* context,
                                                       const v1::DeleteCertificateRequest* request,
                                                       google::protobuf::Empty*) {
  return handler_.Run(*context, GATEPOST_METHOD("DeleteCertificate"),
                      [&](Call* call) { return catalogue_.Delete(*request, call); });
}

}  // namespace gatepost::config
