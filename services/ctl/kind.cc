#include "services/ctl/kind.h"

#include <algorithm>
#include <utility>

#include "gatepost/auth/v1/group.grpc.pb.h"
#include "gatepost/auth/v1/user.grpc.pb.h"
#include "gatepost/config/v1/certificate.grpc.pb.h"
#include "gatepost/config/v1/virtual_server.grpc.pb.h"
#include "google/api/field_behavior.pb.h"
#include "services/ctl/paging.h"

namespace gatepost::ctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::FieldMask;
using google::protobuf::Message;

// What the services have in common is a naming convention, not a type: Traits names the methods.
template <typename Traits>
class KindOf final : public Kind {
 public:
  using R = typename Traits::R;

  explicit KindOf(Invocation* invocation) : invocation_(invocation) {}

  std::string_view name() const override { return Traits::kName; }
  std::string_view collection() const override { return Traits::kCollection; }
  int order() const override { return Traits::kOrder; }
  Resource New() const override { return std::make_unique<R>(); }

  absl::StatusOr<Resource> Get(const std::string& name) const override {
    typename Traits::GetRequest request;
    request.set_name(name);
    auto resource = invocation_->Call(Traits::kService, Traits::kGet, request);
    if (absl::IsNotFound(resource.status())) return Resource(nullptr);
    return Own(std::move(resource));
  }

  absl::StatusOr<std::vector<std::string>> ListNames() const override {
    auto resources = ListAll<R, typename Traits::Stub, typename Traits::ListRequest, typename Traits::ListResponse>(
        invocation_, Traits::kService, Traits::kList, Traits::Items);
    if (!resources.ok()) return resources.status();
    std::vector<std::string> names;
    for (const R& resource : *resources) names.push_back(resource.name());
    return names;
  }

  absl::StatusOr<Resource> Create(const Message& resource, bool validate_only) const override {
    typename Traits::CreateRequest request;
    Traits::SetCreate(IdOf(ResourceName(resource)), static_cast<const R&>(resource), &request);
    request.set_validate_only(validate_only);
    return Own(invocation_->Call(Traits::kService, Traits::kCreate, request));
  }

  absl::StatusOr<Resource> Update(const Message& resource, const FieldMask& mask, bool validate_only) const override {
    typename Traits::UpdateRequest request;
    Traits::SetUpdate(static_cast<const R&>(resource), &request);
    *request.mutable_update_mask() = mask;
    request.set_validate_only(validate_only);
    return Own(invocation_->Call(Traits::kService, Traits::kUpdate, request));
  }

  absl::Status Delete(const std::string& name) const override {
    typename Traits::DeleteRequest request;
    request.set_name(name);
    return invocation_->Call(Traits::kService, Traits::kDelete, request).status();
  }

 private:
  static absl::StatusOr<Resource> Own(absl::StatusOr<R> resource) {
    if (!resource.ok()) return resource.status();
    return Resource(std::make_unique<R>(*std::move(resource)));
  }

  Invocation* const invocation_;
};

struct CertificateTraits {
  using R = config::v1::Certificate;
  using Stub = config::v1::CertificateService::Stub;
  using GetRequest = config::v1::GetCertificateRequest;
  using ListRequest = config::v1::ListCertificatesRequest;
  using ListResponse = config::v1::ListCertificatesResponse;
  using CreateRequest = config::v1::CreateCertificateRequest;
  using UpdateRequest = config::v1::UpdateCertificateRequest;
  using DeleteRequest = config::v1::DeleteCertificateRequest;
  static constexpr std::string_view kName = "Certificate";
  static constexpr std::string_view kCollection = "certificates";
  static constexpr int kOrder = 0;
  static constexpr Service kService = Service::kConfig;
  static constexpr auto kGet = &Stub::GetCertificate;
  static constexpr auto kList = &Stub::ListCertificates;
  static constexpr auto kCreate = &Stub::CreateCertificate;
  static constexpr auto kUpdate = &Stub::UpdateCertificate;
  static constexpr auto kDelete = &Stub::DeleteCertificate;
  static auto* Items(ListResponse* response) { return response->mutable_certificates(); }
  static void SetCreate(const std::string& id, const R& resource, CreateRequest* request) {
    request->set_certificate_id(id);
    *request->mutable_certificate() = resource;
  }
  static void SetUpdate(const R& resource, UpdateRequest* request) { *request->mutable_certificate() = resource; }
};

struct GroupTraits {
  using R = auth::v1::Group;
  using Stub = auth::v1::GroupService::Stub;
  using GetRequest = auth::v1::GetGroupRequest;
  using ListRequest = auth::v1::ListGroupsRequest;
  using ListResponse = auth::v1::ListGroupsResponse;
  using CreateRequest = auth::v1::CreateGroupRequest;
  using UpdateRequest = auth::v1::UpdateGroupRequest;
  using DeleteRequest = auth::v1::DeleteGroupRequest;
  static constexpr std::string_view kName = "Group";
  static constexpr std::string_view kCollection = "groups";
  static constexpr int kOrder = 1;
  static constexpr Service kService = Service::kAuth;
  static constexpr auto kGet = &Stub::GetGroup;
  static constexpr auto kList = &Stub::ListGroups;
  static constexpr auto kCreate = &Stub::CreateGroup;
  static constexpr auto kUpdate = &Stub::UpdateGroup;
  static constexpr auto kDelete = &Stub::DeleteGroup;
  static auto* Items(ListResponse* response) { return response->mutable_groups(); }
  static void SetCreate(const std::string& id, const R& resource, CreateRequest* request) {
    request->set_group_id(id);
    *request->mutable_group() = resource;
  }
  static void SetUpdate(const R& resource, UpdateRequest* request) { *request->mutable_group() = resource; }
};

struct UserTraits {
  using R = auth::v1::User;
  using Stub = auth::v1::UserService::Stub;
  using GetRequest = auth::v1::GetUserRequest;
  using ListRequest = auth::v1::ListUsersRequest;
  using ListResponse = auth::v1::ListUsersResponse;
  using CreateRequest = auth::v1::CreateUserRequest;
  using UpdateRequest = auth::v1::UpdateUserRequest;
  using DeleteRequest = auth::v1::DeleteUserRequest;
  static constexpr std::string_view kName = "User";
  static constexpr std::string_view kCollection = "users";
  static constexpr int kOrder = 2;
  static constexpr Service kService = Service::kAuth;
  static constexpr auto kGet = &Stub::GetUser;
  static constexpr auto kList = &Stub::ListUsers;
  static constexpr auto kCreate = &Stub::CreateUser;
  static constexpr auto kUpdate = &Stub::UpdateUser;
  static constexpr auto kDelete = &Stub::DeleteUser;
  static auto* Items(ListResponse* response) { return response->mutable_users(); }
  static void SetCreate(const std::string& id, const R& resource, CreateRequest* request) {
    request->set_user_id(id);
    *request->mutable_user() = resource;
  }
  static void SetUpdate(const R& resource, UpdateRequest* request) { *request->mutable_user() = resource; }
};

struct VirtualServerTraits {
  using R = config::v1::VirtualServer;
  using Stub = config::v1::VirtualServerService::Stub;
  using GetRequest = config::v1::GetVirtualServerRequest;
  using ListRequest = config::v1::ListVirtualServersRequest;
  using ListResponse = config::v1::ListVirtualServersResponse;
  using CreateRequest = config::v1::CreateVirtualServerRequest;
  using UpdateRequest = config::v1::UpdateVirtualServerRequest;
  using DeleteRequest = config::v1::DeleteVirtualServerRequest;
  static constexpr std::string_view kName = "VirtualServer";
  static constexpr std::string_view kCollection = "virtualServers";
  static constexpr int kOrder = 3;
  static constexpr Service kService = Service::kConfig;
  static constexpr auto kGet = &Stub::GetVirtualServer;
  static constexpr auto kList = &Stub::ListVirtualServers;
  static constexpr auto kCreate = &Stub::CreateVirtualServer;
  static constexpr auto kUpdate = &Stub::UpdateVirtualServer;
  static constexpr auto kDelete = &Stub::DeleteVirtualServer;
  static auto* Items(ListResponse* response) { return response->mutable_virtual_servers(); }
  static void SetCreate(const std::string& id, const R& resource, CreateRequest* request) {
    request->set_virtual_server_id(id);
    *request->mutable_virtual_server() = resource;
  }
  static void SetUpdate(const R& resource, UpdateRequest* request) { *request->mutable_virtual_server() = resource; }
};

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
  kinds.push_back(std::make_unique<KindOf<CertificateTraits>>(invocation));
  kinds.push_back(std::make_unique<KindOf<GroupTraits>>(invocation));
  kinds.push_back(std::make_unique<KindOf<UserTraits>>(invocation));
  kinds.push_back(std::make_unique<KindOf<VirtualServerTraits>>(invocation));
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
