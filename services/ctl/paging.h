// All pages of a List method.
#pragma once

#include <google/protobuf/message.h>

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "services/ctl/cli.h"

namespace gatepost::ctl {

// `items(&response)` is the repeated field; `request` says what else is asked for. Memory grows with the whole list: at most what the service's limits allow.
template <typename Resource, typename Stub, typename Request, typename Response, typename Items>
absl::StatusOr<std::vector<Resource>> ListAll(Invocation* invocation, Service service,
                                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                                           Response*),
                                              Items items, Request request = {}) {
  std::vector<Resource> all;
  request.set_page_size(1000);
  while (true) {
    auto response = invocation->Call(service, method, request);
    if (!response.ok()) return response.status();
    for (Resource& resource : *items(&*response)) all.push_back(std::move(resource));
    if (response->next_page_token().empty()) return all;
    request.set_page_token(response->next_page_token());
  }
}

template <typename Resource>
std::vector<const google::protobuf::Message*> Pointers(const std::vector<Resource>& resources) {
  std::vector<const google::protobuf::Message*> pointers;
  for (const Resource& resource : resources) pointers.push_back(&resource);
  return pointers;
}

}  // namespace gatepost::ctl
