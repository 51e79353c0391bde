// All changes of resources, one at a time: validated against everything else, then committed by compare-and-set.
//
// Decisions that look at other resources (overlapping listeners, certificates in use) hold at the commit: it demands that
// the store is still at the revision that was looked at, and is tried again if not. Knows nothing of gRPC, roles or logs.
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "gatepost/config/v1/certificate.pb.h"
#include "gatepost/config/v1/virtual_server.pb.h"
#include "services/base/clock.h"
#include "services/base/random.h"
#include "services/config/certificate_maker.h"
#include "services/config/host_lookup.h"
#include "services/config/index.h"
#include "services/config/repository.h"
#include "services/config/violations.h"

namespace gatepost::config {

// One call: who makes it, and what is to be said about it afterwards.
struct Call {
  std::string caller;  // Scope of request ids.
  // Filled in.
  Violations violations;  // Not empty: the status is INVALID_ARGUMENT.
  std::string resource;
  int64_t old_revision = 0;
  int64_t new_revision = 0;
};

// Sets the call's resource. INVALID_ARGUMENT with a violation of `field`: `name` is no name of this collection.
absl::Status CheckName(const std::string& name, std::string_view collection, const std::string& field, Call* call);

class Catalogue {
 public:
  // The references outlive the catalogue.
  Catalogue(Repository& repository, const CertificateMaker& maker, HostLookup& hosts, const base::Clock& clock,
            base::Random& random)
      : repository_(repository), maker_(maker), hosts_(hosts), clock_(clock), random_(random), index_(repository) {}

  absl::StatusOr<v1::VirtualServer> Get(const v1::GetVirtualServerRequest& request, Call* call);
  absl::StatusOr<v1::VirtualServer> Create(const v1::CreateVirtualServerRequest& request, Call* call);
  absl::StatusOr<v1::VirtualServer> Update(const v1::UpdateVirtualServerRequest& request, Call* call);
  absl::Status Delete(const v1::DeleteVirtualServerRequest& request, Call* call);
  absl::StatusOr<v1::VirtualServer> SetState(const std::string& name, const std::string& etag,
                                             v1::VirtualServer::State state, Call* call);

  absl::StatusOr<v1::Certificate> Get(const v1::GetCertificateRequest& request, Call* call);
  absl::StatusOr<v1::Certificate> Create(const v1::CreateCertificateRequest& request, Call* call);
  absl::StatusOr<v1::Certificate> Update(const v1::UpdateCertificateRequest& request, Call* call);
  absl::Status Delete(const v1::DeleteCertificateRequest& request, Call* call);
  absl::StatusOr<v1::Certificate> CreateSigningRequest(const v1::CreateSigningRequestRequest& request, Call* call);
  absl::StatusOr<v1::Certificate> Install(const v1::InstallCertificateRequest& request, Call* call);

  struct Totals {
    size_t virtual_servers = 0;
    size_t certificates = 0;
    size_t open_relays = 0;
  };
  absl::StatusOr<Totals> Count();

 private:
  // Makes the writes of a change from what a view shows; none: nothing is to be changed.
  using Body = std::function<absl::Status(store::View& view, store::Transaction* transaction)>;

  // Runs `body` and commits what it asks for, again if the store has changed meanwhile. Without writes, or with
  // `dry_run`, the answer is that of a commit at revision 0.
  absl::StatusOr<store::Committed> Change(bool dry_run, const Body& body) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Status Judge(const HostAnswers& hosts, v1::VirtualServer* server, Call* call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AddNew(const HostAnswers& hosts, v1::VirtualServer* server, Call* call, store::Transaction* transaction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AddNew(v1::Certificate* certificate, Call* call, store::Transaction* transaction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AddChanged(store::View& view, const v1::Certificate& stored, int64_t revision,
                          const v1::UpdateCertificateRequest& request, v1::Certificate* merged, Call* call,
                          store::Transaction* transaction) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What `record` holds, with a request that waits; a new certificate, if there is none.
  absl::Status AddSigningRequest(const absl::StatusOr<store::Record>& record, const v1::CreateSigningRequestRequest& request,
                                 v1::Certificate* certificate, Call* call, store::Transaction* transaction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Write(const v1::Certificate& certificate, const std::string& key_pem, store::Condition condition,
             store::Transaction* transaction);

  Repository& repository_;
  const CertificateMaker& maker_;
  HostLookup& hosts_;
  const base::Clock& clock_;
  base::Random& random_;
  absl::Mutex mutex_;
  Index index_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gatepost::config
