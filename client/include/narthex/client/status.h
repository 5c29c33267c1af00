// Errors as values: Status (success or an error) and Result<T> (a value or an error).
//
// The library throws nothing of its own. Functions that can fail because of what a caller passed in
// return one of these; constructors that declare metrics abort instead, because a wrong declaration
// is a bug in the program (see registry.h for the variants that return the error).
//
// Threads: plain values.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace narthex::client {

enum class StatusCode : unsigned char {
  kOk,
  kInvalid,            // A name, label, option or value breaks a rule.
  kAlreadyRegistered,  // The registry has an equal collector.
  kInconsistent,       // The registry has the name with other labels, help or type.
  kIo,                 // The operating system refused.
};

class [[nodiscard]] Status {
 public:
  Status() = default;  // Success.
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const noexcept { return code_ == StatusCode::kOk; }
  StatusCode code() const noexcept { return code_; }
  // Empty when ok.
  const std::string& message() const noexcept { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {}  // NOLINT: implicit by design

  bool ok() const noexcept { return value_.has_value(); }
  const Status& status() const noexcept { return status_; }
  // Only on a result that is ok.
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace narthex::client
