#include "services/config/virtual_server_defaults.h"

#include <string_view>

namespace gatepost::config {
namespace {

using Duration = google::protobuf::Duration;

Duration Seconds(int64_t seconds) {
  Duration duration;
  duration.set_seconds(seconds);
  return duration;
}

// Sets `field` of `message` to `value` when it is absent.
#define GATEPOST_DEFAULT(message, field, value) \
  do {                                          \
    if (!(message)->has_##field()) (message)->set_##field(value); \
  } while (false)

// The same for an enum, whose zero value counts as absent.
#define GATEPOST_DEFAULT_ENUM(message, field, value) \
  do {                                               \
    if ((message)->field() == 0) (message)->set_##field(value); \
  } while (false)

#define GATEPOST_DEFAULT_SECONDS(message, field, seconds) \
  do {                                                    \
    if (!(message)->has_##field()) *(message)->mutable_##field() = Seconds(seconds); \
  } while (false)

void FillPermission(v1::Permission* permission) { GATEPOST_DEFAULT_ENUM(permission, mode, v1::ALL_EXCEPT); }

void FillAuthentication(v1::Authentication* authentication) {
  GATEPOST_DEFAULT(authentication->mutable_basic(), enabled, true);
  v1::IntegratedAuthentication* integrated = authentication->mutable_integrated();
  GATEPOST_DEFAULT(integrated, enabled, true);
  GATEPOST_DEFAULT(integrated, requires_tls, true);
  v1::Ntlm* ntlm = integrated->mutable_ntlm();
  GATEPOST_DEFAULT(ntlm, enabled, true);
  GATEPOST_DEFAULT(ntlm, target_name, "GATEPOST");
  GATEPOST_DEFAULT_ENUM(ntlm, channel_binding, v1::WHEN_SUPPORTED);
  GATEPOST_DEFAULT_ENUM(integrated, gssapi_channel_binding, v1::OFF);
  GATEPOST_DEFAULT(authentication->mutable_scram(), enabled, true);
  authentication->mutable_token();
  authentication->mutable_external();
  FillPermission(authentication->mutable_submit());
  GATEPOST_DEFAULT_ENUM(authentication, send_as, v1::Authentication::ANY_ADDRESS);
}

void FillTls(v1::Tls* tls) {
  GATEPOST_DEFAULT_ENUM(tls, min_version, v1::Tls::TLS_1_2);
  GATEPOST_DEFAULT(tls, min_cipher_bits, 128);
  GATEPOST_DEFAULT_ENUM(tls, unknown_name, v1::Tls::SERVE_DEFAULT);
  GATEPOST_DEFAULT_ENUM(tls->mutable_client_certificates(), mode, v1::ClientCertificates::NOT_REQUESTED);
}

void FillSessionLimits(v1::SessionLimits* limits) {
  GATEPOST_DEFAULT_SECONDS(limits, idle_timeout, 600);
  GATEPOST_DEFAULT_SECONDS(limits, data_timeout, 300);
  GATEPOST_DEFAULT(limits, min_data_rate, 100);
  GATEPOST_DEFAULT_SECONDS(limits, max_duration, 86'400);
  GATEPOST_DEFAULT_SECONDS(limits, banner_delay, 0);
  GATEPOST_DEFAULT(limits, max_protocol_errors, 20);
  GATEPOST_DEFAULT(limits, max_refused_recipients, 100);
  GATEPOST_DEFAULT(limits, max_excess_recipients, 1'000);
  GATEPOST_DEFAULT(limits, max_auth_failures, 3);
  GATEPOST_DEFAULT_SECONDS(limits, auth_failure_delay, 1);
  GATEPOST_DEFAULT_SECONDS(limits, auth_failure_jitter, 1);
  GATEPOST_DEFAULT_SECONDS(limits, max_auth_failure_delay, 5);
}

void FillRoute(v1::Route* route) {
  for (v1::NextHop& hop : *route->mutable_next_hops()) GATEPOST_DEFAULT(&hop, port, 25);
  GATEPOST_DEFAULT_ENUM(route->mutable_tls(), mode, v1::UpstreamTls::OFF);
  GATEPOST_DEFAULT_ENUM(route, client_identity, v1::Route::NOT_SENT);
}

void FillDelivery(v1::Delivery* delivery) {
  FillRoute(delivery->mutable_default_route());
  for (v1::Route& route : *delivery->mutable_routes()) FillRoute(&route);
  v1::DeliveryTimeouts* timeouts = delivery->mutable_timeouts();
  GATEPOST_DEFAULT_SECONDS(timeouts, connect, 5);
  GATEPOST_DEFAULT_SECONDS(timeouts, greeting, 30);
  GATEPOST_DEFAULT_SECONDS(timeouts, command, 120);
  GATEPOST_DEFAULT_SECONDS(timeouts, opening, 240);
  GATEPOST_DEFAULT_SECONDS(timeouts, data, 90);
  GATEPOST_DEFAULT_SECONDS(timeouts, block, 120);
  GATEPOST_DEFAULT_SECONDS(timeouts, final, 540);
}

}  // namespace

void FillDefaults(v1::VirtualServer* server) {
  const std::string_view name = server->name();
  GATEPOST_DEFAULT(server, display_name, std::string(name.substr(name.find('/') + 1)));
  GATEPOST_DEFAULT(server, banner_text, "ESMTP Gatepost");
  GATEPOST_DEFAULT_ENUM(server, dialect, v1::VirtualServer::RFC);
  for (v1::Listener& listener : *server->mutable_listeners())
    GATEPOST_DEFAULT_ENUM(&listener, tls_mode, v1::Listener::STARTTLS);

  GATEPOST_DEFAULT_ENUM(server->mutable_connection_control(), mode, v1::ALL_EXCEPT);
  v1::ReverseLookup* lookup = server->mutable_reverse_lookup();
  GATEPOST_DEFAULT_SECONDS(lookup, timeout, 3);
  GATEPOST_DEFAULT_ENUM(lookup, on_lookup_failure, v1::TEMPFAIL);
  FillAuthentication(server->mutable_authentication());
  FillTls(server->mutable_tls());
  v1::Relay* relay = server->mutable_relay();
  GATEPOST_DEFAULT_ENUM(relay, mode, v1::ONLY_LIST);
  GATEPOST_DEFAULT(relay, authenticated_may_relay, true);
  FillPermission(relay->mutable_authenticated());
  FillSessionLimits(server->mutable_session_limits());
  v1::MessageLimits* messages = server->mutable_message_limits();
  GATEPOST_DEFAULT(messages, max_message_octets, 37'748'736);
  GATEPOST_DEFAULT(messages, max_recipients, 1'000);
  GATEPOST_DEFAULT(messages, max_hops, 100);
  GATEPOST_DEFAULT(server->mutable_connection_limits(), max_per_source, 50);
  FillDelivery(server->mutable_delivery());
  v1::Filters* filters = server->mutable_filters();
  GATEPOST_DEFAULT_SECONDS(filters, timeout, 3);
  GATEPOST_DEFAULT_ENUM(filters, on_lookup_failure, v1::ALLOW);
  GATEPOST_DEFAULT_ENUM(server->mutable_logging(), addresses, v1::Logging::FULL);
}

}  // namespace gatepost::config
