// The scraper of a server: one pool a job, fed with discovered targets.
//
//   ScrapeManager manager(environment, options);
//   manager.ApplyConfig(ResolveScrapeConfigs(config), external_labels);   // at start, each reload
//   manager.UpdateTargets(sets);                                          // from discovery
//   manager.Stop();                                                       // before the environment
//   goes
//
// Threads: any. UpdateTargets returns at once; the work is done on the shared pool.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/manager.h"
#include "scrape/runtime.h"
#include "scrape/scrape_pool.h"

namespace narthex::scrape {

class ScrapeManager {
 public:
  ScrapeManager(ScrapeEnvironment environment, ScrapeOptions options);
  ~ScrapeManager();
  ScrapeManager(const ScrapeManager&) = delete;
  ScrapeManager& operator=(const ScrapeManager&) = delete;

  // Pools of jobs that are gone end. `failed to apply the new configuration` when a pool could
  // not; it then goes on as it was.
  Status ApplyConfig(std::vector<ScrapeConfig> configs, const Labels& external_labels);
  void UpdateTargets(TargetSets sets);
  // Cancels fetches and waits for what is being stored. Series of targets stay without markers:
  // the server will be back. Idempotent.
  void Stop();

  // Names of the pools, sorted.
  std::vector<std::string> pool_names() const;
  // Null when there is none.
  std::shared_ptr<const ScrapePool> pool(std::string_view name) const;
  std::map<std::string, std::shared_ptr<const ScrapePool>> pools() const;
  const ScrapeMetrics& metrics() const { return runtime_->metrics; }
  // Waits until no target update is left to do.
  void WaitForUpdatesForTest();

 private:
  void ScheduleSync();
  void SyncPools();

  const std::shared_ptr<ScrapeRuntime> runtime_;
  std::mutex sync_mutex_;  // Held while pools are changed; taken before mutex_.
  mutable std::mutex mutex_;
  uint64_t offset_seed_ = 0;
  std::map<std::string, std::shared_ptr<const ScrapeConfig>, std::less<>> configs_;
  std::map<std::string, std::shared_ptr<ScrapePool>, std::less<>> pools_;
  std::map<std::string, std::shared_ptr<FailureLog>> failure_logs_;
  TargetSets sets_;
  bool sync_pending_ = false;
  std::condition_variable synced_;
};

}  // namespace narthex::scrape
