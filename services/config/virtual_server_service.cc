#include "services/config/virtual_server_service.h"

#include <utility>
#include <vector>

#include "services/base/status_macros.h"
#include "services/config/page.h"
#include "services/config/simulation.h"
#include "services/config/validate.h"

namespace gatepost::config {
namespace {

#define GATEPOST_METHOD(name) "gatepost.config.v1.VirtualServerService." name

// Puts a result into a response.
template <typename T>
absl::Status Put(absl::StatusOr<T> result, T* response) {
  GATEPOST_RETURN_IF_ERROR(result.status());
  *response = *std::move(result);
  return absl::OkStatus();
}

// The virtual server that a simulated session meets: the stored one, or the candidate as it would be stored.
absl::StatusOr<v1::VirtualServer> PolicyFor(const v1::SimulateSessionRequest& request, Catalogue* catalogue,
                                            Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), kVirtualServers, "name", call));
  if (!request.has_candidate()) {
    v1::GetVirtualServerRequest get;
    get.set_name(request.name());
    return catalogue->Get(get, call);
  }
  v1::UpdateVirtualServerRequest update;
  *update.mutable_virtual_server() = request.candidate();
  update.mutable_virtual_server()->set_name(request.name());
  update.mutable_virtual_server()->clear_etag();
  update.mutable_update_mask()->add_paths("*");
  update.set_allow_missing(true);
  update.set_validate_only(true);
  Call judged;
  absl::StatusOr<v1::VirtualServer> server = catalogue->Update(update, &judged);
  constexpr std::string_view kUpdated = "virtual_server";
  for (const Violation& violation : judged.violations.list()) {
    const bool in_candidate = violation.field.starts_with(kUpdated);
    call->violations.Add(in_candidate ? "candidate" + violation.field.substr(kUpdated.size()) : violation.field,
                         violation.description);
  }
  return server;
}

}  // namespace

grpc::Status VirtualServerServiceImpl::GetVirtualServer(grpc::ServerContext* context,
                                                        const v1::GetVirtualServerRequest* request,
                                                        v1::VirtualServer* response) {
  return handler_.Run(*context, GATEPOST_METHOD("GetVirtualServer"),
                      [&](Call* call) { return Put(catalogue_.Get(*request, call), response); });
}

grpc::Status VirtualServerServiceImpl::ListVirtualServers(grpc::ServerContext* context,
                                                          const v1::ListVirtualServersRequest* request,
                                                          v1::ListVirtualServersResponse* response) {
  return handler_.Run(*context, GATEPOST_METHOD("ListVirtualServers"), [&](Call*) -> absl::Status {
    GATEPOST_ASSIGN_OR_RETURN(const Page page, ReadPage(*request, kVirtualServers));
    GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> records,
                              ListRecords(repository_, page, response->mutable_next_page_token()));
    for (const store::Record& record : records) {
      GATEPOST_ASSIGN_OR_RETURN(*response->add_virtual_servers(), repository_.VirtualServerOf(record));
    }
    return absl::OkStatus();
  });
}

grpc::Status VirtualServerServiceImpl::CreateVirtualServer(grpc::ServerContext* context,
                                                           const v1::CreateVirtualServerRequest* request,
                                                           v1::VirtualServer* response) {
  return handler_.Run(*context, GATEPOST_METHOD("CreateVirtualServer"),
                      [&](Call* call) { return Put(catalogue_.Create(*request, call), response); });
}

grpc::Status VirtualServerServiceImpl::UpdateVirtualServer(grpc::ServerContext* context,
                                                           const v1::UpdateVirtualServerRequest* request,
                                                           v1::VirtualServer* response) {
  return handler_.Run(*context, GATEPOST_METHOD("UpdateVirtualServer"),
                      [&](Call* call) { return Put(catalogue_.Update(*request, call), response); });
}

grpc::Status VirtualServerServiceImpl::DeleteVirtualServer(grpc::ServerContext* context,
                                                           const v1::DeleteVirtualServerRequest* request,
                                                           google::protobuf::Empty*) {
  return handler_.Run(*context, GATEPOST_METHOD("DeleteVirtualServer"),
                      [&](Call* call) { return catalogue_.Delete(*request, call); });
}

grpc::Status VirtualServerServiceImpl::SetState(grpc::ServerContext* context, std::string_view method,
                                                const std::string& name, const std::string& etag,
                                                v1::VirtualServer::State state, v1::VirtualServer* response) {
  return handler_.Run(*context, method,
                      [&](Call* call) { return Put(catalogue_.SetState(name, etag, state, call), response); });
}

grpc::Status VirtualServerServiceImpl::StartVirtualServer(grpc::ServerContext* context,
                                                          const v1::StartVirtualServerRequest* request,
                                                          v1::VirtualServer* response) {
  return SetState(context, GATEPOST_METHOD("StartVirtualServer"), request->name(), request->etag(),
                  v1::VirtualServer::STARTED, response);
}

grpc::Status VirtualServerServiceImpl::StopVirtualServer(grpc::ServerContext* context,
                                                         const v1::StopVirtualServerRequest* request,
                                                         v1::VirtualServer* response) {
  return SetState(context, GATEPOST_METHOD("StopVirtualServer"), request->name(), request->etag(),
                  v1::VirtualServer::STOPPED, response);
}

grpc::Status VirtualServerServiceImpl::PauseVirtualServer(grpc::ServerContext* context,
                                                          const v1::PauseVirtualServerRequest* request,
                                                          v1::VirtualServer* response) {
  return SetState(context, GATEPOST_METHOD("PauseVirtualServer"), request->name(), request->etag(),
                  v1::VirtualServer::PAUSED, response);
}

grpc::Status VirtualServerServiceImpl::SimulateSession(grpc::ServerContext* context,
                                                       const v1::SimulateSessionRequest* request,
                                                       v1::SimulateSessionResponse* response) {
  return handler_.Run(*context, GATEPOST_METHOD("SimulateSession"), [&](Call* call) -> absl::Status {
    smtp::SimulatedSession session = ReadSession(*request, &call->violations);
    absl::StatusOr<v1::VirtualServer> server = PolicyFor(*request, &catalogue_, call);
    if (!call->violations.empty()) return absl::InvalidArgumentError("the request is invalid");
    GATEPOST_RETURN_IF_ERROR(server.status());
    GATEPOST_ASSIGN_OR_RETURN(*response, Simulated(*server, request->client(), std::move(session)));
    if (!request->has_candidate()) response->set_revision(server->revision());
    return absl::OkStatus();
  });
}

}  // namespace gatepost::config
