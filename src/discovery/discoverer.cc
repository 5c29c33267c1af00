#include "discovery/discoverer.h"

#include <algorithm>
#include <random>

#include "util/log.h"

namespace narthex {

void DiscoveryRegistry::Register(std::string mechanism, DiscovererFactory factory) {
  std::erase_if(factories_, [&](const auto& entry) { return entry.first == mechanism; });
  factories_.emplace_back(std::move(mechanism), std::move(factory));
  std::sort(factories_.begin(), factories_.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
}

Result<std::unique_ptr<Discoverer>> DiscoveryRegistry::Create(
    const SdConfig& config, const std::string& set_name, DiscoveryEnvironment& environment) const {
  for (const auto& [name, factory] : factories_) {
    if (name == config.mechanism()) return factory(config, set_name, environment);
  }
  return MakeError(ErrorCode::kUnsupported, "{} service discovery is not supported yet",
                   config.mechanism());
}

bool DiscoveryRegistry::Has(std::string_view mechanism) const {
  return std::any_of(factories_.begin(), factories_.end(),
                     [&](const auto& entry) { return entry.first == mechanism; });
}

std::vector<std::string> DiscoveryRegistry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, factory] : factories_) names.push_back(name);
  return names;
}

// What answers that are still under way hold on to. `owner` is touched on the loop only.
struct RefreshDiscoverer::Shared {
  RefreshDiscoverer* owner = nullptr;
};

RefreshDiscoverer::RefreshDiscoverer(std::string mechanism, std::string set_name,
                                     int64_t interval_nanos, DiscoveryEnvironment& environment)
    : mechanism_(std::move(mechanism)),
      set_name_(std::move(set_name)),
      interval_nanos_(interval_nanos),
      environment_(environment) {}

RefreshDiscoverer::~RefreshDiscoverer() = default;

void RefreshDiscoverer::Start(TargetGroupSink sink) {
  sink_ = std::move(sink);
  shared_ = std::make_shared<Shared>(Shared{this});
  Tick();
}

void RefreshDiscoverer::Stop() {
  if (shared_ != nullptr) shared_->owner = nullptr;
  shared_.reset();
  environment_.loop->Cancel(timer_);
  OnStop();
  sink_ = nullptr;
}

int64_t RefreshDiscoverer::NextDelayNanos() const {
  if (environment_.refresh_jitter <= 0) return interval_nanos_;
  thread_local std::minstd_rand random(std::random_device{}());
  std::uniform_real_distribution<double> part(0, environment_.refresh_jitter);
  return static_cast<int64_t>(static_cast<double>(interval_nanos_) * (1 - part(random)));
}

void RefreshDiscoverer::Tick() {
  timer_ = environment_.loop->PostAfter(NextDelayNanos(), [shared = shared_] {
    if (shared->owner != nullptr) shared->owner->Tick();
  });
  if (refreshing_) return;
  refreshing_ = true;
  started_nanos_ = environment_.loop->NowNanos();
  Refresh([shared = shared_, loop = environment_.loop](Result<std::vector<TargetGroup>> outcome) {
    // A task must be copyable, which a result is not always.
    auto carried = std::make_shared<Result<std::vector<TargetGroup>>>(std::move(outcome));
    loop->Post([shared, carried] {
      if (shared->owner != nullptr) shared->owner->Finish(std::move(*carried));
    });
  });
}

void RefreshDiscoverer::Finish(Result<std::vector<TargetGroup>> outcome) {
  refreshing_ = false;
  if (SdMetrics* metrics = environment_.metrics) {
    const SdMetrics::LabelPairs labels = {{"mechanism", mechanism_}, {"config", set_name_}};
    const int64_t now = environment_.loop->NowNanos();
    metrics->Observe("prometheus_sd_refresh_duration_seconds", labels, now, now - started_nanos_);
    metrics->ObserveHistogram("prometheus_sd_refresh_duration_histogram_seconds",
                              {{"mechanism", mechanism_}}, now - started_nanos_);
    metrics->Add("prometheus_sd_refresh_failures_total", labels, outcome.ok() ? 0 : 1);
  }
  if (!outcome.ok()) {
    LOG_ERROR("Unable to refresh target groups", {"discovery", mechanism_}, {"config", set_name_},
              {"err", outcome.status().message()});
    return;
  }
  BeforePublish(*outcome);
  std::vector<TargetGroupPtr> groups;
  for (TargetGroup& group : *outcome) {
    groups.push_back(std::make_shared<const TargetGroup>(std::move(group)));
  }
  sink_(std::move(groups));
}

}  // namespace narthex
