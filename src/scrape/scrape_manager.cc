#include "scrape/scrape_manager.h"

#include <utility>

#include "util/hash.h"
#include "util/log.h"

namespace narthex::scrape {

ScrapeManager::ScrapeManager(ScrapeEnvironment environment, ScrapeOptions options)
    : runtime_(std::make_shared<ScrapeRuntime>(environment, std::move(options))) {}

ScrapeManager::~ScrapeManager() {
  Stop();
}

Status ScrapeManager::ApplyConfig(std::vector<ScrapeConfig> configs,
                                  const Labels& external_labels) {
  const std::lock_guard sync_lock(sync_mutex_);
  std::map<std::string, std::shared_ptr<const ScrapeConfig>, std::less<>> by_name;
  std::map<std::string, std::shared_ptr<FailureLog>> logs;
  for (ScrapeConfig& config : configs) {
    const std::string& path = config.scrape_failure_log_file;
    if (!path.empty() && !logs.contains(path)) {
      // Opened anew at each reload, so that the file can be rotated.
      NARTHEX_TRY(logs[path], FailureLog::Open(*runtime_->environment.files, path,
                                               *runtime_->environment.clock));
    }
    std::string name = config.job_name;
    by_name[std::move(name)] = std::make_shared<const ScrapeConfig>(std::move(config));
  }
  const uint64_t seed = runtime_->options.skip_offsets
                            ? 0
                            : Fnv1a64(external_labels.ToString(), Fnv1a64(runtime_->options.fqdn));
  std::map<std::string, std::shared_ptr<ScrapePool>, std::less<>> pools;
  {
    const std::lock_guard lock(mutex_);
    configs_ = by_name;
    failure_logs_ = logs;
    offset_seed_ = seed;
    pools = pools_;
  }
  bool failed = false;
  for (const auto& [name, pool] : pools) {
    const auto config = by_name.find(name);
    if (config == by_name.end()) {
      pool->Stop(ScrapeLoop::Markers::kNone);
      const std::lock_guard lock(mutex_);
      pools_.erase(name);
      continue;
    }
    const auto log = logs.find(config->second->scrape_failure_log_file);
    const Status status =
        pool->Reload(config->second, log == logs.end() ? nullptr : log->second, seed);
    if (!status.ok()) {
      LOG_ERROR("error reloading scrape pool", {"err", status.message()}, {"scrape_pool", name});
      failed = true;
    }
  }
  // What was discovered so far means other targets under the new rules.
  bool resync = false;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(sets_, [&](const auto& item) { return !by_name.contains(item.first); });
    resync = !sets_.empty();
  }
  if (resync) ScheduleSync();
  if (failed) return {ErrorCode::kInvalidInput, "failed to apply the new configuration"};
  return {};
}

void ScrapeManager::ScheduleSync() {
  auto permit = std::make_shared<ScrapeRuntime::Permit>(runtime_->Acquire());
  if (!*permit) return;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(sync_pending_, true)) return;  // The task to come sees the new sets.
  }
  runtime_->environment.pool->Submit([this, permit] { SyncPools(); });
}

void ScrapeManager::UpdateTargets(TargetSets sets) {
  {
    const std::lock_guard lock(mutex_);
    sets_ = std::move(sets);
  }
  ScheduleSync();
}

void ScrapeManager::SyncPools() {
  const std::lock_guard sync_lock(sync_mutex_);
  TargetSets sets;
  {
    const std::lock_guard lock(mutex_);
    sync_pending_ = false;
    sets = sets_;
  }
  std::vector<std::pair<std::shared_ptr<ScrapePool>, const std::vector<TargetGroupPtr>*>> work;
  for (const auto& [name, groups] : sets) {
    std::unique_lock lock(mutex_);
    if (const auto known = pools_.find(name); known != pools_.end()) {
      work.emplace_back(known->second, &groups);
      continue;
    }
    const auto config = configs_.find(name);
    if (config == configs_.end()) {
      LOG_ERROR("error reloading target set", {"err", "invalid config id:" + name});
      continue;
    }
    const auto log = failure_logs_.find(config->second->scrape_failure_log_file);
    const std::shared_ptr<FailureLog> failure_log =
        log == failure_logs_.end() ? nullptr : log->second;
    const std::shared_ptr<const ScrapeConfig> pool_config = config->second;
    const uint64_t seed = offset_seed_;
    lock.unlock();
    ScrapeMetrics::Add(runtime_->metrics.pools_total);
    Result<std::shared_ptr<ScrapePool>> pool =
        ScrapePool::Create(runtime_, pool_config, failure_log, seed);
    if (!pool.ok()) {
      ScrapeMetrics::Add(runtime_->metrics.pools_failed_total);
      LOG_ERROR("error creating new scrape pool", {"err", pool.status().message()},
                {"scrape_pool", name});
      continue;
    }
    lock.lock();
    pools_.emplace(name, *pool);
    work.emplace_back(*std::move(pool), &groups);
  }
  runtime_->environment.pool->ParallelFor(work.size(),
                                          [&](size_t i) { work[i].first->Sync(*work[i].second); });
  const std::lock_guard lock(mutex_);
  synced_.notify_all();
}

void ScrapeManager::WaitForUpdatesForTest() {
  std::unique_lock lock(mutex_);
  synced_.wait(lock, [this] { return !sync_pending_; });
  lock.unlock();
  const std::lock_guard sync_lock(sync_mutex_);
}

void ScrapeManager::Stop() {
  runtime_->Close();
  std::map<std::string, std::shared_ptr<ScrapePool>, std::less<>> pools;
  {
    const std::lock_guard lock(mutex_);
    pools = pools_;
  }
  for (const auto& [name, pool] : pools) pool->Stop(ScrapeLoop::Markers::kNone);
  runtime_->Stop();
}

std::vector<std::string> ScrapeManager::pool_names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, pool] : pools_) names.push_back(name);
  return names;
}

std::shared_ptr<const ScrapePool> ScrapeManager::pool(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = pools_.find(name);
  return found == pools_.end() ? nullptr : found->second;
}

std::map<std::string, std::shared_ptr<const ScrapePool>> ScrapeManager::pools() const {
  const std::lock_guard lock(mutex_);
  return {pools_.begin(), pools_.end()};
}

}  // namespace narthex::scrape
