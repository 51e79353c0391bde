#include "services/ctl/kind.h"

#include <algorithm>
#include <utility>

#include "gatepost/auth/v1/group.grpc.pb.h"
#include "gatepost/auth/v1/user.grpc.pb.h"
#include "gatepost/config/v1/certificate.grpc.pb.h"
#include "gatepost/config/v1/virtual_server.grpc.pb.h"
#include "google/api/field_behavior.pb.h"
#include "services/base/check.h"
#include "services/ctl/paging.h"

namespace gatepost::ctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::FieldMask;
using google::protobuf::Message;

// A method of a stub, taken apart.
template <typename Method>
struct Signature;
template <typename S, typename Req, typename Resp>
struct Signature<grpc::Status (S::*)(grpc::ClientContext*, const Req&, Resp*)> {
  using Request = Req;
  using Response = Resp;
};
template <auto method>
using RequestOf = typename Signature<decltype(method)>::Request;
template <auto method>
using ResponseOf = typename Signature<decltype(method)>::Response;

// The one field of `message` that holds the resource, or the list of them.
const FieldDescriptor* FieldOf(const google::protobuf::Descriptor* resource, const Message& message) {
  const google::protobuf::Descriptor* descriptor = message.GetDescriptor();
  int i = 0;
  while (i < descriptor->field_count() && descriptor->field(i)->message_type() != resource) ++i;
  GATEPOST_CHECK(i < descriptor->field_count());
  return descriptor->field(i);
}

// What the services have in common is a convention (AIP-131 to 135), not a type: their methods make a kind.
template <auto kGet, auto kList, auto kCreate, auto kUpdate, auto kDelete>
class KindOf final : public Kind {
 public:
  using R = ResponseOf<kGet>;

  KindOf(Invocation* invocation, Service service, std::string_view collection, int order)
      : invocation_(invocation), service_(service), collection_(collection), order_(order) {}

  std::string_view name() const override { return R::descriptor()->name(); }
  std::string_view collection() const override { return collection_; }
  int order() const override { return order_; }
  Resource New() const override { return std::make_unique<R>(); }

  absl::StatusOr<Resource> Get(const std::string& name) const override {
    RequestOf<kGet> request;
    request.set_name(name);
    auto resource = invocation_->Call(service_, kGet, request);
    if (absl::IsNotFound(resource.status())) return Resource(nullptr);
    return Own(std::move(resource));
  }

  absl::StatusOr<std::vector<std::string>> ListNames() const override {
    auto resources = ListAll<R>(invocation_, service_, kList, [](auto* response) {
      return response->GetReflection()->template MutableRepeatedPtrField<R>(response,
                                                                            FieldOf(R::descriptor(), *response));
    });
    if (!resources.ok()) return resources.status();
    std::vector<std::string> names;
    for (const R& resource : *resources) names.push_back(resource.name());
    return names;
  }

  absl::StatusOr<Resource> Create(const Message& resource, bool validate_only) const override {
    RequestOf<kCreate> request;
    const FieldDescriptor* id = request.GetDescriptor()->FindFieldByName(Put(resource, &request)->name() + "_id");
    request.GetReflection()->SetString(&request, id, IdOf(ResourceName(resource)));
    request.set_validate_only(validate_only);
    return Own(invocation_->Call(service_, kCreate, request));
  }

  absl::StatusOr<Resource> Update(const Message& resource, const FieldMask& mask, bool validate_only) const override {
    RequestOf<kUpdate> request;
    Put(resource, &request);
    *request.mutable_update_mask() = mask;
    request.set_validate_only(validate_only);
    return Own(invocation_->Call(service_, kUpdate, request));
  }

  absl::Status Delete(const std::string& name) const override {
    RequestOf<kDelete> request;
    request.set_name(name);
    return invocation_->Call(service_, kDelete, request).status();
  }

 private:
  // Into which field.
  static const FieldDescriptor* Put(const Message& resource, Message* request) {
    const FieldDescriptor* field = FieldOf(R::descriptor(), *request);
    request->GetReflection()->MutableMessage(request, field)->CopyFrom(resource);
    return field;
  }
  static absl::StatusOr<Resource> Own(absl::StatusOr<R> resource) {
    if (!resource.ok()) return resource.status();
    return Resource(std::make_unique<R>(*std::move(resource)));
  }

  Invocation* const invocation_;
  const Service service_;
  const std::string_view collection_;
  const int order_;
};

using Certificates = config::v1::CertificateService::Stub;
using Groups = auth::v1::GroupService::Stub;
using Users = auth::v1::UserService::Stub;
using VirtualServers = config::v1::VirtualServerService::Stub;

using CertificateKind =
    KindOf<&Certificates::GetCertificate, &Certificates::ListCertificates, &Certificates::CreateCertificate,
           &Certificates::UpdateCertificate, &Certificates::DeleteCertificate>;
using GroupKind =
    KindOf<&Groups::GetGroup, &Groups::ListGroups, &Groups::CreateGroup, &Groups::UpdateGroup, &Groups::DeleteGroup>;
using UserKind = KindOf<&Users::GetUser, &Users::ListUsers, &Users::CreateUser, &Users::UpdateUser, &Users::DeleteUser>;
using VirtualServerKind =
    KindOf<&VirtualServers::GetVirtualServer, &VirtualServers::ListVirtualServers, &VirtualServers::CreateVirtualServer,
           &VirtualServers::UpdateVirtualServer, &VirtualServers::DeleteVirtualServer>;

bool Behaves(const FieldDescriptor* field, google::api::FieldBehavior behavior) {
  const auto& options = field->options();
  for (int i = 0; i < options.ExtensionSize(google::api::field_behavior); ++i) {
    if (options.GetExtension(google::api::field_behavior, i) == behavior) return true;
  }
  return false;
}

bool IsSet(const Message& message, const FieldDescriptor* field) {
  return field->is_repeated() ? message.GetReflection()->FieldSize(message, field) > 0
                              : message.GetReflection()->HasField(message, field);
}

}  // namespace

std::vector<std::unique_ptr<Kind>> AllKinds(Invocation* invocation) {
  std::vector<std::unique_ptr<Kind>> kinds;
  kinds.push_back(std::make_unique<CertificateKind>(invocation, Service::kConfig, "certificates", 0));
  kinds.push_back(std::make_unique<GroupKind>(invocation, Service::kAuth, "groups", 1));
  kinds.push_back(std::make_unique<UserKind>(invocation, Service::kAuth, "users", 2));
  kinds.push_back(std::make_unique<VirtualServerKind>(invocation, Service::kConfig, "virtualServers", 3));
  return kinds;
}

std::string ResourceName(const Message& resource) {
  return resource.GetReflection()->GetString(resource, resource.GetDescriptor()->FindFieldByName("name"));
}

void SetResourceName(const std::string& name, Message* resource) {
  resource->GetReflection()->SetString(resource, resource->GetDescriptor()->FindFieldByName("name"), name);
}

Resource Comparable(const Message& resource) {
  Resource copy(resource.New());
  copy->CopyFrom(resource);
  const auto* descriptor = copy->GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (field->name() == "etag" || Behaves(field, google::api::OUTPUT_ONLY) || Behaves(field, google::api::INPUT_ONLY))
      copy->GetReflection()->ClearField(copy.get(), field);
  }
  return copy;
}

std::vector<std::string> InputOnlyFields(const Message& resource) {
  std::vector<std::string> fields;
  const auto* descriptor = resource.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (Behaves(field, google::api::INPUT_ONLY) && IsSet(resource, field)) fields.push_back(field->json_name());
  }
  return fields;
}

FieldMask FullMask(const Message& resource) {
  FieldMask mask;
  const auto* descriptor = resource.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (field->name() == "name" || field->name() == "etag" || Behaves(field, google::api::OUTPUT_ONLY)) continue;
    if (Behaves(field, google::api::INPUT_ONLY) && !IsSet(resource, field)) continue;
    mask.add_paths(field->name());
  }
  return mask;
}

}  // namespace gatepost::ctl
