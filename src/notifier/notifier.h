// Sends alerts to Alertmanagers over their API v2.
//
//   Send(alerts) ── external labels, relabelling ──▶ one queue per Alertmanager ──▶ POST in batches
//
// Every Alertmanager has its own bounded queue and at most one request in flight, so that one that
// hangs delays no other. A batch that fails is counted and dropped: rules send again what is still
// true. Specification: parity/rules-alerting.md section 5.
//
// Threads: any. Send never blocks.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "config/config.h"
#include "discovery/manager.h"
#include "model/labels.h"
#include "util/status.h"

namespace narthex::notifier {

// An alert as Alertmanagers get it; times in Unix nanoseconds.
struct Alert {
  Labels labels;
  Labels annotations;
  int64_t starts_at_nanos = 0;
  int64_t ends_at_nanos = 0;
  std::string generator_url;
};

// [{"annotations":…,"endsAt":…,"startsAt":…,"generatorURL":…,"labels":…}, …]
std::string AlertsJson(const std::vector<Alert>& alerts);

struct PostRequest {
  std::string url;
  std::string body;  // JSON
  int64_t timeout_nanos = 0;
  // How to connect and who to be; the same pointer for all requests of a section.
  std::shared_ptr<const AlertmanagerConfig> section;
};
// Calls back once, from any thread. Ok: a 2xx answer.
using Post = std::function<void(PostRequest request, std::function<void(Status)> done)>;

struct NotifierOptions {
  size_t queue_capacity = 10'000;
  size_t batch_size = 256;
  bool drain_on_shutdown = true;
  // The longest that Stop waits for queues to drain.
  int64_t drain_timeout_nanos = 10'000'000'000;
};

// Of one Alertmanager, for /metrics.
struct AlertmanagerCounters {
  uint64_t sent = 0;
  uint64_t errors = 0;
  uint64_t dropped = 0;
  uint64_t queue_length = 0;
};

class Notifier {
 public:
  Notifier(NotifierOptions options, Post post);
  ~Notifier();

  // Takes over a configuration. Alertmanagers of an unchanged section keep their queues.
  void ApplyConfig(const AlertingConfig& config, const Labels& external_labels);
  // What discovery found; set names "config-<i>".
  void ApplyTargets(const TargetSets& sets);
  void Send(std::vector<Alert> alerts);

  struct Urls {
    std::vector<std::string> active;
    std::vector<std::string> dropped;
  };
  Urls Alertmanagers() const;
  std::map<std::string, AlertmanagerCounters> Counters() const;
  size_t queue_capacity() const { return options_.queue_capacity; }
  // How long each request that arrived took; called from the transport's thread.
  std::function<void(const std::string& url, double seconds)> observe_latency;
  // Told when an Alertmanager is gone, so that its metrics can go; must not call back.
  std::function<void(const std::string& url)> forget_alertmanager;

  // Drains the queues (or drops them), then sends no more.
  void Stop();

 private:
  class SendLoop;
  void Retire(SendLoop& loop);
  struct Section;

  const NotifierOptions options_;
  const Post post_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Section>> sections_;  // By position in the configuration.
  std::vector<RelabelConfig> relabel_configs_;
  Labels external_labels_;
  TargetSets targets_;  // The latest, for sections that come with a reload.
  bool stopped_ = false;
};

}  // namespace narthex::notifier
