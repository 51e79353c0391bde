// One connection to a PostgreSQL server, over libpq, with a deadline on every statement; used by one thread at a time.
// Private to postgres_store.
//
// libpq itself and not a wrapper: its asynchronous calls are what lets a statement end when its deadline passes, also
// when the server is stopped and the kernel still answers for it. After a deadline, or whatever else leaves the wire in
// the middle of something, the connection is broken: it is closed, and another one opened.
#pragma once

#include <postgresql/libpq-fe.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/clock.h"
#include "services/store/postgres_target.h"

namespace gatepost::store {

// A bytea[], in the server's binary form (array_recv). Sent only with something in it.
class PostgresArray {
 public:
  PostgresArray();
  void Add(std::string_view octets);
  bool empty() const { return count_ == 0; }
  std::string_view encoded() const { return encoded_; }

 private:
  std::string encoded_;
  uint32_t count_ = 0;
};

// A parameter of a statement: octets, a number, or an array, which outlives it.
class PostgresParameter {
 public:
  enum class Kind { kOctets, kNumber, kArray };

  PostgresParameter(std::string_view octets) : octets_(octets), kind_(Kind::kOctets) {}
  PostgresParameter(const std::string& octets) : PostgresParameter(std::string_view(octets)) {}
  PostgresParameter(const PostgresArray& array) : octets_(array.encoded()), kind_(Kind::kArray) {}
  PostgresParameter(int64_t value);
  std::string_view octets() const {
    return kind_ == Kind::kNumber ? std::string_view(big_endian_, sizeof big_endian_) : octets_;
  }
  Kind kind() const { return kind_; }

 private:
  std::string_view octets_;
  char big_endian_[8] = {};
  Kind kind_;
};

// What a statement gave.
class PostgresRows {
 public:
  explicit PostgresRows(PGresult* result) : result_(result, &PQclear) {}
  int size() const { return PQntuples(result_.get()); }
  int64_t Int(int row, int column) const;
  std::string Octets(int row, int column) const;
  int64_t affected() const;

 private:
  std::unique_ptr<PGresult, decltype(&PQclear)> result_;
};

class PostgresConnection {
 public:
  // Connects, at most two seconds for each host of the URI, and sets what every connection needs. UNAVAILABLE: not now;
  // FAILED_PRECONDITION: the URI, the password file, or the schema cannot be right. No error says the password.
  static absl::StatusOr<std::unique_ptr<PostgresConnection>> Open(const PostgresTarget& target,
                                                                  const base::Clock& clock);
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  // One statement, prepared at its first use; `sql` lives as long as the program. UNAVAILABLE: the server is gone,
  // read-only, too busy, or late; RESOURCE_EXHAUSTED: its disk is full; CANCELLED: in conflict with another
  // transaction, to be tried again; FAILED_PRECONDITION: no privilege; else INTERNAL, by SQLSTATE.
  absl::StatusOr<PostgresRows> Run(const char* sql, std::span<const PostgresParameter> parameters,
                                   base::MonotonicTime deadline);
  // Statements without parameters, by `;`; what the last one gave.
  absl::StatusOr<PostgresRows> RunAll(const std::string& sql, base::MonotonicTime deadline);

  // What NOTIFY brought to a connection that listens, its latest payload; nothing: `wait` has passed, or `stop_fd` is
  // readable.
  absl::StatusOr<std::optional<std::string>> AwaitNotification(base::Duration wait, int stop_fd);

  // Not to be used any more. Whoever takes an idle connection asks: it looks at what the server said meanwhile.
  bool Broken();
  // In the middle of a transaction.
  bool in_transaction() const { return PQtransactionStatus(connection_.get()) != PQTRANS_IDLE; }

 private:
  PostgresConnection(PGconn* connection, const base::Clock& clock)
      : connection_(connection, &PQfinish), clock_(clock) {}

  absl::StatusOr<PostgresRows> Results(bool sent, base::MonotonicTime deadline);
  // Until the server has something to say or, if `writing`, the socket takes more.
  absl::Status AwaitSocket(bool writing, base::MonotonicTime deadline);
  absl::Status Lost();

  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
  const base::Clock& clock_;
  std::map<const char*, std::string> prepared_;  // The names of statements.
  int names_given_ = 0;
  bool broken_ = false;
};

}  // namespace gatepost::store
