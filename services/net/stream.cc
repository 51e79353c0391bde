#include "services/net/stream.h"

#include <string>

namespace gatepost::net {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "gatepost.stream"; }
  std::string message(int value) const override {
    switch (static_cast<StreamError>(value)) {
      case StreamError::kTruncated:
        return "TLS ended without close_notify";
      case StreamError::kTls:
        return "TLS protocol error";
      case StreamError::kVerification:
        return "certificate not verified";
    }
    return "unknown";
  }
};

}  // namespace

const std::error_category& StreamCategory() {
  static const Category category;
  return category;
}

}  // namespace gatepost::net
