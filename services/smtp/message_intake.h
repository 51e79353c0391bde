// What is known of a message while it streams through, and the answer that it deserves by it: size, session size, form,
// hops, and what the next hop or the order of commands have against it. The answer does not depend on how the octets
// were split into reads. A value.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <string_view>

#include "services/smtp/message_scanner.h"
#include "services/smtp/replies.h"
#include "services/smtp/reply.h"

namespace gatepost::smtp {

class MessageIntake {
 public:
  // Octets, 0: none. `session_left`: what the session may still bring, nothing: any amount.
  MessageIntake(uint64_t size_limit, std::optional<uint64_t> session_left, int hop_limit)
      : limit_(size_limit == 0 ? kNone : size_limit), hop_limit_(hop_limit) {
    uint64_t again = limit_;
    session_binds_ = session_left && *session_left < limit_;
    if (session_binds_) limit_ = *session_left;
    if (again == kNone) again = limit_;
    bound_ = limit_ > kNone - again ? kNone : limit_ + again;
  }

  // The message has so much so far (unstuffed octets).
  void Update(uint64_t octets, BodyDefect defect, int received_fields) {
    octets_ = octets;
    defect_ = defect;
    hops_ = received_fields;
  }
  // A chunk of so many octets is about to come.
  void Announce(uint64_t octets) {
    uint64_t left = limit_ - std::min(limit_, octets_);
    if (octets > left) announced_too_big_ = true;
    announced_beyond_bound_ = octets > bound_ - std::min(bound_, octets_);
  }
  // The command that brings it is refused, whatever it is.
  void Refuse(Reply reply) {
    if (!refusal_) refusal_ = std::move(reply);
  }
  // The next hop does not take it, or is lost.
  void FailUpstream(Reply reply) {
    if (!upstream_failure_) upstream_failure_ = std::move(reply);
  }

  uint64_t octets() const { return octets_; }
  bool too_big() const { return announced_too_big_ || octets_ > limit_; }
  // It is the session that is full: after the answer it ends.
  bool session_full() const { return !refusal_ && too_big() && session_binds_; }
  // Reading and throwing away has gone on, or would go on, for too long: answer and close.
  bool beyond_bound() const { return announced_beyond_bound_ || octets_ > bound_; }
  // The path of the figure that refuses the message; empty: none does.
  std::string_view limit() const {
    if (refusal_) return {};
    if (too_big()) return session_binds_ ? "message_limits.max_session_octets" : "message_limits.max_message_octets";
    return defect_ == BodyDefect::kNone && too_many_hops() ? "message_limits.max_hops" : "";
  }
  bool too_many_hops() const { return hops_ > hop_limit_; }

  // Nothing of it may go on to the next hop.
  bool failed() const {
    return refusal_ || too_big() || defect_ != BodyDefect::kNone || too_many_hops() || upstream_failure_;
  }
  // What to say of it when it has failed.
  Reply Answer() const {
    if (refusal_) return *refusal_;
    if (too_big()) return replies::MessageTooBig();
    if (defect_ != BodyDefect::kNone) return replies::MessageMalformed(defect_);
    if (too_many_hops()) return replies::TooManyHops();
    return *upstream_failure_;
  }

 private:
  static constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();
  uint64_t limit_;
  bool session_binds_ = false;
  uint64_t bound_ = kNone;
  int hop_limit_;
  uint64_t octets_ = 0;
  BodyDefect defect_ = BodyDefect::kNone;
  int hops_ = 0;
  bool announced_too_big_ = false;
  bool announced_beyond_bound_ = false;
  std::optional<Reply> refusal_;
  std::optional<Reply> upstream_failure_;
};

}  // namespace gatepost::smtp
