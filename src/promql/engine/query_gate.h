// Bounds the queries that run at once, and keeps the running ones in a file, so that after a crash
// the log tells which queries ran (`queries.active`, parity/storage.md section 14).
//
//   byte 0   '['
//   slot i   1 + 1000 i: {"query":"…","timestamp_sec":N} NUL …, its last byte ','
//
// Threads: any. Enter blocks while all slots are taken.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "util/status.h"

namespace narthex::promql {

class QueryGate {
 public:
  // Without a file.
  explicit QueryGate(size_t slots);
  // With `folder`/queries.active; queries left there by a run that ended badly are logged.
  static Result<std::unique_ptr<QueryGate>> Open(const std::string& folder, size_t slots);
  ~QueryGate();
  QueryGate(const QueryGate&) = delete;
  QueryGate& operator=(const QueryGate&) = delete;

  // Gives the slot to hand to Leave. Fails with kCanceled or kTimeout (`deadline_ns` of
  // MonotonicNanos()).
  Result<size_t> Enter(std::string_view query, std::stop_token stop, int64_t deadline_ns);
  void Leave(size_t slot);

  size_t slots() const { return slots_; }

 private:
  void Write(size_t slot, std::string_view query);

  const size_t slots_;
  std::mutex mutex_;
  std::condition_variable_any freed_;
  std::vector<size_t> free_;  // Guarded by mutex_; a stack, so that few slots stay in use.
  // Each slot is written by whoever holds it.
  char* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
};

}  // namespace narthex::promql
