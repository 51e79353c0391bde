// DnsService on gRPC (proto/gatepost/config/v1/dns_service.proto): drives a DnsCheck. Thread-safe.
#pragma once

#include "gatepost/config/v1/dns_service.grpc.pb.h"
#include "services/base/clock.h"
#include "services/config/catalogue.h"
#include "services/config/handler.h"
#include "services/net/blocking_dns.h"

namespace gatepost::config {

class DnsServiceImpl final : public v1::DnsService::Service {
 public:
  // The references outlive the service.
  DnsServiceImpl(const Handler& handler, Catalogue& catalogue, net::BlockingDns& dns, const base::Clock& clock)
      : handler_(handler), catalogue_(catalogue), dns_(dns), clock_(clock) {}

  grpc::Status CheckDns(grpc::ServerContext* context, const v1::CheckDnsRequest* request,
                        v1::CheckDnsResponse* response) override;

 private:
  absl::Status Check(const v1::CheckDnsRequest& request, Call* call, v1::CheckDnsResponse* response);

  const Handler& handler_;
  Catalogue& catalogue_;
  net::BlockingDns& dns_;
  const base::Clock& clock_;
};

}  // namespace gatepost::config
