#include "services/config/edge_service.h"

#include <utility>

#include "services/base/status_macros.h"
#include "services/config/page.h"
#include "services/config/validate.h"

namespace gatepost::config {

grpc::Status EdgeServiceImpl::GetEdge(grpc::ServerContext* context, const v1::GetEdgeRequest* request,
                                      v1::Edge* response) {
  return handler_.Run(*context, "gatepost.config.v1.EdgeService.GetEdge",
                      [&](Call* call) -> absl::Status {
                        GATEPOST_RETURN_IF_ERROR(CheckName(request->name(), kEdges, "name", call));
                        GATEPOST_ASSIGN_OR_RETURN(*response, registry_.Get(request->name(), hub_.current()));
                        return absl::OkStatus();
                      });
}

grpc::Status EdgeServiceImpl::ListEdges(grpc::ServerContext* context, const v1::ListEdgesRequest* request,
                                        v1::ListEdgesResponse* response) {
  return handler_.Run(*context, "gatepost.config.v1.EdgeService.ListEdges",
                      [&](Call*) -> absl::Status {
                        GATEPOST_ASSIGN_OR_RETURN(const Page page, ReadPage(*request, kEdges));
                        bool more = false;
                        for (v1::Edge& edge : registry_.List(page.after, page.size, hub_.current(), &more))
                          *response->add_edges() = std::move(edge);
                        if (more) response->set_next_page_token(NextPageToken(page, response->edges().rbegin()->name()));
                        return absl::OkStatus();
                      });
}

}  // namespace gatepost::config
