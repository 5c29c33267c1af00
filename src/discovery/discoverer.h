// What a discovery mechanism is, and what it gets from its surroundings.
//
// A Discoverer watches one `*_sd_configs` entry and reports target groups through its sink. All its
// work happens on the TaskLoop of its environment (see task_loop.h), so it needs no locks.
// README.md says how to add a mechanism.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/sd_config.h"
#include "discovery/sd_metrics.h"
#include "discovery/target_group.h"
#include "discovery/task_loop.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex {

class DnsResolver;
class HttpFetcher;

// Groups that changed: each replaces the one with the same source; a group without targets removes
// it. Groups that are not mentioned stay as they are. Called on the loop.
using TargetGroupSink = std::function<void(std::vector<TargetGroupPtr> groups)>;

struct DiscoveryEnvironment {
  TaskLoop* loop = nullptr;
  FileSystem* files = &FileSystem::Posix();
  HttpFetcher* http = nullptr;  // Null: mechanisms that need it cannot be made.
  DnsResolver* dns = nullptr;   // Likewise.
  SdMetrics* metrics = nullptr;
  std::string user_agent;  // "Prometheus/3.16.0" or whatever the program says of itself.
  // Refresh intervals are shortened by up to this part of them, at random, so that a thousand
  // entries with the same interval do not ask at the same instant for ever. 0: exact.
  double refresh_jitter = 0;
};

class Discoverer {
 public:
  virtual ~Discoverer() = default;
  // Both on the loop. After Stop() the sink is not called any more, whatever is still under way.
  virtual void Start(TargetGroupSink sink) = 0;
  virtual void Stop() = 0;
};

// Makes the discoverer of one entry. `set_name` is the job (or "config-<n>") for metrics and logs.
using DiscovererFactory = std::function<Result<std::unique_ptr<Discoverer>>(
    const SdConfig& config, const std::string& set_name, DiscoveryEnvironment& environment)>;

// The mechanisms that this program has. Filled once, by RegisterBuiltinMechanisms(registry) in
// mechanisms/mechanisms.h; tests add their own.
class DiscoveryRegistry {
 public:
  void Register(std::string mechanism, DiscovererFactory factory);
  // Error kUnsupported: `<mechanism> service discovery is not supported yet`.
  Result<std::unique_ptr<Discoverer>> Create(const SdConfig& config, const std::string& set_name,
                                             DiscoveryEnvironment& environment) const;
  bool Has(std::string_view mechanism) const;
  std::vector<std::string> names() const;  // Sorted.

 private:
  std::vector<std::pair<std::string, DiscovererFactory>> factories_;
};

// The frame of mechanisms that ask everything anew every refresh interval: calls Refresh() at start
// and then on every (jittered) tick, drops answers that come after Stop(), keeps the last groups on
// errors, and counts.
class RefreshDiscoverer : public Discoverer {
 public:
  // The outcome of one refresh. Groups that are not in it stay as they are.
  using Done = std::function<void(Result<std::vector<TargetGroup>>)>;

  RefreshDiscoverer(std::string mechanism, std::string set_name, int64_t interval_nanos,
                    DiscoveryEnvironment& environment);
  ~RefreshDiscoverer() override;
  void Start(TargetGroupSink sink) final;
  void Stop() final;

 protected:
  // Starts one refresh; calls `done` once, from any thread, also straight away. At most one refresh
  // is under way: a tick that meets a running one is skipped.
  virtual void Refresh(Done done) = 0;
  // A last look at the groups of a refresh that went well, on the loop.
  virtual void BeforePublish(std::vector<TargetGroup>&) {}
  // Drops what is under way.
  virtual void OnStop() {}
  DiscoveryEnvironment& environment() { return environment_; }

 private:
  struct Shared;
  int64_t NextDelayNanos() const;
  void Tick();
  void Finish(Result<std::vector<TargetGroup>> outcome);

  const std::string mechanism_;
  const std::string set_name_;
  const int64_t interval_nanos_;
  DiscoveryEnvironment& environment_;
  TargetGroupSink sink_;
  std::shared_ptr<Shared> shared_;  // Outlives us in answers that are still under way.
  TaskLoop::TimerId timer_ = 0;
  int64_t started_nanos_ = 0;
  bool refreshing_ = false;
};

}  // namespace narthex
