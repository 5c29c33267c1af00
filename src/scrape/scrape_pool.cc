#include "scrape/scrape_pool.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "util/log.h"

namespace narthex::scrape {
namespace {

// What cached series depend on: everything but when and how pages are fetched.
std::string CacheFingerprint(const ScrapeConfig& config) {
  ScrapeConfig reduced = config;
  reduced.scrape_interval = {};
  reduced.scrape_timeout = {};
  reduced.sample_limit = 0;
  reduced.http_client = {};
  return Fingerprint(reduced);
}

}  // namespace

ScrapePool::ScrapePool(std::shared_ptr<ScrapeRuntime> runtime, LoopSettings settings)
    : runtime_(std::move(runtime)),
      settings_(std::move(settings)),
      fingerprint_(Fingerprint(*settings_.config)) {
  counts_.target_limit = settings_.config->target_limit;
}

Result<std::shared_ptr<ScrapePool>> ScrapePool::Create(std::shared_ptr<ScrapeRuntime> runtime,
                                                       std::shared_ptr<const ScrapeConfig> config,
                                                       std::shared_ptr<FailureLog> failure_log,
                                                       uint64_t offset_seed) {
  LoopSettings settings;
  Result<std::shared_ptr<const HttpClientHandle>> client =
      runtime->environment.fetcher->CreateClient(config->http_client);
  if (!client.ok()) return client.status().WithPrefix("error creating HTTP client: ");
  settings.client = *std::move(client);
  settings.config = std::move(config);
  settings.failure_log = std::move(failure_log);
  settings.offset_seed = offset_seed;
  return std::shared_ptr<ScrapePool>(new ScrapePool(std::move(runtime), std::move(settings)));
}

void ScrapePool::Sync(const std::vector<TargetGroupPtr>& groups) {
  const int64_t start = MonotonicNanos();
  std::shared_ptr<const ScrapeConfig> config;
  {
    const std::lock_guard lock(mutex_);
    config = settings_.config;
  }
  // Relabelling is the work; it needs no lock.
  TargetsOfGroup found;
  for (const TargetGroupPtr& group : groups) AppendTargets(config, group, &found);
  for (const Status& failure : found.failures) {
    LOG_ERROR("Creating target failed", {"scrape_pool", config->job_name},
              {"err", failure.message()});
  }
  std::vector<std::shared_ptr<ScrapeLoop>> fresh;
  std::vector<std::shared_ptr<ScrapeLoop>> gone;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    // A reload came in between: its own sync follows.
    if (settings_.config != config) return;
    counts_.failed_targets += found.failures.size();
    counts_.dropped = found.dropped.size();
    const uint64_t keep = config->keep_dropped_targets;
    if (keep > 0 && found.dropped.size() > keep) found.dropped.resize(keep);
    dropped_ = std::move(found.dropped);
    std::set<uint64_t> present;
    for (std::shared_ptr<Target>& target : found.targets) {
      const uint64_t hash = target->hash();
      present.insert(hash);
      const auto known = loops_.find(hash);
      if (known != loops_.end()) {
        known->second->target()->SetOrigin(target->origin());
        continue;
      }
      auto loop = std::make_shared<ScrapeLoop>(runtime_, std::move(target), settings_);
      loops_.emplace(hash, loop);
      fresh.push_back(std::move(loop));
    }
    std::erase_if(loops_, [&](const auto& item) {
      if (present.contains(item.first)) return false;
      gone.push_back(item.second);
      return true;
    });
    counts_.targets = loops_.size();
    ++counts_.syncs;
    ApplyTargetLimit();
  }
  for (const auto& loop : gone) loop->Stop(ScrapeLoop::Markers::kWrite);
  for (const auto& loop : fresh) loop->Start();
  runtime_->observer().ObserveSync(config->job_name,
                                   static_cast<double>(MonotonicNanos() - start) / 1e9);
}

// Under the lock. Too many targets: none is scraped, and each says why.
void ScrapePool::ApplyTargetLimit() {
  const uint64_t limit = settings_.config->target_limit;
  const bool exceeded = limit > 0 && loops_.size() > limit;
  if (exceeded) ScrapeMetrics::Add(runtime_->metrics.exceeded_target_limit_total);
  for (const auto& [hash, loop] : loops_) {
    Status error = loop->target()->timing().error;
    if (exceeded) {
      error = MakeError(ErrorCode::kUnavailable,
                        "target_limit exceeded (number of targets: {}, limit: {})", loops_.size(),
                        limit);
    }
    loop->SetForcedError(std::move(error));
  }
}

Status ScrapePool::Reload(std::shared_ptr<const ScrapeConfig> config,
                          std::shared_ptr<FailureLog> failure_log, uint64_t offset_seed) {
  const int64_t start = MonotonicNanos();
  std::string fingerprint = Fingerprint(*config);
  {
    const std::lock_guard lock(mutex_);
    if (fingerprint == fingerprint_) {
      settings_.failure_log = failure_log;
      for (const auto& [hash, loop] : loops_) loop->SetFailureLog(failure_log);
      return {};
    }
  }
  ScrapeMetrics::Add(runtime_->metrics.pool_reloads_total);
  Result<std::shared_ptr<const HttpClientHandle>> client =
      runtime_->environment.fetcher->CreateClient(config->http_client);
  if (!client.ok()) {
    ScrapeMetrics::Add(runtime_->metrics.pool_reloads_failed_total);
    return client.status().WithPrefix("error creating HTTP client: ");
  }
  const std::string interval = FormatGoDuration(config->scrape_interval.nanos);
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return {};
    const bool keep_cache = CacheFingerprint(*settings_.config) == CacheFingerprint(*config);
    settings_.config = std::move(config);
    settings_.client = *std::move(client);
    settings_.failure_log = std::move(failure_log);
    settings_.offset_seed = offset_seed;
    fingerprint_ = std::move(fingerprint);
    counts_.target_limit = settings_.config->target_limit;
    for (const auto& [hash, loop] : loops_) loop->Reconfigure(settings_, keep_cache);
    ApplyTargetLimit();
  }
  runtime_->observer().ObserveReload(interval, static_cast<double>(MonotonicNanos() - start) / 1e9);
  return {};
}

void ScrapePool::Stop(ScrapeLoop::Markers markers) {
  std::map<uint64_t, std::shared_ptr<ScrapeLoop>> loops;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    loops = std::move(loops_);
    loops_.clear();
    counts_.targets = 0;
  }
  for (const auto& [hash, loop] : loops) loop->Stop(markers);
}

std::shared_ptr<const ScrapeConfig> ScrapePool::config() const {
  const std::lock_guard lock(mutex_);
  return settings_.config;
}

std::vector<std::shared_ptr<ScrapeLoop>> ScrapePool::loops() const {
  std::vector<std::shared_ptr<ScrapeLoop>> list;
  {
    const std::lock_guard lock(mutex_);
    list.reserve(loops_.size());
    for (const auto& [hash, loop] : loops_) list.push_back(loop);
  }
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
    return std::tie(a->target()->url(), a->target()->labels()) <
           std::tie(b->target()->url(), b->target()->labels());
  });
  return list;
}

std::vector<TargetOrigin> ScrapePool::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

ScrapePool::Counts ScrapePool::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace narthex::scrape
