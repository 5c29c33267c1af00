// The core of the Pushgateway: takes pushes one after the other, checks them against all that is
// stored, puts them on disk, and only then says that they are taken.
//
// One thread owns the groups. It works on all pushes that wait at once: applies each, writes and
// syncs their journal records together, publishes, answers. Pushes that could not be written are
// undone and refused.
//
// Threads: any. Specification: parity/pushgateway.md, sections 3 and 4.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "push/consistency.h"
#include "push/group.h"
#include "push/journal.h"
#include "util/file.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::push {

struct StoreOptions {
  std::string file;  // The state file; empty: memory only. The journal is `file` + ".journal".
  int64_t interval_nanos = 300 * kNanosPerSecond;  // Between state files, while there are changes.
  bool check = true;                               // Refuse what does not fit the rest.
  int64_t ttl_nanos = 0;                           // Age at which a group goes; 0: never.
  size_t group_series_max = 0;                     // 0: no limit.
  size_t series_max = 0;
  FileSystem* files = &FileSystem::Posix();
  Clock* clock = &Clock::System();
};

struct PushRequest {
  enum class Kind : uint8_t {
    kReplace,    // PUT: the group is what is pushed.
    kMerge,      // POST: families of the pushed names are replaced.
    kAggregate,  // Counters and histograms are added to what is there, others replaced.
    kDelete,
    kWipe,  // Every group.
  };
  Kind kind = Kind::kReplace;
  client::Labels labels;  // Sorted.
  std::vector<client::MetricFamily> families;
  std::optional<int64_t> ttl_nanos;  // Instead of the store's.
  // Called once, on the store's thread, when the push is durable or refused. A refusal because of
  // what was pushed is kInvalidInput (kLimitExceeded for the limits); kIo is a disk that failed.
  std::function<void(const Status&)> done;
};

class Store {
 public:
  static constexpr size_t kQueueMax = 1000;

  // Reads state file and journal. A state file that cannot be read is logged, moved aside and
  // forgotten, as upstream starts empty then. `own`: what the gateway exposes of itself.
  static Result<std::unique_ptr<Store>> Open(StoreOptions options,
                                             std::vector<client::MetricFamily> own);
  ~Store();

  // Blocks while kQueueMax requests wait.
  void Submit(PushRequest request);
  // `write queue is full` while kQueueMax requests wait.
  Status Healthy() const;
  Groups groups() const;
  size_t series_count() const { return series_count_.load(std::memory_order_relaxed); }

  // Works off the queue, writes the state file. No Submit() after it.
  Status Stop();

 private:
  struct Undo {
    std::string key;
    std::shared_ptr<const Group> before;  // Null: there was none.
  };
  struct Taken {
    std::function<void(const Status&)> done;
    Status verdict;
  };

  Store(StoreOptions options, std::vector<client::MetricFamily> own);
  Status Load();
  void Run();
  void Work(std::vector<PushRequest> batch);
  Status Apply(PushRequest* request, int64_t now_nanos);
  Status ApplyPush(PushRequest* request, client::Timestamp now);
  Status CheckLimits(const Group& group, size_t before) const;
  void RecordFailure(const client::Labels& labels, client::Timestamp now);
  void ExpireGroups(int64_t now_ms);
  // Replaces the group in the working copy and the index; null deletes.
  void Put(const std::string& key, std::shared_ptr<const Group> group);
  void UndoTo(size_t mark);
  void Publish();
  Status WriteState();

  const StoreOptions options_;
  const std::vector<client::MetricFamily> own_;

  // Of the store's thread.
  Groups working_;
  int64_t first_expiry_ms_ = INT64_MIN;  // No group expires before; MIN: not looked yet.
  ConsistencyIndex index_;
  std::vector<Undo> undo_;  // Changes since the last publication, oldest first.
  std::unique_ptr<Journal> journal_;
  bool changed_ = false;  // Since the last state file.
  int64_t last_state_nanos_ = 0;
  uint64_t state_bytes_ = 0;  // Of the last state file written.

  mutable std::shared_mutex published_mutex_;
  Groups published_;
  std::atomic<size_t> series_count_{0};

  mutable std::mutex queue_mutex_;
  std::condition_variable queue_not_empty_;
  std::condition_variable queue_not_full_;
  std::deque<PushRequest> queue_;
  bool stopping_ = false;
  Status stop_status_;
  std::thread thread_;
};

}  // namespace narthex::push
