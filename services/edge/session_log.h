// Turns what a session tells about itself into metrics and log lines: one line when it ends, one for each message, each
// login and each refusal with the rule that decided; with the virtual server's protocol log also one for each command
// and reply. Envelope addresses are personal data: how much of them is logged is the virtual server's setting. Secrets
// never come here.
//
// Thread rule: the session's. Nothing blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "services/base/clock.h"
#include "services/base/log.h"
#include "services/edge/metrics.h"
#include "services/edge/upstream.h"
#include "services/edge/virtual_server_runtime.h"
#include "services/smtp/session_observer.h"

namespace gatepost::edge {

class SessionLog final : public smtp::SessionObserver, public UpstreamObserver {
 public:
  // The references outlive the session.
  SessionLog(base::Log& log, const base::Clock& clock, std::shared_ptr<const VirtualServerRuntime> virtual_server,
             std::string session, base::Endpoint client);
  // The line of the session's end.
  ~SessionLog() override;

  void OnCommand(smtp::Verb verb, int code) override;
  void OnVerdict(const policy::Verdict& verdict) override;
  void OnAuth(std::string_view mechanism, smtp::AuthOutcome outcome, std::string_view login) override;
  void OnTls(const policy::TlsFacts& tls) override;
  // `why`: BoringSSL's or our words, none of the peer's.
  void OnHandshakeFailed(std::string_view why);
  void OnMessage(const smtp::MessageResult& result) override;
  void OnLineIn(std::string_view line) override;
  void OnReplyOut(const smtp::Reply& reply) override;
  void OnEnd(smtp::SessionEnd why) override;

  void OnConnect(const smtp::UpstreamOutcome& outcome, base::Duration took) override;
  void OnOpen(int change) override;
  void OnTakenOver(bool good) override;
  void OnEndOfData(const smtp::UpstreamOutcome& outcome, base::Duration took) override;
  void OnMisconfigured(const smtp::UpstreamOutcome& outcome) override;

  // The auth service has answered, after so long.
  void OnAuthAnswer(base::Duration took);

 private:
  base::Log& log_;
  const base::Clock& clock_;
  const std::shared_ptr<const VirtualServerRuntime> virtual_server_;
  const std::string session_;
  const std::string client_;
  const base::MonotonicTime start_;
  std::string login_;
  std::string cipher_;
  uint64_t messages_ = 0;
  uint64_t octets_ = 0;
  uint64_t commands_ = 0;
  std::optional<smtp::SessionEnd> end_;
};

}  // namespace gatepost::edge
