// Passing absl::Status on.
//   GATEPOST_RETURN_IF_ERROR(expression);            returns the status from this function unless it is OK
//   GATEPOST_ASSIGN_OR_RETURN(auto x, expression);   x = the value of a StatusOr, or returns its status
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <utility>

#define GATEPOST_RETURN_IF_ERROR(expression)                                    \
  do {                                                                          \
    if (::absl::Status gatepost_status = (expression); !gatepost_status.ok()) { \
      return gatepost_status;                                                   \
    }                                                                           \
  } while (false)

#define GATEPOST_STATUS_CONCAT_(a, b) a##b
#define GATEPOST_STATUS_CONCAT(a, b) GATEPOST_STATUS_CONCAT_(a, b)
#define GATEPOST_ASSIGN_OR_RETURN(target, expression) \
  GATEPOST_ASSIGN_OR_RETURN_(GATEPOST_STATUS_CONCAT(gatepost_value_, __LINE__), target, expression)
#define GATEPOST_ASSIGN_OR_RETURN_(value, target, expression) \
  auto value = (expression);                                  \
  if (!value.ok()) return std::move(value).status();          \
  target = *std::move(value)
