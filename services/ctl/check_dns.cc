#include "services/ctl/check_dns.h"

#include <memory>
#include <string>

#include "gatepost/config/v1/dns_service.grpc.pb.h"
#include "services/base/strings.h"

namespace gatepost::ctl {
namespace {

using config::v1::CheckDnsRequest;
using config::v1::CheckDnsResponse;
using config::v1::CheckedAddress;
using config::v1::DnsFinding;
using config::v1::DnsService;

std::string_view SeverityText(DnsFinding::Severity severity) {
  if (severity == DnsFinding::ERROR) return "ERROR";
  return severity == DnsFinding::WARNING ? "warning" : "ok";
}

void Print(const CheckDnsResponse& response, bool listeners, std::ostream& out) {
  if (response.addresses_size() > 0) {
    Table table{{"ADDRESS", "REVERSE NAMES", "POINTS BACK"}, {}};
    if (listeners) table.header.push_back("LISTENER");
    for (const CheckedAddress& address : response.addresses()) {
      std::string names;
      for (const std::string& name : address.reverse_names()) base::StrAppend(&names, names.empty() ? "" : ", ", name);
      table.rows.push_back(
          {address.address(), names.empty() ? "-" : Printable(names), address.points_back() ? "yes" : "no"});
      if (listeners) table.rows.back().push_back(address.listener() ? "yes" : "no");
    }
    PrintTable(table, out);
    out << '\n';
  }
  for (const DnsFinding& finding : response.findings()) {
    const std::string_view severity = SeverityText(finding.severity());
    out << severity << std::string(sizeof "warning  " - 1 - severity.size(), ' ') << Printable(finding.text()) << '\n';
  }
}

absl::Status Check(Invocation* invocation, const std::string& what) {
  CheckDnsRequest request;
  // An id has no dot; a name without one is no fully qualified name.
  const bool is_name = what.find('.') != std::string::npos;
  if (is_name) {
    request.set_fqdn(what);
  } else {
    request.set_virtual_server(NameOf("virtualServers", what));
  }
  auto response = invocation->Call(Service::kConfig, &DnsService::Stub::CheckDns, request);
  if (!response.ok()) return response.status();
  if (invocation->options.output == Format::kText) {
    Print(*response, !is_name, invocation->out);
  } else if (absl::Status status = PrintResource(invocation->options.output, *response, invocation->out);
             !status.ok()) {
    return status;
  }
  for (const DnsFinding& finding : response->findings()) {
    if (finding.severity() == DnsFinding::ERROR)
      return absl::FailedPreconditionError(
          base::ToAbsl(base::StrCat(response->fqdn(), " is not as it should be in DNS: see the findings")));
  }
  return absl::OkStatus();
}

}  // namespace

void AddCheckDns(CLI::App* noun, Invocation* invocation) {
  auto what = std::make_shared<std::string>();
  CLI::App* command =
      noun->add_subcommand("check-dns", "Look up the name of a virtual server, and the names of its addresses");
  command->add_option("ID|FQDN", *what, "The virtual server's id, or a name such as mail.example.com")->required();
  command->footer(
      "Asked are the DNS servers of the config service, from where it runs. Exit code 1 if there is an ERROR.");
  command->callback([=] { invocation->action = [=] { return Check(invocation, *what); }; });
}

}  // namespace gatepost::ctl
