#include "services/store/postgres_connection.h"

#include <poll.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <utility>

#include "services/base/status_macros.h"
#include "services/base/strings.h"

namespace gatepost::store {
namespace {

// Type numbers (pg_type.dat), which never change.
constexpr Oid kBytea = 17;
constexpr Oid kInt8 = 20;
constexpr Oid kByteaArray = 1'001;
constexpr int kBinary = 1;

// To set a connection up, after it is made.
constexpr std::chrono::seconds kSetupTime{2};

std::string_view WithoutEnd(const char* text) {
  std::string_view message(text == nullptr ? "" : text);
  while (message.ends_with('\n')) message.remove_suffix(1);
  return message;
}

absl::Status StatusOf(const PGresult* result) {
  const std::string_view state = WithoutEnd(PQresultErrorField(result, PG_DIAG_SQLSTATE));
  // The primary message alone: details may quote records.
  const std::string text = base::StrCat(
      "the database: ", WithoutEnd(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)), " (SQLSTATE ", state, ")");
  if (state == "40001" || state == "40P01") return absl::CancelledError(text);  // serialization failure, deadlock
  if (state == "25006") return absl::UnavailableError("the database is read-only now");
  if (state == "53100") return absl::ResourceExhaustedError(text);  // disk full
  // 08: the connection; 25P03: idle too long; 53: resources; 55P03: a lock held too long; 57: an operator, a time-out,
  // a server that starts or stops; 58: its system.
  for (const std::string_view prefix : {"08", "25P03", "53", "55P03", "57", "58"}) {
    if (state.starts_with(prefix)) return absl::UnavailableError(text);
  }
  if (state == "42501" || state == "3F000") return absl::FailedPreconditionError(text);  // no privilege, no schema
  return absl::InternalError(text);
}

Oid TypeOf(const PostgresParameter& parameter) {
  switch (parameter.kind()) {
    case PostgresParameter::Kind::kOctets:
      return kBytea;
    case PostgresParameter::Kind::kNumber:
      return kInt8;
    case PostgresParameter::Kind::kArray:
      return kByteaArray;
  }
  return InvalidOid;
}

// Big-endian.
void Put32(uint32_t value, char* octets) {
  for (size_t i = 4; i-- > 0; value >>= 8) octets[i] = static_cast<char>(value & 0xff);
}

void Append32(uint32_t value, std::string* text) {
  text->resize(text->size() + 4);
  Put32(value, text->data() + text->size() - 4);
}

// Where an array says how many elements it has.
constexpr size_t kCountOffset = 12;

}  // namespace

PostgresArray::PostgresArray() {
  // One dimension, no NULLs, the type, the count, the index of the first.
  for (const uint32_t field : {uint32_t{1}, uint32_t{0}, uint32_t{kBytea}, uint32_t{0}, uint32_t{1}})
    Append32(field, &encoded_);
}

void PostgresArray::Add(std::string_view octets) {
  Append32(static_cast<uint32_t>(octets.size()), &encoded_);
  encoded_ += octets;
  Put32(++count_, encoded_.data() + kCountOffset);
}

PostgresParameter::PostgresParameter(int64_t value) : kind_(Kind::kNumber) {
  uint64_t bits = static_cast<uint64_t>(value);
  for (size_t i = sizeof big_endian_; i-- > 0; bits >>= 8) big_endian_[i] = static_cast<char>(bits & 0xff);
}

int64_t PostgresRows::Int(int row, int column) const {
  const std::string octets = Octets(row, column);
  if (PQfformat(result_.get(), column) == kBinary) {
    uint64_t bits = 0;
    for (const char octet : octets) bits = bits << 8 | static_cast<unsigned char>(octet);
    return static_cast<int64_t>(bits);
  }
  int64_t value = 0;
  std::from_chars(octets.data(), octets.data() + octets.size(), value);
  return value;
}

std::string PostgresRows::Octets(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column), static_cast<size_t>(PQgetlength(result_.get(), row, column))};
}

int64_t PostgresRows::affected() const {
  const std::string_view text = PQcmdTuples(result_.get());
  int64_t rows = 0;
  std::from_chars(text.data(), text.data() + text.size(), rows);
  return rows;
}

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresConnection::Open(const PostgresTarget& target,
                                                                             const base::Clock& clock) {
  using Parameters = std::map<std::string, std::string>;
  GATEPOST_ASSIGN_OR_RETURN(const Parameters parameters, PostgresParameters(target));
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : parameters) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  std::unique_ptr<PostgresConnection> connection(
      new PostgresConnection(PQconnectdbParams(names.data(), values.data(), 0), clock));
  PGconn* raw = connection->connection_.get();
  if (raw == nullptr) return absl::ResourceExhaustedError("no memory for a connection");
  if (PQstatus(raw) != CONNECTION_OK)
    return absl::UnavailableError(base::ToAbsl(base::StrCat("the database: ", WithoutEnd(PQerrorMessage(raw)))));
  PQsetnonblocking(raw, 1);
  PQsetNoticeProcessor(raw, [](void*, const char*) {}, nullptr);
  // The server ends what its client has given up, before others wait long for its locks. A commit is acknowledged when
  // it is on disk, whatever the database's default.
  const std::string setup = base::StrCat(
      "SET search_path = ", target.schema,
      ", pg_catalog; SET statement_timeout = '5s'; SET lock_timeout = '2500ms';"
      "SET idle_in_transaction_session_timeout = '15s';"
      "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'");
  GATEPOST_RETURN_IF_ERROR(connection->RunAll(setup, clock.Now() + kSetupTime).status());
  return connection;
}

absl::Status PostgresConnection::Lost() {
  broken_ = true;
  return absl::UnavailableError(
      base::ToAbsl(base::StrCat("the database: ", WithoutEnd(PQerrorMessage(connection_.get())))));
}

absl::Status PostgresConnection::AwaitSocket(bool writing, base::MonotonicTime deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock_.Now()).count();
    pollfd socket{PQsocket(connection_.get()), static_cast<short>(writing ? POLLIN | POLLOUT : POLLIN), 0};
    const int ready = poll(&socket, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 60'000)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready > 0) break;
    broken_ = true;
    return absl::UnavailableError("the database did not answer in time");
  }
  return PQconsumeInput(connection_.get()) == 1 ? absl::OkStatus() : Lost();
}

absl::StatusOr<PostgresRows> PostgresConnection::Results(bool sent, base::MonotonicTime deadline) {
  PGconn* raw = connection_.get();
  if (!sent) return Lost();
  for (int flushed; (flushed = PQflush(raw)) != 0;) {
    if (flushed < 0) return Lost();
    GATEPOST_RETURN_IF_ERROR(AwaitSocket(true, deadline));
  }
  std::optional<PostgresRows> last;
  absl::Status status;
  while (true) {
    while (PQisBusy(raw) == 1) GATEPOST_RETURN_IF_ERROR(AwaitSocket(false, deadline));
    PGresult* result = PQgetResult(raw);
    if (result == nullptr) break;
    PostgresRows rows(result);
    const ExecStatusType outcome = PQresultStatus(result);
    if (outcome == PGRES_COMMAND_OK || outcome == PGRES_TUPLES_OK) {
      last = std::move(rows);
    } else if (status.ok()) {
      status = PQresultErrorField(result, PG_DIAG_SQLSTATE) != nullptr ? StatusOf(result) : Lost();
    }
  }
  if (PQstatus(raw) != CONNECTION_OK) broken_ = true;
  if (!status.ok()) return status;
  if (broken_ || !last) return Lost();
  return *std::move(last);
}

absl::StatusOr<PostgresRows> PostgresConnection::RunAll(const std::string& sql, base::MonotonicTime deadline) {
  return Results(PQsendQuery(connection_.get(), sql.c_str()) == 1, deadline);
}

absl::StatusOr<PostgresRows> PostgresConnection::Run(const char* sql, std::span<const PostgresParameter> parameters,
                                                     base::MonotonicTime deadline) {
  const int count = static_cast<int>(parameters.size());
  std::string& name = prepared_[sql];
  if (name.empty()) {
    // Another one at each try: it may have been prepared by a try that failed later.
    const std::string fresh = base::StrCat("s", ++names_given_);
    std::vector<Oid> types;
    for (const PostgresParameter& parameter : parameters) types.push_back(TypeOf(parameter));
    GATEPOST_RETURN_IF_ERROR(
        Results(PQsendPrepare(connection_.get(), fresh.c_str(), sql, count, types.data()) == 1, deadline).status());
    name = fresh;
  }
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const PostgresParameter& parameter : parameters) {
    // A null pointer would be NULL, not the empty value.
    values.push_back(parameter.octets().data() == nullptr ? "" : parameter.octets().data());
    lengths.push_back(static_cast<int>(parameter.octets().size()));
  }
  const std::vector<int> formats(parameters.size(), kBinary);
  return Results(PQsendQueryPrepared(connection_.get(), name.c_str(), count, values.data(), lengths.data(),
                                     formats.data(), kBinary) == 1,
                 deadline);
}

absl::StatusOr<std::optional<std::string>> PostgresConnection::AwaitNotification(base::Duration wait, int stop_fd) {
  const base::MonotonicTime deadline = clock_.Now() + wait;
  std::optional<std::string> payload;
  while (true) {
    while (PGnotify* notification = PQnotifies(connection_.get())) {
      payload = notification->extra;
      PQfreemem(notification);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock_.Now()).count();
    if (payload || left <= 0) return payload;
    pollfd sockets[] = {{PQsocket(connection_.get()), POLLIN, 0}, {stop_fd, POLLIN, 0}};
    const int ready = poll(sockets, 2, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0 || sockets[1].revents != 0) return payload;
    if (PQconsumeInput(connection_.get()) != 1) return Lost();
  }
}

bool PostgresConnection::Broken() {
  if (broken_) return true;
  // A server that ends says so first; only behind that lies the end of the stream.
  for (pollfd socket{PQsocket(connection_.get()), POLLIN, 0}; !broken_ && poll(&socket, 1, 0) > 0;) {
    if (PQconsumeInput(connection_.get()) != 1) broken_ = true;
    PQisBusy(connection_.get());
  }
  if (PQstatus(connection_.get()) != CONNECTION_OK) broken_ = true;
  return broken_;
}

}  // namespace gatepost::store
