#include "services/smtp/testing/scripted_next_hop.h"

#include <cstring>
#include <utility>

#include "services/base/check.h"
#include "services/base/strings.h"

namespace gatepost::smtp {

UpstreamOutcome ScriptedNextHop::Open(const OpenTransaction& open) {
  const ClientIdentity* client = open.client;
  const std::string& local = open.mail->path.mailbox.local;
  auto fail = [](UpstreamOutcome::Kind kind) {
    UpstreamOutcome outcome = UpstreamOutcome::Failed(kind);
    outcome.whole_transaction = true;
    return outcome;
  };
  if (local == "unreachable") return fail(UpstreamOutcome::Kind::kUnreachable);
  if (local == "refusedus") return fail(UpstreamOutcome::Kind::kRefusedUs);
  if (local == "notls") return fail(UpstreamOutcome::Kind::kTlsNotOffered);
  if (client_ == nullptr) {
    ClientSession::Options options{.client_name = "mx.example"};
    if (client != nullptr) options.identity = *client;
    client_ = std::make_unique<ClientSession>(std::move(options));
    connections_.emplace_back();
    received_.clear();
    closes_ = in_message_ = mail_ = recipients_ = false;
    replies_ = "220 next.example\r\n";
    UpstreamOutcome connected = Run(client_->Connect());
    if (!connected.accepted()) return connected;
    std::string& octets = connections_.back().octets;
    octets.erase(0, octets.find("\r\n") + 2);  // EHLO
  } else if (client != nullptr) {
    UpstreamOutcome identified = Run(client_->Identify(*client));
    if (!identified.accepted()) return identified;
  }
  return Run(client_->MailAndRcpt(*open.mail, *open.recipient, open.data_follows));
}

UpstreamOutcome ScriptedNextHop::AddRecipient(const smtp::AddRecipient& add) {
  GATEPOST_CHECK(client_ != nullptr);
  return Run(client_->Rcpt(*add.recipient, add.data_follows));
}

UpstreamOutcome ScriptedNextHop::BeginData() {
  GATEPOST_CHECK(client_ != nullptr);
  message_.clear();
  UpstreamOutcome outcome = Run(client_->BeginData());
  if (outcome.accepted()) in_message_ = true;
  return outcome;
}

void ScriptedNextHop::WriteBody(const std::array<std::string_view, 2>& pieces) {
  for (std::string_view piece : pieces) {
    connections_.back().octets += piece;
    message_ += piece;
  }
}

UpstreamOutcome ScriptedNextHop::SendBody(const std::array<std::string_view, 2>& pieces) {
  GATEPOST_CHECK(client_ != nullptr && in_message_);
  if (SenderIs("bodylost")) {
    UpstreamOutcome outcome = client_->Abort(ClientSession::Event::kClosed);
    Drop();
    return outcome;
  }
  if (client_->by_chunks()) return Run(client_->SendChunk(pieces[0].size() + pieces[1].size()), pieces);
  WriteBody(pieces);
  return UpstreamOutcome::Accepted();
}

UpstreamOutcome ScriptedNextHop::FinishData(const std::array<std::string_view, 2>& pieces, std::string* message) {
  if (SenderIs("bodylost")) return SendBody(pieces);
  GATEPOST_CHECK(client_ != nullptr && in_message_);
  UpstreamOutcome outcome = Run(client_->FinishData(pieces[0].size() + pieces[1].size()), pieces);
  *message = std::move(message_);
  return outcome;
}

void ScriptedNextHop::Reset() {
  GATEPOST_CHECK(client_ != nullptr && !in_message_);
  Run(client_->Reset());
}

void ScriptedNextHop::Drop() {
  if (client_ == nullptr) return;
  connections_.back().dropped = true;
  client_.reset();
}

UpstreamOutcome ScriptedNextHop::Run(ClientSession::Action action, const std::array<std::string_view, 2>& pieces) {
  using Message = ClientSession::Write::Message;
  for (;;) {
    if (auto* finished = std::get_if<ClientSession::Finished>(&action)) {
      UpstreamOutcome outcome = std::move(finished->outcome);
      if (!client_->usable()) Drop();
      return outcome;
    }
    if (const auto* write = std::get_if<ClientSession::Write>(&action)) {
      if (write->message == Message::kBefore) WriteBody(pieces);
      connections_.back().octets += write->octets;
      received_ += write->octets;
      if (write->message == Message::kBehind) WriteBody(pieces);
      Serve();
      action = client_->Advance(ClientSession::Event::kWritten);
      continue;
    }
    GATEPOST_CHECK(std::holds_alternative<ClientSession::Read>(action));
    if (replies_.empty()) {
      GATEPOST_CHECK(closes_);
      action = client_->Advance(ClientSession::Event::kClosed);
      continue;
    }
    std::span<char> room = client_->input().Prepare(replies_.size());
    std::memcpy(room.data(), replies_.data(), replies_.size());
    client_->input().Commit(replies_.size());
    replies_.clear();
    action = client_->Advance(ClientSession::Event::kBytesRead);
  }
}

void ScriptedNextHop::Serve() {
  for (size_t end; !closes_ && (end = received_.find("\r\n")) != std::string::npos;) {
    std::string line = received_.substr(0, end);
    received_.erase(0, end + 2);
    replies_ += ReplyTo(line);
  }
}

std::string ScriptedNextHop::ReplyTo(std::string_view line) {
  if (in_message_) {
    // The message itself does not come this way.
    const bool chunk = line.starts_with("BDAT ");
    GATEPOST_CHECK(chunk == client_->by_chunks() && (chunk || line == "."));
    if (chunk && !line.ends_with(" LAST")) return "250 2.0.0 more\r\n";
    in_message_ = mail_ = false;
    if (SenderIs("dot550")) return "550 5.7.9 no\r\n";
    if (SenderIs("dot451")) return "451 4.7.9 no\r\n";
    if (!SenderIs("doubt")) return "250 2.0.0 queued\r\n";
    closes_ = true;
    return "";
  }
  if (line.starts_with("EHLO ")) {
    std::string reply = "250-next.example\r\n";
    for (const std::string& extension : extensions_) base::StrAppend(&reply, "250-", extension, "\r\n");
    return reply + "250 HELP\r\n";
  }
  if (line.starts_with("XCLIENT ")) return "220 next.example\r\n";
  if (line.starts_with("MAIL FROM:<")) {
    GATEPOST_CHECK(!mail_);
    sender_ = line.substr(11, line.rfind('>') - 11);
    if (SenderIs("mail550")) return "550 5.7.9 no\r\n";
    if (SenderIs("mail450")) return "450 4.7.9 no\r\n";
    if (SenderIs("mail421")) {
      closes_ = true;
      return "421 4.7.9 no\r\n";
    }
    mail_ = true;
    recipients_ = false;
    return "250 2.1.0 Ok\r\n";
  }
  if (line.starts_with("RCPT TO:<")) {
    std::string_view local = line.substr(9, line.find('@', 9) - 9);
    if (!mail_) return "503 5.5.1 MAIL first\r\n";
    if (local == "up550") return "550 5.7.9 no\r\n";
    if (local == "up450") return "450 4.7.9 no\r\n";
    closes_ = local == "up421" || local == "uplost";
    if (local == "up421") return "421 4.7.9 no\r\n";
    if (local == "uplost") return "";
    recipients_ = true;
    return "250 2.1.5 Ok\r\n";
  }
  if (line == "DATA") {
    if (!mail_ || !recipients_) return "503 5.5.1 RCPT first\r\n";
    if (SenderIs("data550")) return "550 5.7.9 no\r\n";
    if (SenderIs("data451")) return "451 4.7.9 no\r\n";
    closes_ = SenderIs("datalost");
    in_message_ = !closes_;
    return closes_ ? "" : "354 go\r\n";
  }
  GATEPOST_CHECK(line == "RSET");
  mail_ = false;
  return "250 2.0.0 Ok\r\n";
}

}  // namespace gatepost::smtp
