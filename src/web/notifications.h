// Messages for whoever looks at the UI: "Configuration reload has failed." and the like, as a list
// and as a live stream (parity/api.md section 8).
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "util/time.h"
#include "web/api_sources.h"

namespace narthex::web {

inline constexpr std::string_view kReloadFailedText = "Configuration reload has failed.";
inline constexpr std::string_view kStartingText =
    "Prometheus is starting and replaying the write-ahead log (WAL).";
inline constexpr std::string_view kStoppingText =
    "Prometheus is shutting down and gracefully stopping all operations.";

class Notifications {
 public:
  explicit Notifications(size_t subscribers_max = 16, Clock& clock = Clock::System())
      : subscribers_max_(subscribers_max), clock_(clock) {}

  // Adding a text that is active already does nothing.
  void Add(std::string_view text);
  void Remove(std::string_view text);
  std::vector<Notification> Active() const;

  // `listener` gets what is active now, then every change, until Unsubscribe; it must not block or
  // call back. 0: too many subscribers.
  using SubscriberId = uint64_t;
  SubscriberId Subscribe(std::function<void(const Notification&)> listener);
  void Unsubscribe(SubscriberId id);
  // Subscribers that there were too many of, and messages sent.
  uint64_t refused_subscribers() const;
  size_t subscriber_count() const;
  // What listeners did with a message: passed on, or lost since the client does not read.
  void CountUpdate(bool sent) { (sent ? sent_ : dropped_).fetch_add(1, std::memory_order_relaxed); }
  uint64_t updates_sent() const { return sent_.load(std::memory_order_relaxed); }
  uint64_t updates_dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  void Publish(const Notification& notification);

  const size_t subscribers_max_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::vector<Notification> active_;
  std::map<SubscriberId, std::function<void(const Notification&)>> subscribers_;
  SubscriberId last_id_ = 0;
  uint64_t refused_ = 0;
  std::atomic<uint64_t> sent_{0};
  std::atomic<uint64_t> dropped_{0};
};

// {"text":…,"date":…,"active":…}
std::string NotificationJson(const Notification& notification);

}  // namespace narthex::web
