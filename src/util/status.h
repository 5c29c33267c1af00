// Errors as values: Status (success or an error) and Result<T> (a value or an error).
//
// Shaped like std::expected, which needs C++23. A status that is ok is one null pointer, so the
// good path costs a test and no allocation. Messages are lower case, have no full stop, and each
// level adds only what it alone knows. Texts that tools compare keep upstream's words.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace narthex {

// Coarse classes of failure. The first group maps onto the HTTP API's `errorType`.
enum class ErrorCode : uint8_t {
  kInvalidInput,   // bad_data: what the user sent cannot be understood
  kExecution,      // execution: a query that is well formed could not be evaluated
  kCanceled,       // canceled
  kTimeout,        // timeout
  kInternal,       // internal
  kNotFound,       // not_found
  kUnavailable,    // unavailable: not ready, or switched off
  kLimitExceeded,  // a stated bound was reached
  kIo,             // the operating system refused
  kCorruption,     // data on disk is not what was written
  kUnsupported,    // known to upstream, not to us yet
  // Verdicts of the storage on one sample; scrape counts each kind.
  kOutOfOrderSample,
  kOutOfBounds,
  kTooOldSample,
  kDuplicateSample,
  kOutOfOrderExemplar,
  kDuplicateExemplar,
  kExemplarsDisabled,
};

std::string_view ErrorCodeName(ErrorCode code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // Success.
  Status(ErrorCode code, std::string message)
      : error_(std::make_unique<Error>(Error{code, std::move(message)})) {}

  Status(const Status& other) : error_(other.error_ ? new Error(*other.error_) : nullptr) {}
  Status& operator=(const Status& other) {
    if (this != &other) error_.reset(other.error_ ? new Error(*other.error_) : nullptr);
    return *this;
  }
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;

  bool ok() const { return error_ == nullptr; }
  // Only on a status that is not ok.
  ErrorCode code() const { return error_->code; }
  // Empty when ok.
  const std::string& message() const;
  // The same error with `prefix` in front of its message; ok stays ok.
  Status WithPrefix(std::string_view prefix) const;

  friend bool operator==(const Status& a, const Status& b) {
    if (a.ok() || b.ok()) return a.ok() == b.ok();
    return a.code() == b.code() && a.message() == b.message();
  }

 private:
  struct Error {
    ErrorCode code;
    std::string message;
  };
  std::unique_ptr<Error> error_;
};

template <typename... Args>
Status MakeError(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Status(code, fmt::format(format, std::forward<Args>(args)...));
}

template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {}  // NOLINT: implicit by design
  template <typename U>
    requires(std::is_convertible_v<U &&, T> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
             !std::is_same_v<std::remove_cvref_t<U>, Status> &&
             !std::is_same_v<std::remove_cvref_t<U>, T>)
  Result(U&& value) : value_(std::forward<U>(value)) {}  // NOLINT: implicit by design

  bool ok() const { return value_.has_value(); }
  const Status& status() const& { return status_; }
  Status status() && { return std::move(status_); }

  // Only on a result that is ok.
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return *std::move(value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  template <typename U>
  T value_or(U&& fallback) const& {
    return ok() ? *value_ : static_cast<T>(std::forward<U>(fallback));
  }

  friend bool operator==(const Result& a, const Result& b) {
    return a.value_ == b.value_ && a.status_ == b.status_;
  }

 private:
  std::optional<T> value_;
  Status status_;
};

#define NARTHEX_CONCAT_INNER(a, b) a##b
#define NARTHEX_CONCAT(a, b) NARTHEX_CONCAT_INNER(a, b)

// NARTHEX_TRY(declaration, expression): declares a variable from a Result, or returns its error.
#define NARTHEX_TRY(declaration, ...) \
  NARTHEX_TRY_INNER(NARTHEX_CONCAT(narthex_result_, __COUNTER__), declaration, __VA_ARGS__)
#define NARTHEX_TRY_INNER(result, declaration, ...)    \
  auto result = (__VA_ARGS__);                         \
  if (!result.ok()) return std::move(result).status(); \
  declaration = *std::move(result)

// Returns the error of a Status expression; goes on when it is ok.
#define NARTHEX_RETURN_IF_ERROR(...)                                              \
  do {                                                                            \
    if (::narthex::Status narthex_status_ = (__VA_ARGS__); !narthex_status_.ok()) \
      return narthex_status_;                                                     \
  } while (false)

}  // namespace narthex
