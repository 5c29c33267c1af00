#include "util/status.h"

namespace narthex {

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidInput: return "bad_data";
    case ErrorCode::kExecution: return "execution";
    case ErrorCode::kCanceled: return "canceled";
    case ErrorCode::kTimeout: return "timeout";
    case ErrorCode::kNotFound: return "not_found";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kLimitExceeded: return "cost_limit";
    default: return "internal";
  }
}

const std::string& Status::message() const {
  static const std::string empty;
  return error_ ? error_->message : empty;
}

Status Status::WithPrefix(std::string_view prefix) const {
  if (ok()) return {};
  return Status(code(), std::string(prefix) + message());
}

}  // namespace narthex
