#include "services/smtp/message_body.h"

#include <algorithm>
#include <utility>

#include "services/base/check.h"
#include "services/smtp/grammar.h"
#include "services/smtp/limits.h"
#include "services/smtp/replies.h"
#include "services/smtp/trace_header.h"

namespace gatepost::smtp {
namespace {

// Worth reading at once.
constexpr size_t kBodyRead = 64 * 1024;

std::string_view TlsVersionName(policy::TlsVersion version) {
  return version == policy::TlsVersion::kTls13 ? "TLSv1.3" : "TLSv1.2";
}

}  // namespace

std::optional<Action> MessageBody::StartData() {
  Conversation& client = context_.conversation;
  const Transaction& transaction = context_.transaction;
  std::optional<Reply> refusal = message_ ? replies::BadSequence() : WhyNoBody();
  if (!refusal && transaction.mail.body == BodyType::kBinaryMime) refusal = replies::BinaryNeedsChunking();
  if (refusal) {
    client.Say(*refusal);
    // Out of order changes nothing; any other refusal is an end of DATA.
    if (refusal->code == 503) return std::nullopt;
    return Reset();
  }
  Expect().wanted = true;
  by_chunks_ = false;
  GATEPOST_CHECK(transaction.upstream == Transaction::Upstream::kOpen);
  state_ = State::kAskingData;
  return BeginData{};
}

std::optional<Action> MessageBody::StartChunk(uint64_t size, bool last) {
  if (std::optional<Reply> refusal = WhyNoBody()) return RefuseChunk(size, *std::move(refusal));
  Message& message = Expect();
  message.wanted = true;
  if (++message.chunk_count > limits::kBdatChunks) {
    context_.conversation.SayLast(replies::TooManyChunks(context_.settings.fqdn), SessionEnd::kLimit);
    return std::nullopt;
  }
  by_chunks_ = true;
  chunk_size_ = chunk_left_ = size;
  chunk_last_ = last;
  message.intake.Announce(size);
  if (!message.intake.failed() && context_.transaction.upstream == Transaction::Upstream::kOpen) {
    state_ = State::kAskingData;
    return BeginData{};
  }
  return Pump();
}

std::optional<Action> MessageBody::RefuseChunk(uint64_t size, Reply reply) {
  Message& message = Expect();
  by_chunks_ = true;
  chunk_size_ = chunk_left_ = size;
  chunk_last_ = false;
  message.intake.Refuse(std::move(reply));
  message.intake.Announce(size);
  return Pump();
}

// The answer to DATA or BDAT where no body can be taken.
std::optional<Reply> MessageBody::WhyNoBody() const {
  const Transaction& transaction = context_.transaction;
  if (!transaction.open) return replies::BadSequence();
  if (transaction.recipients == 0) {
    return transaction.refused_recipients == 0 ? replies::BadSequence() : replies::NoValidRecipients();
  }
  return transaction.upstream_failure;
}

MessageBody::Message& MessageBody::Expect() {
  if (message_) return *message_;
  const policy::Limits& figures = context_.settings.limits;
  std::optional<uint64_t> session_left;
  if (figures.session_size != 0) {
    session_left = figures.session_size - std::min<uint64_t>(figures.session_size, context_.session_octets);
  }
  return message_.emplace(MessageIntake(context_.MessageSizeLimit(), session_left, figures.hops),
                          DataPace(figures.data_timeout, figures.data_timeout, figures.min_data_rate),
                          context_.transaction.mail.body == BodyType::kBinaryMime);
}

std::string MessageBody::TraceHeader() const {
  const policy::TlsFacts& tls = context_.options.client.tls;
  std::string address = context_.options.client.address.ToString();
  std::string id = context_.MessageId();
  TraceFacts facts;
  facts.client_name = context_.client_name;
  facts.client_address = address;
  const policy::ClientName& name = context_.options.client.name;
  if (context_.settings.reverse_lookup.annotate_received && name.state == policy::ClientName::State::kConfirmed) {
    facts.client_host = name.names.front();
  }
  facts.fqdn = context_.settings.fqdn;
  facts.virtual_server = context_.settings.id;
  facts.esmtp = context_.esmtp;
  facts.smtputf8 = context_.transaction.mail.smtputf8;
  facts.authenticated = context_.identity.has_value();
  if (tls.active) {
    facts.tls_version = TlsVersionName(tls.version);
    facts.tls_cipher = tls.cipher;
  }
  facts.id = id;
  if (context_.transaction.recipients == 1) facts.recipient = context_.transaction.first_recipient;
  facts.time = context_.options.clock->WallNow();
  return ReceivedField(facts);
}

std::optional<Action> MessageBody::Resume(const Event& event) {
  switch (std::exchange(state_, State::kIdle)) {
    case State::kIdle:
      break;
    case State::kAskingData:
      return TakeDataAnswer(Only<UpstreamDone>(event).outcome);
    case State::kReading: {
      size_t read = context_.conversation.input().readable().size() - input_before_read_;
      bool fast_enough = message_->pace.EndRead(context_.now, read);
      message_->next_read = read < Message::kShortRead ? Message::kShortRead : kBodyRead;
      if (std::holds_alternative<BytesRead>(event) && fast_enough) return Pump();
      context_.conversation.EndOfReading(std::holds_alternative<BytesRead>(event) ? Event(TimedOut{}) : event,
                                         replies::DataTimeout(context_.settings.fqdn));
      return std::nullopt;
    }
    case State::kSending: {
      ForgetPending();
      const UpstreamOutcome& outcome = Only<UpstreamDone>(event).outcome;
      if (!outcome.accepted()) {
        context_.transaction.upstream = Transaction::Upstream::kNone;
        message_->intake.FailUpstream(ReplyToClient(outcome, context_.settings.dialect));
      }
      return Pump();
    }
    case State::kDropping:
      return Pump();
    case State::kFinishing:
      ForgetPending();
      return TakeVerdict(Only<UpstreamDone>(event).outcome);
    case State::kResetting:
      Only<Done>(event);
      return std::nullopt;
  }
  GATEPOST_CHECK(false);
}

std::optional<Action> MessageBody::TakeDataAnswer(const UpstreamOutcome& outcome) {
  Transaction& transaction = context_.transaction;
  if (outcome.accepted()) {
    transaction.upstream = Transaction::Upstream::kData;
    message_->seven_bit = outcome.seven_bit;
    message_->header = TraceHeader();
    if (!by_chunks_) context_.conversation.Say(replies::StartMailInput());
    return Pump();
  }
  if (outcome.connection_lost() || outcome.reply.code == 421) transaction.upstream = Transaction::Upstream::kNone;
  Reply reply = ReplyToClient(outcome, context_.settings.dialect);
  if (!by_chunks_) return Answer(reply);
  message_->intake.FailUpstream(std::move(reply));
  return Pump();
}

// The next hop's answer to our dot.
std::optional<Action> MessageBody::TakeVerdict(const UpstreamOutcome& outcome) {
  context_.transaction.upstream = Transaction::Upstream::kNone;
  if (outcome.accepted()) return Answer(replies::MessageAccepted(context_.MessageId(), outcome.reply.text()));
  return Answer(ReplyToClient(outcome, context_.settings.dialect), outcome.in_doubt());
}

// Goes on as far as it can without waiting.
std::optional<Action> MessageBody::Pump() {
  Transaction& transaction = context_.transaction;
  Message& message = *message_;
  for (;;) {
    if (message.intake.failed()) {
      ForgetPending();
      if (transaction.upstream == Transaction::Upstream::kData) {
        transaction.upstream = Transaction::Upstream::kNone;
        state_ = State::kDropping;
        return DropUpstream{};
      }
      if (message.intake.beyond_bound()) {
        context_.conversation.SayLast(message.intake.Answer(), SessionEnd::kLimit);
        return std::nullopt;
      }
    }
    if (message.ended) return message.intake.failed() ? Answer(message.intake.Answer()) : FinishUpstream();
    if (by_chunks_ && chunk_left_ == 0) {
      if (!chunk_last_) return EndChunk();
      message.chunks.Finish();
      message.intake.Update(message.chunks.octets(), message.chunks.defect(), message.chunks.received_fields());
      message.ended = true;
      continue;
    }
    std::string_view readable = context_.conversation.input().readable();
    if (readable.empty()) return Read();
    if (std::optional<Action> action = by_chunks_ ? TakeChunk(readable) : TakeData(readable)) return action;
  }
}

std::optional<Action> MessageBody::Read() {
  input_before_read_ = context_.conversation.input().readable().size();
  state_ = State::kReading;
  return ReadClient{message_->pace.BeginRead(context_.now), message_->next_read, false};
}

// Octets after 354. Nothing: go on.
std::optional<Action> MessageBody::TakeData(std::string_view readable) {
  Message& message = *message_;
  DataReader::Result result = message.data.Next(readable);
  message.ended = result.ended;
  message.intake.Update(message.data.octets(), message.data.defect(), message.data.received_fields());
  if (result.dot_dropped || !stuffed_.empty()) return Gather(result);
  if (result.consumed == 0 && !result.ended) return Read();
  pending_ = result.body;
  pending_consumed_ = result.consumed;
  Weigh(pending_);
  if (message.intake.failed() || message.ended) return std::nullopt;
  if (!pending_.empty()) return Send();
  ForgetPending();
  return std::nullopt;
}

// Runs between dots that are not passed on are put together: a client must not be able to make one write of each.
std::optional<Action> MessageBody::Gather(const DataReader::Result& result) {
  Weigh(result.body);
  if (!message_->intake.failed()) stuffed_.append(result.body);
  context_.conversation.input().Consume(result.consumed);
  if (message_->intake.failed() || result.ended) return std::nullopt;
  const bool more = result.dot_dropped && !context_.conversation.input().readable().empty();
  if (more && stuffed_.size() < kBodyRead) return std::nullopt;
  if (stuffed_.empty()) return more ? std::nullopt : std::optional<Action>(Read());
  return Send();
}

// Octets of a chunk. Nothing: go on.
std::optional<Action> MessageBody::TakeChunk(std::string_view readable) {
  Message& message = *message_;
  std::string_view octets = readable.substr(0, static_cast<size_t>(std::min<uint64_t>(readable.size(), chunk_left_)));
  chunk_left_ -= octets.size();
  ChunkReader::Result result = message.chunks.Next(octets);
  message.intake.Update(message.chunks.octets(), message.chunks.defect(), message.chunks.received_fields());
  Weigh(result.body);
  if (message.binary) {
    stuffed_.append(result.body);
  } else if (!message.intake.failed()) {
    message.stuffer.Append(result.held, &stuffed_);
    message.stuffer.Append(result.body, &stuffed_);
  }
  context_.conversation.input().Consume(octets.size());
  // The octets before the message's end go with it, in one write.
  bool before_end = chunk_last_ && chunk_left_ == 0;
  if (message.intake.failed() || before_end || stuffed_.empty()) return std::nullopt;
  // A client must not be able to make one BDAT, and one answer to wait for, of each octet.
  if (message.binary && stuffed_.size() < kBodyRead) return std::nullopt;
  return Send();
}

// A next hop without 8BITMIME gets no octet beyond ASCII, whatever MAIL has said of them (RFC 6152 3).
void MessageBody::Weigh(std::string_view octets) {
  if (!message_->seven_bit || std::none_of(octets.begin(), octets.end(), IsBeyondAscii)) return;
  message_->intake.FailUpstream(replies::BodyTypeNotOffered());
}

std::optional<Action> MessageBody::Send() {
  sent_header_ = std::exchange(message_->header, std::string());
  state_ = State::kSending;
  return SendBody{{sent_header_, pending_.empty() ? std::string_view(stuffed_) : pending_}};
}

std::optional<Action> MessageBody::FinishUpstream() {
  if (by_chunks_ && !message_->binary) stuffed_ += message_->stuffer.Finish();
  sent_header_ = std::exchange(message_->header, std::string());
  state_ = State::kFinishing;
  return FinishData{{sent_header_, pending_.empty() ? std::string_view(stuffed_) : pending_}, context_.now};
}

// A chunk that is not the last has been read.
std::optional<Action> MessageBody::EndChunk() {
  if (message_->intake.failed()) return Answer(message_->intake.Answer());
  context_.conversation.Say(replies::ChunkAccepted(chunk_size_));
  return std::nullopt;
}

// The message, or the command, is over.
std::optional<Action> MessageBody::Answer(const Reply& reply, bool in_doubt) {
  ForgetPending();
  const MessageIntake& intake = message_->intake;
  if (!intake.limit().empty()) context_.ObserveLimit(intake.limit());
  bool session_full = intake.session_full();
  context_.session_octets += intake.octets();
  if (message_->wanted) {
    ++context_.messages;
    MessageResult result;
    result.accepted = reply.positive();
    result.in_doubt = in_doubt;
    result.code = reply.code;
    result.text = reply.text;
    Report(result);
  }
  message_.reset();
  stuffed_ = std::string();
  context_.conversation.Say(reply);
  if (session_full) context_.conversation.SayLast(replies::SessionTooBig(context_.settings.fqdn), SessionEnd::kLimit);
  return Reset();
}

std::optional<Action> MessageBody::Reset() {
  std::optional<Action> action = context_.ResetTransaction();
  if (action) state_ = State::kResetting;
  return action;
}

void MessageBody::GiveUp() {
  if (message_) context_.session_octets += message_->intake.octets();
  if (message_ && message_->wanted) Report(MessageResult());
  ForgetPending();
  message_.reset();
  stuffed_ = std::string();
  state_ = State::kIdle;
}

void MessageBody::ForgetPending() {
  context_.conversation.input().Consume(std::exchange(pending_consumed_, 0));
  pending_ = std::string_view();
  stuffed_.clear();
}

void MessageBody::Report(const MessageResult& outcome) {
  if (context_.options.observer == nullptr) return;
  std::string sender = context_.transaction.mail.path.canonical();
  MessageResult result = outcome;
  result.transaction = context_.transactions;
  result.octets = message_->intake.octets();
  result.recipients = context_.transaction.recipients;
  result.sender = sender;
  context_.options.observer->OnMessage(result);
}

}  // namespace gatepost::smtp
