#include "tsdb/head/isolation.h"

#include <algorithm>

namespace narthex::tsdb {

uint64_t Isolation::LowLocked() const {
  uint64_t low = running_.empty() ? last_id_ + 1 : running_.front();
  if (!readers_.empty()) low = std::min(low, readers_.front().low_watermark);
  return low;
}

Isolation::Commit Isolation::BeginCommit() {
  const std::lock_guard lock(mutex_);
  ++last_id_;
  if (static_cast<uint32_t>(last_id_) == 0) ++last_id_;
  running_.push_back(last_id_);
  return {last_id_, LowLocked()};
}

void Isolation::EndCommit(uint64_t id) {
  const std::lock_guard lock(mutex_);
  running_.erase(std::lower_bound(running_.begin(), running_.end(), id));
}

Isolation::Snapshot* Isolation::OpenReader(TimeRange range) {
  const std::lock_guard lock(mutex_);
  Snapshot& snapshot = readers_.emplace_back();
  snapshot.newest = last_id_;
  snapshot.low_watermark = running_.empty() ? last_id_ + 1 : running_.front();
  for (const uint64_t id : running_) snapshot.incomplete.push_back(static_cast<uint32_t>(id));
  snapshot.range = range;
  snapshot.number = next_reader_++;
  return &snapshot;
}

void Isolation::CloseReader(Snapshot* snapshot) {
  const std::lock_guard lock(mutex_);
  readers_.remove_if([&](const Snapshot& reader) { return &reader == snapshot; });
}

void Isolation::NarrowReader(Snapshot* snapshot, TimeRange range) {
  const std::lock_guard lock(mutex_);
  snapshot->range = range;
}

bool Isolation::HasReaderBelow(int64_t time_ms) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(readers_.begin(), readers_.end(), [&](const Snapshot& reader) {
    return !reader.expired && reader.range.start_ms < time_ms;
  });
}

template <typename Wanted>
size_t Isolation::Expire(Wanted&& wanted) {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (Snapshot& reader : readers_) {
    if (reader.expired || !wanted(reader)) continue;
    reader.expired = true;
    ++count;
  }
  return count;
}

size_t Isolation::ExpireReadersBelow(int64_t time_ms) {
  return Expire([&](const Snapshot& reader) { return reader.range.start_ms < time_ms; });
}

size_t Isolation::ExpireReadersBefore(uint64_t number) {
  return Expire([&](const Snapshot& reader) { return reader.number < number; });
}

uint64_t Isolation::NextReader() const {
  const std::lock_guard lock(mutex_);
  return next_reader_;
}

bool Isolation::HasReaderBefore(uint64_t number) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(readers_.begin(), readers_.end(), [&](const Snapshot& reader) {
    return !reader.expired && reader.number < number;
  });
}

uint64_t Isolation::low_watermark() const {
  const std::lock_guard lock(mutex_);
  return LowLocked();
}

uint64_t Isolation::high_watermark() const {
  const std::lock_guard lock(mutex_);
  return last_id_;
}

}  // namespace narthex::tsdb
