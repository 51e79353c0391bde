#include "services/config/watch_session.h"

#include <utility>

#include "services/base/check.h"
#include "services/base/status_macros.h"
#include "services/config/limits.h"
#include "services/config/validate.h"

namespace gatepost::config {

WatchSession::~WatchSession() {
  if (started_) registry_.Disconnect(node_id_);
}

absl::Status WatchSession::OnMessage(v1::WatchRequest* message, base::MonotonicTime now) {
  using Kind = v1::WatchRequest::MessageCase;
  if (message->message_case() == Kind::kStart) return OnStart(message->start(), now);
  if (!started_) return absl::InvalidArgumentError("the first message must be Start");
  switch (message->message_case()) {
    case Kind::kAck:
      return OnAck(message->mutable_ack(), now);
    case Kind::kNack:
      return OnNack(message->nack(), now);
    case Kind::kReport:
      registry_.Reported(node_id_, std::move(*message->mutable_report()->mutable_listeners()));
      return absl::OkStatus();
    default:
      // A newer edge may say more than we know.
      return absl::OkStatus();
  }
}

absl::Status WatchSession::OnStart(const v1::WatchRequest::Start& start, base::MonotonicTime now) {
  if (started_) return absl::InvalidArgumentError("Start may come once");
  if (!IsResourceId(start.node_id())) return absl::InvalidArgumentError("malformed node id");
  if (start.revision() < 0) return absl::InvalidArgumentError("negative revision");
  GATEPOST_RETURN_IF_ERROR(registry_.Connect(pool_, start));
  started_ = true;
  node_id_ = start.node_id();
  if (start.epoch() == epoch_) base_ = start.revision();
  // An edge learns at once that the stream works, and whether it is up to date.
  heartbeat_due_ = now;
  return absl::OkStatus();
}

absl::Status WatchSession::Answered(const std::string& nonce, base::MonotonicTime now) {
  const size_t written = next_piece_ + (writing_ != nullptr ? 1 : 0);
  if (in_flight_ == nullptr || written < in_flight_->pieces.size() || nonce != in_flight_->nonce)
    return absl::InvalidArgumentError("answer to a unit that is not in flight");
  heartbeat_due_ = now + kHeartbeatInterval;
  return absl::OkStatus();
}

absl::Status WatchSession::OnAck(v1::WatchRequest::Ack* ack, base::MonotonicTime now) {
  GATEPOST_RETURN_IF_ERROR(Answered(ack->nonce(), now));
  base_ = in_flight_->revision;
  refused_.reset();
  in_flight_.reset();
  registry_.Applied(node_id_, epoch_, *base_, std::move(*ack->mutable_listeners()));
  event_ = Event::kAcked;
  return absl::OkStatus();
}

absl::Status WatchSession::OnNack(const v1::WatchRequest::Nack& nack, base::MonotonicTime now) {
  GATEPOST_RETURN_IF_ERROR(Answered(nack.nonce(), now));
  refused_ = in_flight_->revision;
  in_flight_.reset();
  nack_reason_ = Utf8Prefix(nack.reason(), kMaxReasonOctets);
  registry_.Refused(node_id_, *refused_, nack_reason_);
  event_ = Event::kNacked;
  return absl::OkStatus();
}

WatchSession::Event WatchSession::TakeEvent() { return std::exchange(event_, Event::kNone); }

bool WatchSession::WantsUnit(int64_t current) const {
  if (!started_ || superseded_ || draining_ || in_flight_ != nullptr) return false;
  // What was refused is not sent again as it is; the next change brings it along.
  if (refused_ && *refused_ == current) return false;
  return base_ != current;
}

void WatchSession::Send(std::shared_ptr<const Chain> chain, base::MonotonicTime now) {
  GATEPOST_CHECK(in_flight_ == nullptr);
  in_flight_ = std::move(chain);
  next_piece_ = 0;
  progress_ = now;
}

const v1::WatchResponse* WatchSession::Next(int64_t current, base::MonotonicTime now) {
  // A chain that was begun is finished first.
  if (in_flight_ != nullptr && next_piece_ < in_flight_->pieces.size()) {
    writing_ = in_flight_;
    return &in_flight_->pieces[next_piece_];
  }
  if (draining_ && !said_draining_) {
    said_draining_ = true;
    own_.mutable_draining();
    return &own_;
  }
  if (!started_ || in_flight_ != nullptr || superseded_ || now < heartbeat_due_ || WantsUnit(current)) return nullptr;
  heartbeat_due_ = now + kHeartbeatInterval;
  v1::Unit* unit = own_.mutable_unit();
  unit->Clear();
  unit->set_epoch(epoch_);
  unit->set_revision(current);
  return &own_;
}

void WatchSession::Written(base::MonotonicTime now) {
  if (writing_ == nullptr) return;
  if (writing_ == in_flight_) ++next_piece_;
  writing_.reset();
  progress_ = now;
}

absl::Status WatchSession::CheckDeadline(base::MonotonicTime now) const {
  if ((started_ && in_flight_ == nullptr) || now - progress_ < kAnswerTimeout) return absl::OkStatus();
  return absl::DeadlineExceededError(started_ ? "a unit was not answered in time" : "no Start in time");
}

}  // namespace gatepost::config
