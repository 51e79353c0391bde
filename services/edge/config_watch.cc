#include "services/edge/config_watch.h"

#include <algorithm>
#include <utility>

#include "services/edge/limits.h"

namespace gatepost::edge {
namespace {

using config::v1::Unit;
using config::v1::WatchRequest;
using config::v1::WatchResponse;

constexpr size_t kReasonOctets = 1024;
// Octets of all pieces of one unit: 10,000 virtual servers of 1 MiB would be more, but no edge is meant to hold them.
constexpr size_t kChainOctets = size_t{2} << 30;

}  // namespace

ConfigWatch::Options ConfigWatch::Defaults() {
  return Options{.life_least = limits::kStreamLifeLeast,
                 .life_most = limits::kStreamLifeMost,
                 .backoff_least = limits::kBackoffLeast,
                 .backoff_most = limits::kBackoffMost};
}

ConfigWatch::ConfigWatch(asio::any_io_executor control, std::shared_ptr<grpc::Channel> channel,
                         rpc::CompletionLoop& loop, base::Gate& gate, base::Random& random,
                         Configuration& configuration, Options options)
    : executor_(std::move(control)),
      stub_(config::v1::WatchService::NewStub(std::move(channel))),
      loop_(loop),
      gate_(gate),
      random_(random),
      configuration_(configuration),
      options_(std::move(options)),
      backoff_(options_.backoff_least, options_.backoff_most),
      timer_(executor_) {}

ConfigWatch::~ConfigWatch() { Stop(); }

void ConfigWatch::Start() { Open(); }

void ConfigWatch::Stop() {
  stopped_ = true;
  timer_.cancel();
  if (current_) current_->stream->Abandon();
  if (successor_) successor_->stream->Abandon();
  current_.reset();
  successor_.reset();
  waiting_.clear();
}

void ConfigWatch::Open() {
  if (stopped_ || successor_) return;
  auto pass = gate_.Enter();
  if (!pass) return;
  auto channel = std::make_shared<Channel>();
  // The handlers name the channel weakly: the stream belongs to it.
  std::weak_ptr<Channel> weak = channel;
  channel->stream = std::make_shared<Stream>(executor_, loop_, std::move(pass),
                                             Stream::Handlers{.on_message =
                                                                  [this, weak](WatchResponse& message) {
                                                                    if (auto strong = weak.lock())
                                                                      OnMessage(*strong, message);
                                                                  },
                                                              .on_end =
                                                                  [this, weak](const grpc::Status& status) {
                                                                    if (auto strong = weak.lock())
                                                                      OnEnd(*strong, status);
                                                                  }});
  successor_ = channel;
  channel->stream->Start(
      [this](grpc::ClientContext* context, auto* queue) { return stub_->PrepareAsyncWatch(context, queue); });
  WatchRequest request;
  auto& start = *request.mutable_start();
  start.set_node_id(options_.node_id);
  start.set_version(options_.version);
  start.set_epoch(configuration_.epoch());
  start.set_revision(configuration_.revision());
  channel->stream->Send(std::move(request));
}

void ConfigWatch::OnMessage(Channel& channel, WatchResponse& message) {
  if (&channel == successor_.get()) {
    if (current_) {
      current_->stream->HalfClose();  // What it still answers (an ACK under way) goes out before.
    }
    current_ = std::move(successor_);
    backoff_.Reset();
    configuration_.OnConnected(true);
    After(options_.life_least + base::UniformDelay(random_, options_.life_most - options_.life_least));
  }
  if (&channel != current_.get()) return;  // An old stream that is being wound up.
  switch (message.message_case()) {
    case WatchResponse::kUnit:
      OnUnit(channel, *message.mutable_unit());
      break;
    case WatchResponse::kDraining:
      After(base::Duration::zero());
      break;
    case WatchResponse::MESSAGE_NOT_SET:
      break;  // A later version's message.
  }
}

void ConfigWatch::OnEnd(Channel& channel, const grpc::Status& /*status*/) {
  if (stopped_) return;
  if (&channel == successor_.get()) {
    successor_.reset();
  } else if (&channel == current_.get()) {
    current_.reset();
  } else {
    return;
  }
  if (!current_) configuration_.OnConnected(false);
  if (!successor_) After(backoff_.Next(random_));
}

void ConfigWatch::OnUnit(Channel& channel, Unit& unit) {
  if (unit.nonce().empty()) {  // A heartbeat.
    if (!applying_ && unit.epoch() == configuration_.epoch() && unit.revision() <= configuration_.revision()) {
      configuration_.OnConfirmed();
    }
    return;
  }
  const bool more = unit.more();
  channel.octets += unit.ByteSizeLong();
  channel.chain.push_back(std::move(unit));
  if (channel.chain.size() > limits::kPartsOfUnit || channel.octets > kChainOctets) {
    channel.stream->Abandon();
    OnEnd(channel, grpc::Status::CANCELLED);
    return;
  }
  if (more) return;
  waiting_.push_back({channel.stream, std::move(channel.chain)});
  channel.chain.clear();
  channel.octets = 0;
  ApplyNext();
}

void ConfigWatch::ApplyNext() {
  if (applying_ || waiting_.empty() || stopped_) return;
  applying_ = true;
  Complete next = std::move(waiting_.front());
  waiting_.pop_front();
  std::string nonce = next.chain.front().nonce();
  const bool one_unit =
      std::all_of(next.chain.begin(), next.chain.end(), [&](const Unit& unit) { return unit.nonce() == nonce; });
  auto answer = [this, stream = next.stream, nonce](absl::StatusOr<Configuration::Listeners> result) {
    applying_ = false;
    if (result.ok()) {
      WatchRequest request;
      auto& ack = *request.mutable_ack();
      ack.set_nonce(nonce);
      for (auto& listener : *result) *ack.add_listeners() = std::move(listener);
      stream->Send(std::move(request));
      configuration_.OnConfirmed();
    } else {
      Refuse(*stream, nonce, std::string(result.status().message()));
    }
    ApplyNext();
  };
  if (one_unit) {
    configuration_.Apply(std::move(next.chain), std::move(answer));
  } else {
    answer(absl::InvalidArgumentError("the pieces of a unit have different nonces"));
  }
}

void ConfigWatch::Refuse(Stream& stream, const std::string& nonce, std::string_view reason) {
  WatchRequest request;
  auto& nack = *request.mutable_nack();
  nack.set_nonce(nonce);
  nack.set_reason(std::string(reason.substr(0, kReasonOctets)));
  stream.Send(std::move(request));
}

void ConfigWatch::Report(const Configuration::Listeners& listeners) {
  if (!current_) return;
  WatchRequest request;
  auto& report = *request.mutable_report();
  for (const auto& listener : listeners) *report.add_listeners() = listener;
  current_->stream->Send(std::move(request));
}

void ConfigWatch::After(base::Duration delay) {
  timer_.expires_after(delay);
  timer_.async_wait([this](std::error_code error) {
    if (error) return;
    if (applying_) {
      After(std::chrono::milliseconds(100));  // The revision that a new stream states must be settled.
    } else {
      Open();
    }
  });
}

}  // namespace gatepost::edge
