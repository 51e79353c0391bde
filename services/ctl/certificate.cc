// gatepostctl certificate: what virtual servers prove their names with. Keys go in, never out.
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "gatepost/config/v1/certificate.grpc.pb.h"
#include "services/ctl/cli.h"
#include "services/ctl/paging.h"

namespace gatepost::ctl {
namespace {

using config::v1::Certificate;
using Certificates = config::v1::CertificateService;

constexpr char kCollection[] = "certificates";

struct Arguments {
  std::string id;
  std::string etag;
  std::string display_name;
  bool self_signed = false;
  std::vector<std::string> dns_names;
  unsigned days = 397;
  bool rsa = false;
  std::string chain_file;
  std::string key_file;
  bool pem = false;
  config::v1::Subject subject;
  bool replace = false;
};

std::string Names(const Certificate& certificate) {
  std::string names;
  const bool waits = !certificate.has_facts();
  for (const std::string& name : waits ? certificate.signing_request().dns_names() : certificate.facts().dns_names())
    names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "-" : names;
}

absl::Status List(Invocation* invocation) {
  auto certificates =
      ListAll<Certificate, Certificates::Stub, config::v1::ListCertificatesRequest,
              config::v1::ListCertificatesResponse>(invocation, Service::kConfig, &Certificates::Stub::ListCertificates,
                                                    [](auto* response) { return response->mutable_certificates(); });
  if (!certificates.ok()) return certificates.status();
  const int64_t now = std::time(nullptr);
  Table table{{"NAME", "DNS NAMES", "KEY", "EXPIRES", "SELF-SIGNED", "REQUEST", "SHA-256"}, {}};
  for (const Certificate& certificate : *certificates) {
    const auto& facts = certificate.facts();
    const auto& request = certificate.signing_request();
    const bool usable = certificate.has_facts();
    table.rows.push_back({IdOf(certificate.name()), Names(certificate),
                          Certificate::KeyType_Name(usable ? facts.key_type() : request.key_type()),
                          usable ? RelativeTime(facts.not_after().seconds(), now) : "-",
                          !usable ? "-" : facts.subject() == facts.issuer() ? "yes" : "no",
                          certificate.has_signing_request() ? "made " + RelativeTime(request.create_time().seconds(), now) : "-",
                          usable ? facts.sha256_fingerprint().substr(0, 16) : "-"});
  }
  return PrintList(invocation->options.output, Pointers(*certificates), table,
                   "There are no certificates: gatepostctl certificate create --help", invocation->out);
}

absl::Status Get(Invocation* invocation, const Arguments& arguments) {
  config::v1::GetCertificateRequest request;
  request.set_name(NameOf(kCollection, arguments.id));
  auto certificate = invocation->Call(Service::kConfig, &Certificates::Stub::GetCertificate, request);
  if (!certificate.ok()) return certificate.status();
  if (arguments.pem) {
    invocation->out << certificate->certificate_chain_pem();
    return absl::OkStatus();
  }
  return PrintResource(invocation->options.output, *certificate, invocation->out);
}

absl::Status Send(Invocation* invocation, const config::v1::CreateCertificateRequest& request, std::string_view what) {
  auto certificate = invocation->Call(Service::kConfig, &Certificates::Stub::CreateCertificate, request);
  if (!certificate.ok()) return certificate.status();
  if (invocation->options.output != Format::kText)
    return PrintResource(invocation->options.output, *certificate, invocation->out);
  invocation->out << certificate->name() << ' ' << what << ": " << Names(*certificate) << ", expires "
                  << RelativeTime(certificate->facts().not_after().seconds(), std::time(nullptr)) << '\n';
  return absl::OkStatus();
}

absl::Status Create(Invocation* invocation, const Arguments& arguments) {
  if (!arguments.self_signed)
    return UsageError(
        "--self-signed is missing; a certificate that you have already is imported: gatepostctl certificate import "
        "--help");
  config::v1::CreateCertificateRequest request;
  request.set_certificate_id(IdOf(arguments.id));
  Certificate* certificate = request.mutable_certificate();
  if (!arguments.display_name.empty()) certificate->set_display_name(arguments.display_name);
  for (const std::string& name : arguments.dns_names) certificate->mutable_self_signed()->add_dns_names(name);
  certificate->mutable_self_signed()->set_valid_days(arguments.days);
  certificate->mutable_self_signed()->set_key_type(arguments.rsa ? Certificate::RSA : Certificate::ECDSA_P256);
  return Send(invocation, request, "created");
}

absl::Status Import(Invocation* invocation, const Arguments& arguments) {
  if (arguments.chain_file == "-" && arguments.key_file == "-")
    return UsageError("only one of --chain and --private-key can be standard input");
  auto chain = ReadInput(arguments.chain_file, invocation->in);
  if (!chain.ok()) return chain.status();
  auto key = ReadInput(arguments.key_file, invocation->in);
  if (!key.ok()) return key.status();
  Certificate certificate;
  certificate.set_certificate_chain_pem(*chain);
  certificate.set_private_key_pem(*key);
  if (!arguments.display_name.empty()) certificate.set_display_name(arguments.display_name);

  // A certificate that is there already is replaced: the usual reason for an import is a renewal.
  config::v1::UpdateCertificateRequest update;
  *update.mutable_certificate() = certificate;
  update.mutable_certificate()->set_name(NameOf(kCollection, arguments.id));
  update.set_allow_missing(true);
  update.mutable_update_mask()->add_paths("certificate_chain_pem");
  update.mutable_update_mask()->add_paths("private_key_pem");
  update.mutable_update_mask()->add_paths("self_signed");
  if (!arguments.display_name.empty()) update.mutable_update_mask()->add_paths("display_name");
  auto stored = invocation->Call(Service::kConfig, &Certificates::Stub::UpdateCertificate, update);
  if (!stored.ok()) return stored.status();
  if (invocation->options.output != Format::kText)
    return PrintResource(invocation->options.output, *stored, invocation->out);
  invocation->out << stored->name() << " imported: " << Names(*stored) << ", expires "
                  << RelativeTime(stored->facts().not_after().seconds(), std::time(nullptr)) << '\n';
  return absl::OkStatus();
}

absl::Status Request(Invocation* invocation, const Arguments& arguments) {
  config::v1::CreateSigningRequestRequest request;
  request.set_name(NameOf(kCollection, arguments.id));
  request.set_etag(arguments.etag);
  for (const std::string& name : arguments.dns_names) request.add_dns_names(name);
  *request.mutable_subject() = arguments.subject;
  request.set_key_type(arguments.rsa ? Certificate::RSA : Certificate::ECDSA_P256);
  request.set_replace(arguments.replace);
  auto certificate = invocation->Call(Service::kConfig, &Certificates::Stub::CreateSigningRequest, request);
  if (!certificate.ok()) return certificate.status();
  if (invocation->options.output != Format::kText)
    return PrintResource(invocation->options.output, *certificate, invocation->out);
  invocation->out << certificate->signing_request().pem();
  return absl::OkStatus();
}

absl::Status Install(Invocation* invocation, const Arguments& arguments) {
  auto chain = ReadInput(arguments.chain_file, invocation->in);
  if (!chain.ok()) return chain.status();
  config::v1::InstallCertificateRequest request;
  request.set_name(NameOf(kCollection, arguments.id));
  request.set_etag(arguments.etag);
  request.set_certificate_chain_pem(*chain);
  auto certificate = invocation->Call(Service::kConfig, &Certificates::Stub::InstallCertificate, request);
  if (!certificate.ok()) return certificate.status();
  if (invocation->options.output != Format::kText)
    return PrintResource(invocation->options.output, *certificate, invocation->out);
  invocation->out << certificate->name() << " installed: " << Names(*certificate) << ", expires "
                  << RelativeTime(certificate->facts().not_after().seconds(), std::time(nullptr)) << '\n';
  return absl::OkStatus();
}

absl::Status Delete(Invocation* invocation, const Arguments& arguments) {
  config::v1::DeleteCertificateRequest request;
  request.set_name(NameOf(kCollection, arguments.id));
  request.set_etag(arguments.etag);
  auto done = invocation->Call(Service::kConfig, &Certificates::Stub::DeleteCertificate, request);
  if (!done.ok()) return done.status();
  if (invocation->options.output == Format::kText) invocation->out << request.name() << " deleted\n";
  return absl::OkStatus();
}

}  // namespace

void AddCertificate(CLI::App* root, Invocation* invocation) {
  CLI::App* noun = AddNoun(root, "certificate", "Certificates and keys of virtual servers");
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();

  CLI::App* list = noun->add_subcommand("list", "List all certificates, and when they expire");
  list->callback([=] { invocation->action = [=] { return List(invocation); }; });

  auto add = [&](const std::string& verb, const std::string& help,
                 absl::Status (*action)(Invocation*, const Arguments&)) {
    CLI::App* command = noun->add_subcommand(verb, help);
    command->add_option("ID", a->id, "The certificate's id, for example mail")->required();
    command->callback([=] { invocation->action = [=] { return action(invocation, *arguments); }; });
    return command;
  };

  CLI::App* get = add("get", "Show one certificate, never its key", Get);
  get->add_flag("--pem", a->pem, "Print the certificate and its chain as PEM");

  CLI::App* create = add("create", "Let the service make a key and a self-signed certificate", Create);
  create->add_flag("--self-signed", a->self_signed, "Self-signed (the only kind that the service makes by itself)");
  Repeatable(
      create->add_option("--dns", a->dns_names, "A name it is for; the first is its subject. Repeatable")->required());
  create->add_option("--days", a->days, "How long it is valid (397)")->check(CLI::Range(1, 3650));
  create->add_flag("--rsa", a->rsa, "An RSA key instead of ECDSA on P-256, for old clients");
  create->add_option("--display-name", a->display_name, "A name for administrators");
  create->footer("Example:\n  gatepostctl certificate create mail --self-signed --dns mail.example.com");

  CLI::App* import =
      add("import", "Import a certificate and its key, or replace an earlier one; edges use it for the next handshake",
          Import);
  import->add_option("--chain", a->chain_file, "The certificate, then its intermediates, PEM (- for standard input)")
      ->required();
  import->add_option("--private-key", a->key_file, "Its key, PEM, not encrypted (- for standard input)")->required();
  import->add_option("--display-name", a->display_name, "A name for administrators");
  import->footer("Example:\n  gatepostctl certificate import mail --chain fullchain.pem --private-key privkey.pem");

  CLI::App* request =
      add("request", "Let the service make a key and a request for a CA to sign, printed as PEM; the key stays there", Request);
  Repeatable(request->add_option("--dns,--dns-name", a->dns_names, "A name it is for; the first is its subject. Repeatable")
                 ->required());
  auto attribute = [&](const std::string& option, std::string* (config::v1::Subject::*field)(), const std::string& help) {
    request->add_option_function<std::string>(
        option, [a, field](const std::string& text) { *(a->subject.*field)() = text; }, help);
  };
  attribute("--organization", &config::v1::Subject::mutable_organization, "Who asks");
  attribute("--organizational-unit", &config::v1::Subject::mutable_organizational_unit, "The department");
  attribute("--locality", &config::v1::Subject::mutable_locality, "The town");
  attribute("--state", &config::v1::Subject::mutable_state_or_province, "The state or province");
  attribute("--country", &config::v1::Subject::mutable_country, "The country, two capital letters");
  request->add_flag("--rsa", a->rsa, "An RSA key instead of ECDSA on P-256, for old clients");
  request->add_flag("--replace", a->replace, "In place of a request that is waiting: an answer to that one is worth nothing then");
  request->add_option("--etag", a->etag, "Only if the certificate's etag is still this one");
  request->footer("Example:\n  gatepostctl certificate request mail --dns mail.example.com > mail.csr");

  CLI::App* install = add("install", "Install a CA's answer to the request; edges use it for the next handshake", Install);
  install->add_option("--chain", a->chain_file, "The certificate, then its intermediates, PEM (- for standard input)")
      ->required();
  install->add_option("--etag", a->etag, "Only if the certificate's etag is still this one");
  install->footer("Example:\n  gatepostctl certificate install mail --chain fullchain.pem");

  CLI::App* remove = add("delete", "Delete a certificate that no virtual server uses", Delete);
  remove->add_option("--etag", a->etag, "Only if its etag is still this one");
}

}  // namespace gatepost::ctl
