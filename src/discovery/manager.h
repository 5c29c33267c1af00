// The discovery manager: turns sets of `*_sd_configs` (one set a scrape pool or alertmanager entry)
// into one map from set to target groups, kept up to date.
//
//   set "node"   ─┬─ file #0 ─┐
//   set "blackbox"┘           ├─ groups by (provider, source) ─▶ batch ─▶ on_update({set: groups})
//   set "api" ────── http #1 ─┘
//
// Sets whose entry is the same configuration share one provider. Providers and their groups survive
// ApplyConfig when their entry does. Updates are gathered and handed on at most once every
// `update_interval` (upstream's scrape manager: 5 s), the first one at once. A failing mechanism
// keeps its last groups.
//
// Threads: Start, ApplyConfig, Stop from any one thread at a time; on_update is called on the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/sd_config.h"
#include "discovery/discoverer.h"

namespace narthex {

// By set name; the groups of a set in the order of their providers, then of their sources.
using TargetSets = std::map<std::string, std::vector<TargetGroupPtr>>;

struct DiscoveryManagerOptions {
  std::string name;  // "scrape" or "notify": the label `name` of the metrics.
  int64_t update_interval_nanos = 5 * kNanosPerSecond;
};

class DiscoveryManager {
 public:
  using SetConfigs = std::map<std::string, std::vector<SdConfig>>;
  using OnUpdate = std::function<void(const TargetSets& sets)>;

  // `registry` and what `environment` points at outlive the manager.
  DiscoveryManager(DiscoveryManagerOptions options, const DiscoveryRegistry& registry,
                   DiscoveryEnvironment environment, OnUpdate on_update);
  ~DiscoveryManager();

  // Replaces the sets. Entries that cannot be made are logged and counted, the others go on.
  void ApplyConfig(SetConfigs sets);
  // Stops all providers; nothing is called any more after it returns (on a loop with a thread of
  // its own, call it from elsewhere).
  void Stop();

 private:
  struct State;
  std::shared_ptr<State> state_;  // Shared with tasks of the loop.
};

// The sets of a configuration: job name → its entries; "config-<i>" → those of alertmanagers[i].
DiscoveryManager::SetConfigs ScrapeDiscoverySets(const std::vector<ScrapeConfig>& configs);
DiscoveryManager::SetConfigs AlertmanagerDiscoverySets(const AlertingConfig& config);

}  // namespace narthex
