#include "services/auth/ldap_directory.h"

#include <algorithm>
#include <utility>

#include "services/auth/limits.h"
#include "services/auth/prepare.h"
#include "services/auth/user_records.h"
#include "services/base/domain_name.h"
#include "services/base/file.h"
#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/base/wipe.h"

namespace gatepost::auth {
namespace {

// RFC 4511 4.5.1.8: no attributes.
constexpr char kNoAttributes[] = "1.1";
// RFC 5321 4.5.3.1.2.
constexpr size_t kMostDomainOctets = 255;

DirectoryReply ReplyOf(const DirectoryAnswer& answer) {
  if (answer.outcome == Outcome::kSuccess) return DirectoryReply::kRight;
  if (answer.outcome != Outcome::kCredentials)
    return answer.reason == "no_slot" ? DirectoryReply::kNoSlot : DirectoryReply::kUnavailable;
  if (answer.reason == "unknown") return DirectoryReply::kUnknown;
  return answer.reason == "ambiguous" ? DirectoryReply::kAmbiguous : DirectoryReply::kWrong;
}

DirectoryAnswer CannotSay(std::string_view reason) { return {.outcome = Outcome::kUnavailable, .reason = reason}; }

std::string_view LocalPart(std::string_view login) { return login.substr(0, login.rfind('@')); }

std::string_view ValueFor(Placeholder placeholder, std::string_view login, std::string_view dn) {
  if (placeholder == Placeholder::kDn) return dn;
  return placeholder == Placeholder::kLogin ? login : LocalPart(login);
}

// The value of the entry's attribute that is `wanted`, as logins are compared here.
std::optional<std::string> Spelling(const std::vector<std::string>& values, std::string_view wanted) {
  for (const std::string& value : values) {
    const std::optional<std::string> prepared = PrepareLogin(value);
    if (prepared && LoginKey(*prepared) == wanted) return prepared;
  }
  return std::nullopt;
}

// `alice@example.com` or, as Active Directory has it in proxyAddresses, `smtp:alice@example.com`; the domain is made
// canonical. What is no address is left out.
std::vector<std::string> AddressesOf(const std::vector<std::string>& values) {
  std::vector<std::string> addresses;
  for (std::string_view value : values) {
    if (base::StartsWithIgnoreCase(value, "smtp:")) value.remove_prefix(5);
    const size_t at = value.rfind('@');
    if (at == value.npos || at == 0 || !base::IsValidUtf8(value) || addresses.size() >= kMostDirectoryAddresses)
      continue;
    const absl::StatusOr<std::string> domain = base::CanonicalDomain(value.substr(at + 1), kMostDomainOctets);
    if (domain.ok()) addresses.push_back(base::StrCat(value.substr(0, at), '@', *domain));
  }
  return addresses;
}

}  // namespace

LdapDirectory::LdapDirectory(DirectorySettings settings, const base::Clock& clock, base::Random& random, base::Log& log,
                             const DirectoryMetrics& metrics)
    : settings_(std::move(settings)),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      cache_(settings_.cache_ttl, clock, random),
      servers_(settings_.servers.size(), random) {
  for (int i = 0; i < settings_.connections; ++i) workers_.push_back(std::make_unique<Worker>(clock));
  for (const auto& worker : workers_) worker->thread = std::thread([this, one = worker.get()] { Run(one); });
}

void LdapDirectory::Stop() {
  std::deque<std::shared_ptr<Job>> left;
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    left.swap(waiting_);
  }
  for (const auto& worker : workers_) {
    worker->search.Abort();
    worker->bind.Abort();
    if (worker->thread.joinable()) worker->thread.join();
  }
  for (const auto& job : left) Answer(job.get(), CannotSay("directory"));
}

bool LdapDirectory::Serves(std::string_view login_key) const {
  const size_t at = login_key.rfind('@');
  return at != login_key.npos && at > 0 &&
         std::binary_search(settings_.domains.begin(), settings_.domains.end(), login_key.substr(at + 1));
}

bool LdapDirectory::up() const {
  absl::MutexLock lock(&mutex_);
  return servers_.up();
}

size_t LdapDirectory::waiting() const {
  absl::MutexLock lock(&mutex_);
  return waiting_.size();
}

void LdapDirectory::Verify(std::string login_key, base::Secret password,
                           std::shared_ptr<const std::atomic<bool>> cancelled, Done done) {
  auto job = std::make_shared<Job>();
  job->asked = clock_.Now();
  job->login_key = std::move(login_key);
  job->password = std::move(password);
  job->cancelled = std::move(cancelled);
  job->done = std::move(done);
  if (std::optional<DirectoryAnswer> known = cache_.Find(job->login_key, job->password.view())) {
    metrics_.cache_hits.Increment();
    job->password.Wipe();
    return job->done(*std::move(known));
  }
  {
    absl::MutexLock lock(&mutex_);
    if (!stop_ && waiting_.size() < kMostDirectoryWaiting) {
      waiting_.push_back(std::move(job));
      return;
    }
  }
  job->password.Wipe();
  Answer(job.get(), CannotSay("no_slot"));
}

void LdapDirectory::Answer(Job* job, DirectoryAnswer answer) {
  if (job->answered.exchange(true)) return;
  metrics_.replies[static_cast<size_t>(ReplyOf(answer))].Increment();
  metrics_.seconds.Observe(std::chrono::duration<double>(clock_.Now() - job->asked).count());
  job->done(std::move(answer));
}

void LdapDirectory::Tick() {
  const base::MonotonicTime now = clock_.Now();
  std::vector<std::shared_ptr<Job>> waited, overdue;
  {
    absl::MutexLock lock(&mutex_);
    while (!waiting_.empty() && now - waiting_.front()->asked >= kDirectoryWait) {
      waited.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    for (const auto& job : running_) {
      if (now - job->asked >= kDirectoryTime) overdue.push_back(job);
    }
  }
  for (const auto& job : waited) {
    job->password.Wipe();
    Answer(job.get(), CannotSay("no_slot"));
  }
  for (const auto& job : overdue) Answer(job.get(), CannotSay("directory"));
  for (const auto& worker : workers_) {
    worker->search.Expire(now);
    worker->bind.Expire(now);
  }
}

void LdapDirectory::Run(Worker* worker) {
  while (true) {
    std::shared_ptr<Job> job;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &LdapDirectory::HasWork));
      if (stop_) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
      running_.insert(job);
    }
    if (job->cancelled == nullptr || !job->cancelled->load()) {
      DirectoryAnswer answer = Ask(worker, *job);
      if (answer.outcome == Outcome::kSuccess) cache_.Add(job->login_key, job->password.view(), answer);
      Answer(job.get(), std::move(answer));
    }
    job->password.Wipe();
    absl::MutexLock lock(&mutex_);
    running_.erase(job);
  }
}

DirectoryAnswer LdapDirectory::Ask(Worker* worker, const Job& job) {
  const base::MonotonicTime deadline = job.asked + kDirectoryTime;
  bool kept = true;
  // Each server once; and once more, over a new connection, where one that was kept turns out to be closed.
  for (size_t attempts = settings_.servers.size() + 1; attempts > 0 && clock_.Now() < deadline; --attempts) {
    std::optional<size_t> server;
    {
      absl::MutexLock lock(&mutex_);
      if (stop_) break;
      server = servers_.Pick(clock_.Now());
    }
    if (!server) break;
    // One that a firewall has dropped in silence would cost a time-out, and count against a server that is well.
    const bool connected = worker->server == server && worker->search.is_open() && worker->bind.is_open() &&
                           clock_.Now() - worker->used < kDirectoryIdle;
    kept = kept && connected;
    absl::Status status = connected ? absl::OkStatus() : Connect(worker, *server, deadline);
    if (status.ok()) {
      absl::StatusOr<DirectoryAnswer> answer = Judge(worker, job, deadline);
      if (answer.ok()) {
        worker->used = clock_.Now();
        Report(*server, absl::OkStatus());
        return *std::move(answer);
      }
      status = answer.status();
      // It answers, and says that it will not: of this login, perhaps. Others are not to suffer for it.
      if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
        Report(*server, absl::OkStatus());
        log_.Warning("directory_refused", {{"directory", settings_.name}, {"error", base::FromAbsl(status.message())}});
        break;
      }
      if (kept && absl::IsUnavailable(status)) {
        kept = false;
        continue;
      }
    }
    Report(*server, status);
  }
  return CannotSay("directory");
}

void LdapDirectory::Report(size_t server, const absl::Status& status) {
  const std::string& uri = settings_.servers[server].uri;
  absl::MutexLock lock(&mutex_);
  if (status.ok()) {
    if (servers_.Succeeded(server)) log_.Info("directory_server_up", {{"directory", settings_.name}, {"server", uri}});
    return;
  }
  if (stop_) return;
  metrics_.server_failures.Increment();
  // Said once: that it goes on is said by the metrics.
  if (servers_.Failed(server, clock_.Now())) {
    log_.Error("directory_server_down",
               {{"directory", settings_.name}, {"server", uri}, {"error", base::FromAbsl(status.message())}});
  }
}

base::MonotonicTime LdapDirectory::StepEnd(std::chrono::milliseconds most, base::MonotonicTime deadline) const {
  return std::min(clock_.Now() + most, deadline);
}

absl::Status LdapDirectory::Connect(Worker* worker, size_t server, base::MonotonicTime deadline) {
  // They share their fate: if one is gone, the other may be so without having noticed.
  worker->search.Close();
  worker->bind.Close();
  worker->server = server;
  const LdapServer& target = settings_.servers[server];
  GATEPOST_RETURN_IF_ERROR(
      worker->search.Open(target, settings_.ca_file, StepEnd(settings_.connect_timeout, deadline)));
  if (!settings_.bind_dn.empty()) {
    GATEPOST_ASSIGN_OR_RETURN(std::string password,
                              base::ReadSecretFile(settings_.bind_password_file, kMostDirectoryPassword));
    // An editor's last line feed is no part of it.
    if (password.ends_with('\n')) password.pop_back();
    const absl::StatusOr<bool> bound =
        worker->search.Bind(settings_.bind_dn, password, StepEnd(settings_.connect_timeout, deadline));
    base::Wipe(&password);
    GATEPOST_RETURN_IF_ERROR(bound.status());
    if (!*bound) return absl::FailedPreconditionError("the server refuses `bind_dn` or its password");
  }
  return worker->bind.Open(target, settings_.ca_file, StepEnd(settings_.connect_timeout, deadline));
}

absl::StatusOr<DirectoryAnswer> LdapDirectory::Judge(Worker* worker, const Job& job, base::MonotonicTime deadline) {
  const FilterTemplate& filter = settings_.users.filter;
  const std::string_view wanted = ValueFor(filter.placeholder(), job.login_key, /*dn=*/"");
  std::vector<std::string> attributes = {settings_.login_attribute};
  for (const std::string& more : {settings_.address_attribute, settings_.group_attribute}) {
    if (!more.empty() && std::find(attributes.begin(), attributes.end(), more) == attributes.end())
      attributes.push_back(more);
  }
  metrics_.searches.Increment();
  GATEPOST_ASSIGN_OR_RETURN(
      const LdapEntries found,
      worker->search.Search(settings_.users.base, settings_.users.subtree, filter.With(wanted), attributes,
                            /*most=*/2, StepEnd(settings_.operation_timeout, deadline)));
  DirectoryAnswer answer{.outcome = Outcome::kCredentials, .reason = "unknown"};
  const LdapEntry* entry = nullptr;
  std::optional<std::string> spelling;
  if (found.more || found.entries.size() > 1) {
    answer.reason = "ambiguous";
  } else if (found.entries.size() == 1) {
    spelling = Spelling(found.entries[0].Values(settings_.login_attribute), wanted);
    if (spelling) entry = &found.entries[0];
  }
  metrics_.binds.Increment();
  GATEPOST_ASSIGN_OR_RETURN(const bool right,
                            worker->bind.Bind(entry != nullptr ? entry->dn : settings_.decoy_dn, job.password.view(),
                                              StepEnd(settings_.operation_timeout, deadline)));
  if (entry == nullptr) return answer;
  answer.user = DirectoryUserName(settings_.name, job.login_key);
  answer.reason = "wrong_password";
  if (!right) return answer;
  absl::StatusOr<std::vector<std::string>> groups = GroupsOf(worker, job, *entry, deadline);
  if (absl::IsResourceExhausted(groups.status())) {
    // Refused and counted as a wrong one is: another reply would tell a guesser that the password is right.
    log_.Warning("directory_refused",
                 {{"directory", settings_.name}, {"error", base::FromAbsl(groups.status().message())}});
    answer.reason = "too_many_groups";
    return answer;
  }
  GATEPOST_RETURN_IF_ERROR(groups.status());
  answer.groups = *std::move(groups);
  answer.outcome = Outcome::kSuccess;
  answer.reason = "";
  answer.login = filter.placeholder() == Placeholder::kLogin ? *spelling : job.login_key;
  answer.may_submit = settings_.may_submit;
  answer.may_relay = settings_.may_relay;
  answer.addresses = AddressesOf(entry->Values(settings_.address_attribute));
  return answer;
}

absl::StatusOr<std::vector<std::string>> LdapDirectory::GroupsOf(Worker* worker, const Job& job, const LdapEntry& entry,
                                                                 base::MonotonicTime deadline) {
  std::vector<std::string> dns = entry.Values(settings_.group_attribute);
  if (settings_.groups) {
    const FilterTemplate& filter = settings_.groups->filter;
    metrics_.searches.Increment();
    GATEPOST_ASSIGN_OR_RETURN(
        const LdapEntries found,
        worker->search.Search(settings_.groups->base, settings_.groups->subtree,
                              filter.With(ValueFor(filter.placeholder(), job.login_key, entry.dn)), {kNoAttributes},
                              kMostDirectoryGroups, StepEnd(settings_.operation_timeout, deadline)));
    // Which are missing nobody knows, and a list may be of those who may not.
    if (found.more) return absl::ResourceExhaustedError("a user is in more than 100 groups: narrow `groups.filter`");
    for (const LdapEntry& group : found.entries) dns.push_back(group.dn);
  }
  std::set<std::string> groups;
  for (const std::string& dn : dns) {
    const std::optional<std::string> key = DnKey(dn);
    const auto group = key ? settings_.group_names.find(*key) : settings_.group_names.end();
    if (group != settings_.group_names.end()) groups.insert(group->second);
  }
  return std::vector<std::string>(groups.begin(), groups.end());
}

}  // namespace gatepost::auth
