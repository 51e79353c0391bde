// The kinds of resources that `apply` knows, behind one interface: get, list, create, update, delete of any of them.
#pragma once

#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/ctl/cli.h"

namespace gatepost::ctl {

using Resource = std::unique_ptr<google::protobuf::Message>;

class Kind {
 public:
  virtual ~Kind() = default;

  // "VirtualServer", "virtualServers".
  virtual std::string_view name() const = 0;
  virtual std::string_view collection() const = 0;
  // Lower ones are created first and deleted last: certificates before the virtual servers that name them, groups
  // before the users in them.
  virtual int order() const = 0;

  virtual Resource New() const = 0;
  // nullptr: there is none.
  virtual absl::StatusOr<Resource> Get(const std::string& name) const = 0;
  virtual absl::StatusOr<std::vector<std::string>> ListNames() const = 0;
  virtual absl::StatusOr<Resource> Create(const google::protobuf::Message& resource, bool validate_only) const = 0;
  virtual absl::StatusOr<Resource> Update(const google::protobuf::Message& resource,
                                          const google::protobuf::FieldMask& mask, bool validate_only) const = 0;
  virtual absl::Status Delete(const std::string& name) const = 0;
};

// In dependency order. They live as long as `invocation`.
std::vector<std::unique_ptr<Kind>> AllKinds(Invocation* invocation);

// The resource's `name`.
std::string ResourceName(const google::protobuf::Message& resource);
void SetResourceName(const std::string& name, google::protobuf::Message* resource);

// Without output-only fields and the etag: what two versions are compared by. Without input-only fields too.
Resource Comparable(const google::protobuf::Message& resource);

// The names of input-only fields that are set (passwords, keys).
std::vector<std::string> InputOnlyFields(const google::protobuf::Message& resource);

// Every field that an administrator may set; input-only ones if they are set.
google::protobuf::FieldMask FullMask(const google::protobuf::Message& resource);

}  // namespace gatepost::ctl
