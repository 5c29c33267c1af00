// Coroutines of the discovery loop: what a mechanism does in several steps (ask, wait, ask again)
// written as one function.
//
//   Async<Result<std::string>> Owner::FirstName() {
//     NARTHEX_CO_TRY(const FetchResponse list, co_await api_.Get("/v1/things"));
//     …
//   }
//
// An Async starts when it is awaited or by Start(), runs on the loop only, and owns its frame:
// destroying it at a suspension point drops the frame, whatever it holds, and cancels the request
// or timer it waits for. So a mechanism keeps its Async as a member, and Stop() resets it; nothing
// runs afterwards and no weak pointers are needed.
//
// Cost: one allocation a call. Threads: the loop's alone.
#pragma once

#include <algorithm>
#include <coroutine>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "discovery/task_loop.h"
#include "util/status.h"

namespace narthex {

// Of coroutines that give nothing.
using Unit = std::monostate;

template <typename T>
class [[nodiscard]] Async {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  // Goes on with whoever awaits, or tells the starter. Either may destroy this frame.
  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(Handle handle) const noexcept {
      promise_type& promise = handle.promise();
      if (promise.continuation) return promise.continuation;
      if (promise.done) {
        const std::function<void(T)> done = std::move(promise.done);
        T value = *std::move(promise.value);
        done(std::move(value));
      }
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };

  struct promise_type {
    std::optional<T> value;
    std::coroutine_handle<> continuation;
    std::function<void(T)> done;

    Async get_return_object() { return Async(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    FinalAwaiter final_suspend() const noexcept { return {}; }
    template <typename U>
    void return_value(U&& given) {
      value.emplace(std::forward<U>(given));
    }
    // Our code does not throw; what escapes (out of memory) is the end.
    void unhandled_exception() const { std::abort(); }
  };

  Async() = default;
  Async(Async&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Async& operator=(Async&& other) noexcept {
    if (this != &other) {
      Reset();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Async() { Reset(); }

  // Drops the frame. Not from inside of it.
  void Reset() {
    if (handle_) std::exchange(handle_, nullptr).destroy();
  }
  // Runs up to the first suspension. `done` is called at the end and may destroy this object.
  void Start(std::function<void(T)> done) {
    handle_.promise().done = std::move(done);
    handle_.resume();
  }

  struct Awaiter {
    Handle handle;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
      handle.promise().continuation = awaiting;
      return handle;
    }
    T await_resume() const { return *std::move(handle.promise().value); }
  };
  Awaiter operator co_await() const { return {handle_}; }

 private:
  explicit Async(Handle handle) : handle_(handle) {}
  Handle handle_;
};

// co_await SleepOn(loop, nanos).
class SleepOn {
 public:
  SleepOn(TaskLoop& loop, int64_t nanos) : loop_(loop), nanos_(nanos) {}
  SleepOn(const SleepOn&) = delete;
  SleepOn& operator=(const SleepOn&) = delete;
  ~SleepOn() {
    if (timer_ != 0) loop_.Cancel(timer_);
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    timer_ = loop_.PostAfter(nanos_, [this, handle] {
      timer_ = 0;
      handle.resume();
    });
  }
  void await_resume() const noexcept {}

 private:
  TaskLoop& loop_;
  const int64_t nanos_;
  TaskLoop::TimerId timer_ = 0;
};

// Runs all of them, at most `width` at a time, and gives their values in order:
// co_await AllOf<T>(std::move(parts), width).
template <typename T>
class AllOf {
 public:
  AllOf(std::vector<Async<T>> parts, size_t width)
      : parts_(std::move(parts)), values_(parts_.size()), width_(std::max<size_t>(width, 1)) {}
  AllOf(const AllOf&) = delete;
  AllOf& operator=(const AllOf&) = delete;

  bool await_ready() const noexcept { return parts_.empty(); }
  bool await_suspend(std::coroutine_handle<> handle) {
    Pump();
    if (finished_ == parts_.size()) return false;
    waiting_ = handle;
    return true;
  }
  std::vector<T> await_resume() {
    std::vector<T> values;
    values.reserve(values_.size());
    for (std::optional<T>& value : values_) values.push_back(*std::move(value));
    return values;
  }

 private:
  void Pump() {
    if (pumping_) return;  // A part that ended straight away; the caller below goes on.
    pumping_ = true;
    while (started_ < parts_.size() && started_ - finished_ < width_) {
      const size_t index = started_++;
      parts_[index].Start([this, index](T value) {
        values_[index].emplace(std::move(value));
        ++finished_;
        Pump();
      });
    }
    pumping_ = false;
    // Last, because it may destroy this object.
    if (finished_ == parts_.size() && waiting_) std::exchange(waiting_, nullptr).resume();
  }

  std::vector<Async<T>> parts_;
  std::vector<std::optional<T>> values_;
  const size_t width_;
  size_t started_ = 0;
  size_t finished_ = 0;
  bool pumping_ = false;
  std::coroutine_handle<> waiting_;
};

}  // namespace narthex

// Returns the error of a Status from a coroutine.
#define NARTHEX_CO_RETURN_IF_ERROR(...)                                           \
  do {                                                                            \
    if (::narthex::Status narthex_status = (__VA_ARGS__); !narthex_status.ok()) { \
      co_return narthex_status;                                                   \
    }                                                                             \
  } while (false)

// NARTHEX_TRY and NARTHEX_RETURN_IF_ERROR for coroutines.
#define NARTHEX_CO_TRY(declaration, ...) \
  NARTHEX_CO_TRY_INNER(NARTHEX_CONCAT(narthex_result_, __COUNTER__), declaration, __VA_ARGS__)
#define NARTHEX_CO_TRY_INNER(result, declaration, ...)    \
  auto result = __VA_ARGS__;                              \
  if (!result.ok()) co_return std::move(result).status(); \
  declaration = *std::move(result)
