// Drives a ServerSession without a network: feeds it octets in segments of any size, answers its actions from the real
// policy and from a script, and records what a next hop would have received, octet for octet. For tests and fuzz
// targets.
//
// The script is in the envelope: the local part of an address says what goes wrong, and where.
//   Sender    mail550 mail450 unreachable refusedus notls   at MAIL or before it
//             mail421                                       at MAIL, and the next hop closes
//             data550 data451 datalost                      at DATA
//             bodylost                                      while the body is written
//             dot550 dot451 doubt                           at the dot
//   Recipient up550 up450 up421 uplost                      at RCPT
// Credentials: PLAIN and LOGIN accept any user with the password "good"; "down" makes the service unavailable; "junk"
// makes it say that the message was malformed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/base/fake_clock.h"
#include "services/base/fake_random.h"
#include "services/policy/snapshot.h"
#include "services/smtp/server_session.h"
#include "services/smtp/testing/scripted_next_hop.h"

namespace gatepost::smtp {

struct SessionSetup {
  SessionSetup();  // anonymous, local domain in.example, fqdn mx.example, STARTTLS at hand, PLAIN and LOGIN servable
  policy::VirtualServer settings;
  Capabilities next_hop = Capabilities::Unseen();
  std::vector<std::string> mechanisms = {"PLAIN", "LOGIN"};
  bool starttls_available = true;
  std::string address = "192.0.2.7";
  // What lookups find.
  policy::ClientName name{policy::ClientName::State::kUnknown, {}};
  policy::BlockListing listing{policy::BlockListing::State::kNotListed, 0};
  Start start;
  // Octets per read, 0: all there are.
  size_t segment = 0;
  bool handshake_fails = false;
  // The client has sent these octets before the greeting.
  std::string early;
  // What handshakes agree on.
  policy::TlsFacts tls{
      .active = true, .version = policy::TlsVersion::kTls13, .cipher = "TLS_AES_128_GCM_SHA256", .cipher_bits = 128};
  // What the next hop really says behind EHLO; `next_hop` is what it is thought to.
  std::vector<std::string> extensions = {"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"};
  // It does, and is known to.
  void Offer(std::vector<std::string> lines) {
    next_hop = Capabilities::FromEhlo(lines);
    extensions = std::move(lines);
  }
  // Who logs in with the password "good"; nullopt: the login alone is known of it.
  std::optional<policy::Identity> identity;
  SessionObserver* observer = nullptr;
};

// A message that the next hop has accepted: our client was told 250.
struct DeliveredMessage {
  std::string sender;
  std::vector<std::string> recipients;
  std::string received;  // our header field
  std::string body;      // what follows it, unstuffed
};

class SessionHarness {
 public:
  explicit SessionHarness(SessionSetup setup = {});

  // Each gives what the client was told since the last call.
  std::string Begin();
  std::string Send(std::string_view octets);
  std::string TimeOut();  // the deadline of the read passes
  std::string HangUp();
  std::string InterruptWith(Interrupt::Reason reason);
  // Begin, then EHLO.
  void Greet();

  void set_segment(size_t segment) { setup_.segment = segment; }
  base::FakeClock& clock() { return clock_; }
  ServerSession& session() { return *session_; }
  bool closed() const { return close_.has_value(); }
  bool lingers() const { return close_ && close_->linger; }
  // Octets that were sent and never read, because the session was over.
  size_t unread() const { return pending_.size() - pending_read_; }
  const ReadClient& reading() const { return reading_; }

  const std::vector<UpstreamConnection>& upstream() const { return next_hop_.connections(); }
  // All of upstream(), in a row.
  std::string upstream_octets() const;
  const std::vector<DeliveredMessage>& delivered() const { return delivered_; }
  const std::vector<base::Duration>& delays() const { return delays_; }
  // "START PLAIN", "RESPOND", "CANCEL": what the auth service was asked.
  const std::vector<std::string>& auth_log() const { return auth_log_; }
  int handshakes() const { return handshakes_; }
  int name_lookups() const { return name_lookups_; }
  int block_list_lookups() const { return block_list_lookups_; }
  // The most octets that waited for the client at once.
  size_t most_output() const { return most_output_; }
  size_t most_input() const { return most_input_; }

 private:
  void Run(Event event);
  std::string TakeOutput();

  Event Answer(const AuthStart& start);
  Event Answer(const AuthRespond& respond);
  Event CheckPassword(std::string_view user, std::string_view password);
  Event Answer(const OpenTransaction& open);
  Event Answer(const AddRecipient& add);
  Event Answer(const BeginData& begin);
  Event Answer(const SendBody& send);
  Event Answer(const FinishData& finish);
  Event Answer(const ResetUpstream& reset);
  Event Answer(const DropUpstream& drop);

  SessionSetup setup_;
  base::FakeClock clock_;
  base::FakeRandom random_;
  std::shared_ptr<const policy::CompiledVirtualServer> server_;
  std::unique_ptr<ServerSession> session_;
  std::string pending_;  // what the client has sent; so much of it has been read
  size_t pending_read_ = 0;
  std::string output_;
  ReadClient reading_{};
  std::optional<Close> close_;

  std::string auth_mechanism_;
  std::optional<std::string> login_user_;

  ScriptedNextHop next_hop_;
  std::string sender_;
  std::vector<std::string> recipients_;
  bool binary_ = false;
  std::vector<DeliveredMessage> delivered_;
  std::vector<base::Duration> delays_;
  std::vector<std::string> auth_log_;
  int handshakes_ = 0;
  int name_lookups_ = 0;
  int block_list_lookups_ = 0;
  size_t most_output_ = 0;
  size_t most_input_ = 0;
};

}  // namespace gatepost::smtp
