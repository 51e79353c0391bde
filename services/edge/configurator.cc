#include "services/edge/configurator.h"

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "services/base/status_macros.h"
#include "services/base/strings.h"
#include "services/edge/limits.h"
#include "services/rpc/translate.h"

namespace gatepost::edge {

Configurator::Configurator(Parts parts)
    : parts_(std::move(parts)), confirmed_(parts_.clock.Now()), save_timer_(parts_.control) {}

bool Configurator::LoadStored() {
  if (parts_.store == nullptr) return false;
  absl::StatusOr<config::v1::Unit> unit = parts_.store->Load();
  absl::Status status = unit.status();
  if (unit.ok()) status = ApplyChain(std::span(&*unit, 1));
  if (status.ok()) {
    parts_.log.Info("snapshot_loaded", {{"epoch", resources_.epoch}, {"revision", resources_.revision}});
    return true;
  }
  if (absl::IsNotFound(status)) {
    parts_.log.Info("snapshot_absent", {});
  } else {
    parts_.log.Error("snapshot_unusable", {{"reason", base::FromAbsl(status.message())}});
  }
  return false;
}

absl::Status Configurator::ApplyFixed(config::v1::Unit unit) {
  unit.set_reset(true);
  unit.set_more(false);
  if (unit.epoch().empty()) unit.set_epoch("fixed");
  return ApplyChain(std::span(&unit, 1));
}

void Configurator::Apply(std::vector<config::v1::Unit> chain, Answer answer) {
  const config::v1::Unit& first = chain.front();
  switch (Judge(resources_, first)) {
    case Standing::kIgnore:
      parts_.metrics.config_ignored.Increment();
      parts_.log.Warning("config_ignored", {{"revision", first.revision()}, {"held", resources_.revision}});
      answer(parts_.listeners.Status());
      return;
    case Standing::kRefuse:
      parts_.metrics.config_refused.Increment();
      parts_.log.Error("config_refused", {{"revision", first.revision()}, {"reason", "another epoch, and no reset"}});
      answer(absl::InvalidArgumentError("of another epoch nothing but a reset is accepted"));
      return;
    case Standing::kApply:
      break;
  }
  if (absl::Status status = ApplyChain(chain); !status.ok()) {
    parts_.metrics.config_refused.Increment();
    parts_.log.Error("config_refused", {{"revision", first.revision()}, {"reason", base::FromAbsl(status.message())}});
    answer(std::move(status));
    return;
  }
  parts_.metrics.config_applied.Increment();
  answer(parts_.listeners.Status());
  unsaved_ = true;
  if (!saving_) Flush();
}

absl::Status Configurator::ApplyChain(std::span<const config::v1::Unit> chain) {
  GATEPOST_ASSIGN_OR_RETURN(Resources next, Merge(resources_, chain));
  GATEPOST_ASSIGN_OR_RETURN(std::shared_ptr<const Snapshot> snapshot, parts_.compiler.Compile(next));
  resources_ = std::move(next);
  for (Worker* worker : parts_.workers) worker->Do([worker, snapshot] { worker->Adopt(snapshot); });
  parts_.listeners.Apply(*snapshot);
  parts_.metrics.config_revision.Set(static_cast<double>(resources_.revision));
  parts_.log.Info("config_applied", {{"epoch", resources_.epoch},
                                     {"revision", resources_.revision},
                                     {"virtual_servers", snapshot->virtual_servers.size()},
                                     {"listeners_failed", parts_.listeners.failed()}});
  ShowExpiry();
  parts_.on_applied(snapshot);
  UpdateMetrics();
  return absl::OkStatus();
}

void Configurator::ShowExpiry() {
  std::map<CertificateExpiry::Key, int64_t> served;
  for (const auto& [name, virtual_server] : resources_.virtual_servers) {
    for (const std::string& certificate : virtual_server->certificates()) {
      const config::v1::CertificateFacts& facts = resources_.certificates.at(certificate)->facts();
      const bool rsa = facts.key_type() == config::v1::Certificate::RSA;
      served[{std::string(rpc::IdOf(name)), rsa ? "rsa" : "ecdsa"}] = facts.not_after().seconds();
    }
  }
  parts_.expiry.Show(served);
}

void Configurator::Flush() {
  if (!unsaved_ || parts_.store == nullptr) return;
  unsaved_ = false;
  if (absl::Status status = parts_.store->Save(ToUnit(resources_)); !status.ok()) {
    parts_.metrics.snapshot_failures.Increment();
    parts_.log.Error("snapshot_not_written", {{"reason", base::FromAbsl(status.message())}});
  }
  SaveLater();
}

// Many changes in a row cost one write a second.
void Configurator::SaveLater() {
  saving_ = true;
  save_timer_.expires_after(std::chrono::seconds(1));
  save_timer_.async_wait([this](std::error_code error) {
    if (error) return;
    saving_ = false;
    Flush();
  });
}

void Configurator::OnConfirmed() {
  confirmed_ = parts_.clock.Now();
  confirmed_once_ = true;
  UpdateMetrics();
}

void Configurator::OnConnected(bool connected) {
  parts_.metrics.config_connected.Set(connected ? 1 : 0);
  if (connected) {
    parts_.log.Info("config_connected", {});
  } else {
    parts_.log.Warning("config_disconnected", {});
  }
}

void Configurator::UpdateMetrics() {
  const base::Duration age = parts_.clock.Now() - confirmed_;
  parts_.metrics.config_age.Set(std::chrono::duration<double>(age).count());
  parts_.metrics.config_stale.Set(age > limits::kStaleAfter || !confirmed_once_ ? 1 : 0);
  size_t open = 0;
  for (const config::v1::ListenerStatus& listener : parts_.listeners.Status()) {
    open += listener.state() == config::v1::ListenerStatus::OPEN ? 1 : 0;
  }
  parts_.metrics.listeners_open.Set(static_cast<double>(open));
  parts_.metrics.listeners_failed.Set(static_cast<double>(parts_.listeners.failed()));
}

}  // namespace gatepost::edge
