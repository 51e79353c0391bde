// All changes of groups, as user_catalogue.h has those of users. Thread-safe.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>

#include "gatepost/auth/v1/group.pb.h"
#include "services/auth/limits.h"
#include "services/auth/record_editor.h"
#include "services/base/clock.h"
#include "services/rpc/call.h"

namespace gatepost::auth {

class GroupCatalogue {
 public:
  // The references outlive the catalogue. The limits are others in tests.
  struct Limits {
    int64_t groups = kMostGroups;
    int64_t members_taken_out = kMostMembersTakenOut;
    size_t members_per_commit = kMostMembersPerCommit;
  };
  GroupCatalogue(RecordEditor& editor, const base::Clock& clock, Limits limits)
      : editor_(editor), clock_(clock), limits_(limits) {}
  GroupCatalogue(RecordEditor& editor, const base::Clock& clock) : GroupCatalogue(editor, clock, Limits()) {}

  absl::StatusOr<v1::Group> Get(const v1::GetGroupRequest& request, rpc::Call* call);
  absl::StatusOr<v1::ListGroupsResponse> List(const v1::ListGroupsRequest& request);
  absl::StatusOr<v1::Group> Create(const v1::CreateGroupRequest& request, rpc::Call* call);
  absl::StatusOr<v1::Group> Update(const v1::UpdateGroupRequest& request, rpc::Call* call);
  absl::Status Delete(const v1::DeleteGroupRequest& request, rpc::Call* call);

 private:
  absl::Status AddNew(v1::Group* group, store::View& view, store::Transaction* transaction);
  // Adds the writes that take members out of the group, as many as one commit may.
  absl::Status TakeOutMembers(const std::string& group, store::View& view, store::Transaction* transaction);
  // What a commit made, with what is not in the record.
  v1::Group Answer(v1::Group group, int64_t revision, rpc::Call* call);

  RecordEditor& editor_;
  const base::Clock& clock_;
  const Limits limits_;
};

}  // namespace gatepost::auth
