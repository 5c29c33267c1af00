// The targets of one job and their loops.
//
// Sync turns discovered groups into targets: relabelled, deduplicated by labels and URL, within the
// target limit. Targets that stay keep their loop with its health and caches.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "scrape/runtime.h"
#include "scrape/scrape_loop.h"

namespace narthex::scrape {

class ScrapePool {
 public:
  // Errors: `error creating HTTP client: …`.
  static Result<std::shared_ptr<ScrapePool>> Create(std::shared_ptr<ScrapeRuntime> runtime,
                                                    std::shared_ptr<const ScrapeConfig> config,
                                                    std::shared_ptr<FailureLog> failure_log,
                                                    uint64_t offset_seed);

  // All groups of the job as they are now.
  void Sync(const std::vector<TargetGroupPtr>& groups);
  // A new configuration; caches go on where it leaves the meaning of series as it is. Under the
  // same configuration only the failure log is replaced, which was opened anew.
  Status Reload(std::shared_ptr<const ScrapeConfig> config, std::shared_ptr<FailureLog> failure_log,
                uint64_t offset_seed);
  void Stop(ScrapeLoop::Markers markers);

  std::shared_ptr<const ScrapeConfig> config() const;
  // Sorted by URL, then labels.
  std::vector<std::shared_ptr<ScrapeLoop>> loops() const;
  std::vector<TargetOrigin> dropped() const;
  struct Counts {
    uint64_t syncs = 0;
    uint64_t failed_targets = 0;
    uint64_t targets = 0;
    uint64_t dropped = 0;
    uint64_t target_limit = 0;
  };
  Counts counts() const;

 private:
  ScrapePool(std::shared_ptr<ScrapeRuntime> runtime, LoopSettings settings);
  void ApplyTargetLimit();

  const std::shared_ptr<ScrapeRuntime> runtime_;
  mutable std::mutex mutex_;
  LoopSettings settings_;
  std::string fingerprint_;
  std::map<uint64_t, std::shared_ptr<ScrapeLoop>> loops_;  // By target hash.
  std::vector<TargetOrigin> dropped_;
  Counts counts_;
  bool stopped_ = false;
};

}  // namespace narthex::scrape
