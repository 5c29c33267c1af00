// Waits in a coroutine for a function that calls back, from whatever thread:
//
//   NARTHEX_CO_TRY(const T value, co_await AwaitCallback<Result<T>>(loop, [&](auto done) {
//     provider.Get(std::move(done));
//   }));
//
// A call back that comes when nobody waits any more is dropped.
#pragma once

#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "discovery/task_loop.h"

namespace narthex {

template <typename T>
class AwaitCallback {
 public:
  using Done = std::function<void(T)>;

  AwaitCallback(TaskLoop& loop, std::function<void(Done)> begin)
      : loop_(loop), begin_(std::move(begin)), shared_(std::make_shared<Shared>()) {}
  AwaitCallback(const AwaitCallback&) = delete;
  AwaitCallback& operator=(const AwaitCallback&) = delete;
  ~AwaitCallback() { shared_->waiting = nullptr; }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    shared_->waiting = handle;
    begin_([shared = shared_, loop = &loop_](T value) {
      auto carried = std::make_shared<T>(std::move(value));
      loop->Post([shared, carried] {
        if (!shared->waiting) return;
        shared->value.emplace(std::move(*carried));
        std::exchange(shared->waiting, nullptr).resume();
      });
    });
  }
  T await_resume() { return *std::move(shared_->value); }

 private:
  struct Shared {  // On the loop only.
    std::coroutine_handle<> waiting;
    std::optional<T> value;
  };
  TaskLoop& loop_;
  std::function<void(Done)> begin_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace narthex
