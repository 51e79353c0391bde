#include "services/auth/group_catalogue.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/auth/field_checks.h"
#include "services/auth/user_index.h"
#include "services/auth/user_records.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/rpc/field_mask.h"
#include "services/rpc/page_token.h"
#include "services/rpc/status_details.h"

namespace gatepost::auth {
namespace {

using base::StrCat;

constexpr std::string_view kList = "groups";

absl::StatusOr<int64_t> CountMembers(store::View& view, std::string_view group) {
  return view.Count(MemberKey(IdOf(group), ""));
}

absl::StatusOr<v1::Group> ReadGroup(store::View& view, const store::Record& record, std::string_view epoch) {
  GATEPOST_ASSIGN_OR_RETURN(v1::Group group, GroupOf(record, epoch));
  GATEPOST_ASSIGN_OR_RETURN(const int64_t members, CountMembers(view, group.name()));
  group.set_member_count(members);
  return group;
}

void CheckGroup(v1::Group* group, Violations* violations) {
  if (!group->has_display_name()) group->set_display_name(std::string(IdOf(group->name())));
  CheckText(group->display_name(), kMostDisplayNameCharacters, /*line_feeds=*/false, "group.display_name", violations);
  CheckText(group->description(), kMostDescriptionCharacters, /*line_feeds=*/true, "group.description", violations);
}

}  // namespace

v1::Group GroupCatalogue::Answer(v1::Group group, int64_t revision, rpc::Call* call) {
  if (revision > 0) {
    Complete(&group, editor_.epoch(), revision);
    call->new_revision = revision;
  }
  // What was committed stays so, though the store does not answer any more.
  if (const auto view = editor_.Read(); view.ok()) {
    if (const auto members = CountMembers(**view, group.name()); members.ok()) group.set_member_count(*members);
  }
  return group;
}

absl::Status GroupCatalogue::AddNew(v1::Group* group, store::View& view, store::Transaction* transaction) {
  GATEPOST_ASSIGN_OR_RETURN(const int64_t count, view.Count(kGroups));
  GATEPOST_ASSIGN_OR_RETURN(const bool exists, HasRecord(view, group->name()));
  if (!exists && count >= limits_.groups) {
    return rpc::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_GROUPS",
                      StrCat("there are ", limits_.groups, " groups already"));
  }
  group->clear_etag();
  group->clear_revision();
  *group->mutable_create_time() = ToTimestamp(clock_.WallNow());
  *group->mutable_update_time() = group->create_time();
  transaction->writes.push_back({group->name(), Stored(*group), store::Condition::Absent()});
  return absl::OkStatus();
}

absl::StatusOr<v1::Group> GroupCatalogue::Get(const v1::GetGroupRequest& request, rpc::Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), kGroups, "name", call));
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, editor_.Read());
  GATEPOST_ASSIGN_OR_RETURN(const store::Record record, ReadRecord(*view, request.name()));
  return ReadGroup(*view, record, editor_.epoch());
}

absl::StatusOr<v1::ListGroupsResponse> GroupCatalogue::List(const v1::ListGroupsRequest& request) {
  GATEPOST_ASSIGN_OR_RETURN(const int32_t size, rpc::PageSize(request.page_size()));
  GATEPOST_ASSIGN_OR_RETURN(const std::string after, rpc::ReadPageToken(kList, request.page_token()));
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, editor_.Read());
  bool more = false;
  GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> records,
                            view->List(kGroups, after, static_cast<size_t>(size), kMostPageOctets, &more));
  v1::ListGroupsResponse response;
  for (const store::Record& record : records) {
    GATEPOST_ASSIGN_OR_RETURN(*response.add_groups(), ReadGroup(*view, record, editor_.epoch()));
  }
  if (more) response.set_next_page_token(rpc::MakePageToken(kList, records.back().key));
  return response;
}

absl::StatusOr<v1::Group> GroupCatalogue::Create(const v1::CreateGroupRequest& request, rpc::Call* call) {
  Violations violations;
  call->resource = StrCat(kGroups, request.group_id().substr(0, 100));
  CheckId(request.group_id(), "group_id", &violations);
  CheckRequestId(request.request_id(), &violations);
  v1::Group group = request.group();
  group.set_name(call->resource);
  CheckGroup(&group, &violations);
  if (!violations.empty()) return rpc::InvalidFields(violations);
  const absl::StatusOr<store::Committed> committed =
      editor_.Change(request.validate_only(), [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        GATEPOST_RETURN_IF_ERROR(AddNew(&group, view, transaction));
        if (!request.request_id().empty()) {
          transaction->request_id = {StrCat(call->caller.uri, " CreateGroup ", request.request_id()),
                                     Fingerprint(request.SerializeAsString()), Stored(group)};
        }
        if (!request.validate_only()) return absl::OkStatus();
        // What the commit's condition would have found.
        GATEPOST_ASSIGN_OR_RETURN(const bool exists, HasRecord(view, group.name()));
        return exists ? AlreadyExists(group.name()) : absl::OkStatus();
      });
  if (absl::IsAlreadyExists(committed.status())) return AlreadyExists(group.name());
  GATEPOST_RETURN_IF_ERROR(committed.status());
  if (committed->repeated) {
    if (!group.ParseFromString(committed->answer)) return absl::DataLossError("a stored answer is damaged");
    group.set_name(call->resource);
    Complete(&group, editor_.epoch(), committed->revision);
    return group;
  }
  return Answer(std::move(group), committed->revision, call);
}

absl::StatusOr<v1::Group> GroupCatalogue::Update(const v1::UpdateGroupRequest& request, rpc::Call* call) {
  const v1::Group& wanted = request.group();
  const google::protobuf::FieldMask* mask = request.has_update_mask() ? &request.update_mask() : nullptr;
  GATEPOST_RETURN_IF_ERROR(CheckName(wanted.name(), kGroups, "group.name", call));
  v1::Group group;
  const absl::StatusOr<store::Committed> committed =
      editor_.Change(request.validate_only(), [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        const absl::StatusOr<store::Record> record = ReadRecord(view, wanted.name());
        const bool missing = absl::IsNotFound(record.status()) && request.allow_missing();
        v1::Group stored;
        if (missing) {
          // An etag says that the group was there.
          GATEPOST_RETURN_IF_ERROR(CheckEtag(wanted.etag(), editor_.epoch(), 0));
          group = wanted;
        } else {
          GATEPOST_RETURN_IF_ERROR(record.status());
          call->old_revision = record->revision;
          GATEPOST_RETURN_IF_ERROR(CheckEtag(wanted.etag(), editor_.epoch(), record->revision));
          GATEPOST_ASSIGN_OR_RETURN(stored, GroupOf(*record, editor_.epoch()));
          group = stored;
        }
        Violations violations = rpc::ApplyMask(mask, wanted, &group);
        CheckGroup(&group, &violations);
        if (!violations.empty()) return rpc::InvalidFields(violations);
        if (missing) return AddNew(&group, view, transaction);
        if (Stored(group) == Stored(stored)) return absl::OkStatus();
        *group.mutable_update_time() = ToTimestamp(clock_.WallNow());
        transaction->writes.push_back({group.name(), Stored(group), store::Condition::At(record->revision)});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  return Answer(std::move(group), committed->revision, call);
}

absl::Status GroupCatalogue::TakeOutMembers(const std::string& group, store::View& view,
                                            store::Transaction* transaction) {
  const std::string prefix = MemberKey(IdOf(group), "");
  bool more = false;
  GATEPOST_ASSIGN_OR_RETURN(const std::vector<store::Record> members,
                            view.List(prefix, "", limits_.members_per_commit, kMostPageOctets, &more));
  for (const store::Record& member : members) {
    GATEPOST_ASSIGN_OR_RETURN(const store::Record record,
                              ReadRecord(view, StrCat(kUsers, member.key.substr(prefix.size()))));
    GATEPOST_ASSIGN_OR_RETURN(v1::User user, UserOf(record, editor_.epoch()));
    Texts& groups = *user.mutable_groups();
    groups.erase(std::remove(groups.begin(), groups.end(), group), groups.end());
    *user.mutable_update_time() = ToTimestamp(clock_.WallNow());
    transaction->writes.push_back({record.key, Stored(user), store::Condition::At(record.revision)});
    transaction->writes.push_back({member.key, std::nullopt, store::Condition::None()});
  }
  return absl::OkStatus();
}

absl::Status GroupCatalogue::Delete(const v1::DeleteGroupRequest& request, rpc::Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), kGroups, "name", call));
  absl::StatusOr<store::Committed> committed;
  for (bool deleted = false; !deleted;) {
    const auto take_out = [&](store::View& view, store::Transaction* transaction) -> absl::Status {
      GATEPOST_ASSIGN_OR_RETURN(const store::Record record, ReadRecord(view, request.name()));
      call->old_revision = record.revision;
      GATEPOST_RETURN_IF_ERROR(CheckEtag(request.etag(), editor_.epoch(), record.revision));
      GATEPOST_ASSIGN_OR_RETURN(const int64_t members, CountMembers(view, request.name()));
      if (members > 0 && !request.force()) {
        return rpc::Error(absl::StatusCode::kFailedPrecondition, "GROUP_HAS_MEMBERS",
                          StrCat(request.name(), " has ", members, " members"));
      }
      if (members > limits_.members_taken_out) {
        return rpc::Error(absl::StatusCode::kFailedPrecondition, "TOO_MANY_MEMBERS",
                          StrCat(request.name(), " has ", members, " members, more than ", limits_.members_taken_out,
                                 ": take some out first"));
      }
      GATEPOST_RETURN_IF_ERROR(TakeOutMembers(request.name(), view, transaction));
      deleted = static_cast<size_t>(members) * 2 == transaction->writes.size();
      if (deleted) transaction->writes.push_back({request.name(), std::nullopt, store::Condition::At(record.revision)});
      return absl::OkStatus();
    };
    committed = editor_.Change(/*dry_run=*/false, take_out);
    GATEPOST_RETURN_IF_ERROR(committed.status());
  }
  call->new_revision = committed->revision;
  return absl::OkStatus();
}

}  // namespace gatepost::auth
