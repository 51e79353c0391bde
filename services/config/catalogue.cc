#include "services/config/catalogue.h"

#include <nettle/sha2.h>

#include <utility>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/config/client_set.h"
#include "services/config/limits.h"
#include "services/config/ticket_keys.h"
#include "services/config/timestamp.h"
#include "services/config/validate.h"
#include "services/rpc/field_mask.h"

namespace gatepost::config {
namespace {

using base::StrCat;

constexpr int kTries = 10;

// Puts what a request changes into what is stored.
template <typename Request, typename Resource>
void Merge(const Request& request, const Resource& wanted, Resource* stored, Violations* violations) {
  for (const rpc::FieldViolation& violation :
       rpc::ApplyMask(request.has_update_mask() ? &request.update_mask() : nullptr, wanted, stored))
    violations->Add(violation.field, violation.description);
}

absl::Status Invalid() { return absl::InvalidArgumentError("the request is invalid"); }

absl::Status CheckNewId(const std::string& id, std::string_view collection, const std::string& field, Call* call) {
  call->resource = StrCat(collection, id);
  if (IsResourceId(id)) return absl::OkStatus();
  call->violations.Add(field, "must match ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$");
  return Invalid();
}

// The key under which a request is remembered, and what it was. Key material enters it as a digest only.
template <typename Request>
absl::Status Remember(const Request& request, std::string_view method, Call* call, store::RequestId* id) {
  if (request.request_id().empty()) return absl::OkStatus();
  if (request.request_id().size() > kMaxRequestIdOctets || !base::IsPrintableAscii(request.request_id())) {
    call->violations.Add("request_id", StrCat("must be printable ASCII, at most ", kMaxRequestIdOctets, " octets"));
    return Invalid();
  }
  const std::string text = request.SerializeAsString();
  sha256_ctx hash;
  sha256_init(&hash);
  sha256_update(&hash, text.size(), reinterpret_cast<const uint8_t*>(text.data()));
  id->fingerprint.resize(SHA256_DIGEST_SIZE);
  sha256_digest(&hash, SHA256_DIGEST_SIZE, reinterpret_cast<uint8_t*>(id->fingerprint.data()));
  id->id = StrCat(call->caller, " ", method, " ", request.request_id());
  return absl::OkStatus();
}

// What the service decides, not the client.
void ClearOutputs(v1::VirtualServer* server) {
  server->clear_etag();
  server->clear_revision();
  server->clear_create_time();
  server->clear_update_time();
  server->clear_state();
  server->clear_open_relay();
}

void ClearOutputs(v1::Certificate* certificate) {
  certificate->clear_etag();
  certificate->clear_revision();
  certificate->clear_create_time();
  certificate->clear_update_time();
  certificate->clear_facts();
  certificate->clear_signing_request();
}

// The answer to a commit: what was made, or, for a repetition, what the first one had made.
template <typename Resource>
absl::StatusOr<Resource> Answer(const Repository& repository, const store::Committed& committed, Resource made,
                                Call* call) {
  if (committed.repeated) {
    const std::string name = made.name();
    if (!made.ParseFromString(committed.answer)) return absl::DataLossError("a stored answer is damaged");
    made.set_name(name);
  }
  if (committed.revision > 0) {
    repository.Complete(&made, committed.revision);
    if (!committed.repeated) call->new_revision = committed.revision;
  }
  return made;
}

}  // namespace

absl::Status CheckName(const std::string& name, std::string_view collection, const std::string& field, Call* call) {
  call->resource = name;
  if (IsResourceName(name, collection)) return absl::OkStatus();
  call->violations.Add(field, StrCat("must be `", collection, "{id}`, the id matching ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"));
  return Invalid();
}

absl::StatusOr<store::Committed> Catalogue::Change(bool dry_run, const Body& body) {
  absl::MutexLock lock(&mutex_);
  for (int i = 0; i < kTries; ++i) {
    store::Transaction transaction;
    {
      GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, repository_.store().Read());
      GATEPOST_RETURN_IF_ERROR(index_.Refresh(*view));
      GATEPOST_RETURN_IF_ERROR(body(*view, &transaction));
      transaction.store_revision = view->revision();
    }
    if (dry_run || transaction.writes.empty()) return store::Committed{};
    absl::StatusOr<store::Committed> committed = repository_.store().Commit(transaction);
    if (!absl::IsFailedPrecondition(committed.status())) return committed;
  }
  return absl::UnavailableError("the store changes too fast; try again");
}

absl::Status Catalogue::Judge(const HostAnswers& hosts, v1::VirtualServer* server, Call* call) {
  NormalizeAndValidate(server, &call->violations, hosts);
  maker_.JudgeCaBundle(server->delivery().default_route().tls().ca_bundle_pem(),
                       "virtual_server.delivery.default_route.tls.ca_bundle_pem", &call->violations);
  maker_.JudgeCaBundle(server->tls().client_certificates().ca_bundle_pem(),
                       "virtual_server.tls.client_certificates.ca_bundle_pem", &call->violations);
  index_.Check(*server, &call->violations);
  return call->violations.empty() ? absl::OkStatus() : Invalid();
}

absl::Status Catalogue::AddNew(const HostAnswers& hosts, v1::VirtualServer* server, Call* call,
                               store::Transaction* transaction) {
  ClearOutputs(server);
  GATEPOST_RETURN_IF_ERROR(Judge(hosts, server, call));
  if (index_.virtual_servers() >= static_cast<size_t>(kMaxVirtualServers))
    return absl::ResourceExhaustedError(StrCat("there are ", kMaxVirtualServers, " virtual servers already"));
  server->set_state(v1::VirtualServer::STARTED);
  *server->mutable_create_time() = ToTimestamp(clock_.WallNow());
  *server->mutable_update_time() = server->create_time();
  v1::TicketKeys keys;
  Rotate(&keys, random_);
  const std::string_view id = IdOf(server->name());
  transaction->writes.push_back({server->name(), Repository::Stored(*server), store::Condition::Absent()});
  transaction->writes.push_back({StrCat(kTicketKeys, id), repository_.SealTicketKeys(id, keys), store::Condition::None()});
  transaction->request_id.answer = *transaction->writes.front().value;
  return absl::OkStatus();
}

absl::StatusOr<v1::VirtualServer> Catalogue::Get(const v1::GetVirtualServerRequest& request, Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), kVirtualServers, "name", call));
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, repository_.store().Read());
  GATEPOST_ASSIGN_OR_RETURN(const store::Record record, view->Get(request.name()));
  return repository_.VirtualServerOf(record);
}

absl::StatusOr<v1::VirtualServer> Catalogue::Create(const v1::CreateVirtualServerRequest& request, Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckNewId(request.virtual_server_id(), kVirtualServers, "virtual_server_id", call));
  const HostAnswers hosts = hosts_.LookUp(HostNamesToLookUp(request.virtual_server()));
  v1::VirtualServer server;
  absl::StatusOr<store::Committed> committed =
      Change(request.validate_only(), [&](store::View&, store::Transaction* transaction) {
        mutex_.AssertHeld();
        server = request.virtual_server();
        server.set_name(call->resource);
        GATEPOST_RETURN_IF_ERROR(Remember(request, "CreateVirtualServer", call, &transaction->request_id));
        return AddNew(hosts, &server, call, transaction);
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  return Answer(repository_, *committed, std::move(server), call);
}

absl::StatusOr<v1::VirtualServer> Catalogue::Update(const v1::UpdateVirtualServerRequest& request, Call* call) {
  const v1::VirtualServer& wanted = request.virtual_server();
  GATEPOST_RETURN_IF_ERROR(CheckName(wanted.name(), kVirtualServers, "virtual_server.name", call));
  // What is unknown is lost in the merge: it is looked for before.
  RefuseUnknown(wanted, "virtual_server", &call->violations);
  if (!call->violations.empty()) return Invalid();
  const HostAnswers hosts = hosts_.LookUp(HostNamesToLookUp(wanted));
  v1::VirtualServer server;
  absl::StatusOr<store::Committed> committed =
      Change(request.validate_only(), [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        mutex_.AssertHeld();
        absl::StatusOr<store::Record> record = view.Get(wanted.name());
        if (absl::IsNotFound(record.status()) && request.allow_missing()) {
          // An etag says that the virtual server was there.
          GATEPOST_RETURN_IF_ERROR(repository_.CheckEtag(wanted.etag(), 0));
          server = wanted;
          return AddNew(hosts, &server, call, transaction);
        }
        GATEPOST_RETURN_IF_ERROR(record.status());
        call->old_revision = record->revision;
        GATEPOST_RETURN_IF_ERROR(repository_.CheckEtag(wanted.etag(), record->revision));
        GATEPOST_ASSIGN_OR_RETURN(const v1::VirtualServer stored, repository_.VirtualServerOf(*record));
        server = stored;
        Merge(request, wanted, &server, &call->violations);
        GATEPOST_RETURN_IF_ERROR(Judge(hosts, &server, call));
        if (Repository::Stored(server) == Repository::Stored(stored)) return absl::OkStatus();
        *server.mutable_update_time() = ToTimestamp(clock_.WallNow());
        transaction->writes.push_back(
            {server.name(), Repository::Stored(server), store::Condition::At(record->revision)});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  return Answer(repository_, *committed, std::move(server), call);
}

absl::Status Catalogue::Delete(const v1::DeleteVirtualServerRequest& request, Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), kVirtualServers, "name", call));
  absl::StatusOr<store::Committed> committed =
      Change(false, [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        GATEPOST_ASSIGN_OR_RETURN(const store::Record record, view.Get(request.name()));
        call->old_revision = record.revision;
        GATEPOST_RETURN_IF_ERROR(repository_.CheckEtag(request.etag(), record.revision));
        transaction->writes.push_back({request.name(), std::nullopt, store::Condition::At(record.revision)});
        transaction->writes.push_back({StrCat(kTicketKeys, IdOf(request.name())), std::nullopt, {}});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  call->new_revision = committed->revision;
  return absl::OkStatus();
}

absl::StatusOr<v1::VirtualServer> Catalogue::SetState(const std::string& name, const std::string& etag,
                                                      v1::VirtualServer::State state, Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(name, kVirtualServers, "name", call));
  v1::VirtualServer server;
  absl::StatusOr<store::Committed> committed =
      Change(false, [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        GATEPOST_ASSIGN_OR_RETURN(const store::Record record, view.Get(name));
        call->old_revision = record.revision;
        GATEPOST_RETURN_IF_ERROR(repository_.CheckEtag(etag, record.revision));
        GATEPOST_ASSIGN_OR_RETURN(server, repository_.VirtualServerOf(record));
        if (server.state() == state) return absl::OkStatus();
        server.set_state(state);
        *server.mutable_update_time() = ToTimestamp(clock_.WallNow());
        transaction->writes.push_back({name, Repository::Stored(server), store::Condition::At(record.revision)});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  return Answer(repository_, *committed, std::move(server), call);
}

absl::StatusOr<v1::Certificate> Catalogue::Get(const v1::GetCertificateRequest& request, Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), kCertificates, "name", call));
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, repository_.store().Read());
  GATEPOST_ASSIGN_OR_RETURN(const store::Record record, view->Get(request.name()));
  return repository_.CertificateOf(record);
}

void Catalogue::Write(const v1::Certificate& certificate, const std::string& key_pem, store::Condition condition,
                      store::Transaction* transaction) {
  const std::string_view id = IdOf(certificate.name());
  transaction->writes.push_back({certificate.name(), Repository::Stored(certificate), condition});
  if (key_pem.empty()) return;  // A request waits for its first answer.
  transaction->writes.push_back({StrCat(kCertificateKeys, id), repository_.SealCertificateKey(id, key_pem), {}});
}

absl::Status Catalogue::AddNew(v1::Certificate* certificate, Call* call, store::Transaction* transaction) {
  ClearOutputs(certificate);
  if (!certificate->has_display_name()) certificate->set_display_name(std::string(IdOf(certificate->name())));
  ValidateCertificate(certificate, false, &call->violations);
  if (!call->violations.empty()) return Invalid();
  if (certificate->has_self_signed()) {
    GATEPOST_ASSIGN_OR_RETURN(CertificateMaker::Made made, maker_.MakeSelfSigned(certificate->self_signed()));
    certificate->set_certificate_chain_pem(std::move(made.chain_pem));
    certificate->set_private_key_pem(std::move(made.key_pem));
  }
  maker_.Judge(certificate->certificate_chain_pem(), certificate->private_key_pem(), certificate->mutable_facts(),
               &call->violations);
  if (!call->violations.empty()) return Invalid();
  if (index_.certificates() >= static_cast<size_t>(kMaxCertificates))
    return absl::ResourceExhaustedError(StrCat("there are ", kMaxCertificates, " certificates already"));
  *certificate->mutable_create_time() = ToTimestamp(clock_.WallNow());
  *certificate->mutable_update_time() = certificate->create_time();
  Write(*certificate, certificate->private_key_pem(), store::Condition::Absent(), transaction);
  certificate->clear_private_key_pem();
  transaction->request_id.answer = *transaction->writes.front().value;
  return absl::OkStatus();
}

absl::StatusOr<v1::Certificate> Catalogue::Create(const v1::CreateCertificateRequest& request, Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckNewId(request.certificate_id(), kCertificates, "certificate_id", call));
  v1::Certificate certificate;
  absl::StatusOr<store::Committed> committed =
      Change(request.validate_only(), [&](store::View&, store::Transaction* transaction) {
        mutex_.AssertHeld();
        certificate = request.certificate();
        certificate.set_name(call->resource);
        GATEPOST_RETURN_IF_ERROR(Remember(request, "CreateCertificate", call, &transaction->request_id));
        return AddNew(&certificate, call, transaction);
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  return Answer(repository_, *committed, std::move(certificate), call);
}

absl::Status Catalogue::AddChanged(store::View& view, const v1::Certificate& stored, int64_t revision,
                                   const v1::UpdateCertificateRequest& request, v1::Certificate* merged, Call* call,
                                   store::Transaction* transaction) {
  *merged = stored;
  Merge(request, request.certificate(), merged, &call->violations);
  if (!merged->has_display_name()) merged->set_display_name(std::string(IdOf(merged->name())));
  // An import takes the place of what was self-signed, unless the request asks for both.
  const bool import = !merged->private_key_pem().empty() || merged->certificate_chain_pem() != stored.certificate_chain_pem();
  if (import && !request.certificate().has_self_signed()) merged->clear_self_signed();
  ValidateCertificate(merged, true, &call->violations);
  if (!call->violations.empty()) return Invalid();

  v1::CertificateKey stored_key;
  if (!stored.certificate_chain_pem().empty()) {
    GATEPOST_ASSIGN_OR_RETURN(const store::Record sealed, view.Get(StrCat(kCertificateKeys, IdOf(merged->name()))));
    GATEPOST_ASSIGN_OR_RETURN(stored_key, repository_.CertificateKeyOf(sealed));
  }
  std::string key_pem = merged->private_key_pem().empty() ? stored_key.private_key_pem() : merged->private_key_pem();
  merged->clear_private_key_pem();
  if (merged->has_self_signed()) {
    // The chain is the service's own: made anew if another one is asked for, else as it was.
    merged->set_certificate_chain_pem(stored.certificate_chain_pem());
    if (merged->self_signed().SerializeAsString() != stored.self_signed().SerializeAsString()) {
      GATEPOST_ASSIGN_OR_RETURN(CertificateMaker::Made made, maker_.MakeSelfSigned(merged->self_signed()));
      merged->set_certificate_chain_pem(std::move(made.chain_pem));
      key_pem = std::move(made.key_pem);
    }
  }
  if (key_pem == stored_key.private_key_pem() && Repository::Stored(*merged) == Repository::Stored(stored))
    return absl::OkStatus();
  // A certificate that has expired meanwhile may still be given another name.
  if (key_pem != stored_key.private_key_pem() || merged->certificate_chain_pem() != stored.certificate_chain_pem()) {
    merged->clear_facts();
    maker_.Judge(merged->certificate_chain_pem(), key_pem, merged->mutable_facts(), &call->violations);
    index_.CheckKeyType(merged->name(), merged->facts().key_type(), &call->violations);
    if (!call->violations.empty()) return Invalid();
  }
  *merged->mutable_update_time() = ToTimestamp(clock_.WallNow());
  Write(*merged, key_pem, store::Condition::At(revision), transaction);
  return absl::OkStatus();
}

absl::StatusOr<v1::Certificate> Catalogue::Update(const v1::UpdateCertificateRequest& request, Call* call) {
  const v1::Certificate& wanted = request.certificate();
  GATEPOST_RETURN_IF_ERROR(CheckName(wanted.name(), kCertificates, "certificate.name", call));
  RefuseUnknown(wanted, "certificate", &call->violations);
  if (!call->violations.empty()) return Invalid();
  v1::Certificate certificate;
  absl::StatusOr<store::Committed> committed =
      Change(request.validate_only(), [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        mutex_.AssertHeld();
        absl::StatusOr<store::Record> record = view.Get(wanted.name());
        if (absl::IsNotFound(record.status()) && request.allow_missing()) {
          // An etag says that the certificate was there.
          GATEPOST_RETURN_IF_ERROR(repository_.CheckEtag(wanted.etag(), 0));
          certificate = wanted;
          return AddNew(&certificate, call, transaction);
        }
        GATEPOST_RETURN_IF_ERROR(record.status());
        call->old_revision = record->revision;
        GATEPOST_RETURN_IF_ERROR(repository_.CheckEtag(wanted.etag(), record->revision));
        GATEPOST_ASSIGN_OR_RETURN(const v1::Certificate stored, repository_.CertificateOf(*record));
        return AddChanged(view, stored, record->revision, request, &certificate, call, transaction);
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  return Answer(repository_, *committed, std::move(certificate), call);
}

absl::Status Catalogue::Delete(const v1::DeleteCertificateRequest& request, Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), kCertificates, "name", call));
  absl::StatusOr<store::Committed> committed =
      Change(false, [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        mutex_.AssertHeld();
        GATEPOST_ASSIGN_OR_RETURN(const store::Record record, view.Get(request.name()));
        call->old_revision = record.revision;
        GATEPOST_RETURN_IF_ERROR(repository_.CheckEtag(request.etag(), record.revision));
        if (const std::vector<std::string> users = index_.UsersOf(request.name()); !users.empty())
          return absl::FailedPreconditionError(StrCat("the certificate is used by ", users.front(),
                                                      users.size() > 1 ? " and others" : ""));
        transaction->writes.push_back({request.name(), std::nullopt, store::Condition::At(record.revision)});
        transaction->writes.push_back({StrCat(kCertificateKeys, IdOf(request.name())), std::nullopt, {}});
        transaction->writes.push_back({StrCat(kRequestKeys, IdOf(request.name())), std::nullopt, {}});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  call->new_revision = committed->revision;
  return absl::OkStatus();
}

absl::Status Catalogue::AddSigningRequest(const absl::StatusOr<store::Record>& record,
                                          const v1::CreateSigningRequestRequest& request, v1::Certificate* certificate,
                                          Call* call, store::Transaction* transaction) {
  v1::SigningRequest asked;
  *asked.mutable_dns_names() = request.dns_names();
  if (request.has_subject()) *asked.mutable_subject() = request.subject();
  asked.set_key_type(request.key_type());
  RefuseUnknown(request.subject(), "subject", &call->violations);
  NormalizeAndValidate(&asked, &call->violations);
  if (!call->violations.empty()) return Invalid();
  const google::protobuf::Timestamp now = ToTimestamp(clock_.WallNow());
  store::Condition condition = store::Condition::Absent();
  if (record.ok()) {
    call->old_revision = record->revision;
    GATEPOST_RETURN_IF_ERROR(repository_.CheckEtag(request.etag(), record->revision));
    GATEPOST_ASSIGN_OR_RETURN(*certificate, repository_.CertificateOf(*record));
    if (certificate->has_signing_request() && !request.replace())
      return absl::FailedPreconditionError("a signing request is waiting already; its answer would be worth nothing");
    condition = store::Condition::At(record->revision);
  } else {
    if (!request.etag().empty()) return absl::NotFoundError("there is no such certificate");
    if (index_.certificates() >= static_cast<size_t>(kMaxCertificates))
      return absl::ResourceExhaustedError(StrCat("there are ", kMaxCertificates, " certificates already"));
    certificate->Clear();
    certificate->set_name(request.name());
    certificate->set_display_name(std::string(IdOf(request.name())));
    *certificate->mutable_create_time() = now;
  }
  GATEPOST_ASSIGN_OR_RETURN(CertificateMaker::Request made, maker_.MakeSigningRequest(asked));
  asked.set_pem(std::move(made.pem));
  *asked.mutable_create_time() = now;
  *certificate->mutable_signing_request() = std::move(asked);
  *certificate->mutable_update_time() = now;
  const std::string_view id = IdOf(request.name());
  transaction->writes.push_back({request.name(), Repository::Stored(*certificate), condition});
  transaction->writes.push_back({StrCat(kRequestKeys, id), repository_.SealRequestKey(id, made.key_pem), {}});
  return absl::OkStatus();
}

absl::StatusOr<v1::Certificate> Catalogue::CreateSigningRequest(const v1::CreateSigningRequestRequest& request, Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), kCertificates, "name", call));
  v1::Certificate certificate;
  absl::StatusOr<store::Committed> committed =
      Change(request.validate_only(), [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        mutex_.AssertHeld();
        const absl::StatusOr<store::Record> record = view.Get(request.name());
        if (!record.ok() && !absl::IsNotFound(record.status())) return record.status();
        return AddSigningRequest(record, request, &certificate, call, transaction);
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  return Answer(repository_, *committed, std::move(certificate), call);
}

absl::StatusOr<v1::Certificate> Catalogue::Install(const v1::InstallCertificateRequest& request, Call* call) {
  GATEPOST_RETURN_IF_ERROR(CheckName(request.name(), kCertificates, "name", call));
  v1::Certificate certificate;
  absl::StatusOr<store::Committed> committed =
      Change(request.validate_only(), [&](store::View& view, store::Transaction* transaction) -> absl::Status {
        mutex_.AssertHeld();
        GATEPOST_ASSIGN_OR_RETURN(const store::Record record, view.Get(request.name()));
        call->old_revision = record.revision;
        GATEPOST_RETURN_IF_ERROR(repository_.CheckEtag(request.etag(), record.revision));
        GATEPOST_ASSIGN_OR_RETURN(certificate, repository_.CertificateOf(record));
        if (!certificate.has_signing_request())
          return absl::FailedPreconditionError("no signing request is waiting: CreateSigningRequest comes first");
        const std::string request_key = StrCat(kRequestKeys, IdOf(request.name()));
        GATEPOST_ASSIGN_OR_RETURN(const store::Record sealed, view.Get(request_key));
        GATEPOST_ASSIGN_OR_RETURN(const std::string key_pem, repository_.RequestKeyOf(sealed));
        certificate.clear_facts();
        maker_.JudgeAnswer(request.certificate_chain_pem(), key_pem, certificate.signing_request(),
                           certificate.mutable_facts(), &call->violations);
        if (call->violations.empty())
          index_.CheckKeyType(request.name(), certificate.facts().key_type(), &call->violations);
        if (!call->violations.empty()) return Invalid();
        certificate.set_certificate_chain_pem(request.certificate_chain_pem());
        certificate.clear_self_signed();
        certificate.clear_signing_request();
        *certificate.mutable_update_time() = ToTimestamp(clock_.WallNow());
        Write(certificate, key_pem, store::Condition::At(record.revision), transaction);
        transaction->writes.push_back({request_key, std::nullopt, {}});
        return absl::OkStatus();
      });
  GATEPOST_RETURN_IF_ERROR(committed.status());
  return Answer(repository_, *committed, std::move(certificate), call);
}

absl::StatusOr<Catalogue::Totals> Catalogue::Count() {
  absl::MutexLock lock(&mutex_);
  GATEPOST_ASSIGN_OR_RETURN(const std::unique_ptr<store::View> view, repository_.store().Read());
  GATEPOST_RETURN_IF_ERROR(index_.Refresh(*view));
  return Totals{index_.virtual_servers(), index_.certificates(), index_.open_relays()};
}

}  // namespace gatepost::config
