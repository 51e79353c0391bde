// The body of a message, by DATA or BDAT: read from the client, judged octet by octet, passed on to the next hop as
// DATA, or, when it is a binary one, as BDAT.
//
// Octets that come by DATA are passed on as they are, still dot-stuffed, as views into the input: no copy. Octets that
// come by BDAT are stuffed on the way, or, of a binary message, put together to chunks of 64 KiB. The first failure (ours or the next hop's)
// drops the next hop without a dot; what the client still sends of the message, or of the chunk, is read and thrown
// away, then it gets the answer. A BDAT that fails ends the transaction; those that were pipelined behind it are 503,
// their octets thrown away too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "services/smtp/chunk_reader.h"
#include "services/smtp/data_pace.h"
#include "services/smtp/data_reader.h"
#include "services/smtp/data_writer.h"
#include "services/smtp/message_intake.h"
#include "services/smtp/session_context.h"
#include "services/smtp/session_events.h"

namespace gatepost::smtp {

class MessageBody {
 public:
  // `context` outlives it.
  explicit MessageBody(SessionContext* context) : context_(*context) {}

  // The command came. The action to carry out; nothing: it has been answered.
  std::optional<Action> StartData();
  std::optional<Action> StartChunk(uint64_t size, bool last);
  // A BDAT that is refused with `reply`; its octets follow all the same.
  std::optional<Action> RefuseChunk(uint64_t size, Reply reply);
  // The event that answers the action. Likewise.
  std::optional<Action> Resume(const Event& event);

  // A BDAT has been accepted and the last one has not come: MAIL, RCPT, DATA and AUTH are out of order.
  bool expects_chunk() const { return message_.has_value(); }
  // RSET, EHLO, STARTTLS or the end of the session. The caller resets the transaction.
  void GiveUp();

 private:
  enum class State { kIdle, kAskingData, kReading, kSending, kDropping, kFinishing, kResetting };

  // One message, over all its chunks.
  struct Message {
    Message(MessageIntake message_intake, DataPace data_pace, bool is_binary)
        : intake(std::move(message_intake)), pace(data_pace), binary(is_binary), chunks(is_binary) {}
    // Most messages are short, and room for more than what comes costs time.
    static constexpr size_t kShortRead = 16 * 1024;
    size_t next_read = kShortRead;
    MessageIntake intake;
    DataPace pace;
    const bool binary;  // BODY=BINARYMIME: it goes on as it comes, in chunks
    DataReader data;
    ChunkReader chunks;
    DotStuffer stuffer;
    int chunk_count = 0;
    bool seven_bit = false;  // the next hop has no 8BITMIME
    bool wanted = false;     // its DATA or first BDAT was in order: it counts as a message
    std::string header;      // Received, until it has been sent
    bool ended = false;      // its last octet has been read
  };

  std::optional<Reply> WhyNoBody() const;
  Message& Expect();
  std::string TraceHeader() const;

  std::optional<Action> TakeDataAnswer(const UpstreamOutcome& outcome);
  std::optional<Action> TakeVerdict(const UpstreamOutcome& outcome);
  std::optional<Action> Pump();
  std::optional<Action> Read();
  std::optional<Action> TakeData(std::string_view readable);
  std::optional<Action> Gather(const DataReader::Result& result);
  std::optional<Action> TakeChunk(std::string_view readable);
  void Weigh(std::string_view octets);
  std::optional<Action> Send();
  std::optional<Action> FinishUpstream();
  std::optional<Action> EndChunk();
  std::optional<Action> Answer(const Reply& reply, bool in_doubt = false);
  std::optional<Action> Reset();
  void ForgetPending();
  void Report(const MessageResult& outcome);

  SessionContext& context_;
  State state_ = State::kIdle;
  std::optional<Message> message_;
  bool by_chunks_ = false;
  uint64_t chunk_size_ = 0;
  uint64_t chunk_left_ = 0;
  bool chunk_last_ = false;
  size_t input_before_read_ = 0;
  // What goes to the next hop now: a view into the input, of which `pending_consumed_` octets are then done with
  // (DATA); or stuffed_ (BDAT, and DATA with dots that are not passed on).
  std::string_view pending_;
  size_t pending_consumed_ = 0;
  std::string sent_header_;
  std::string stuffed_;
};

}  // namespace gatepost::smtp
