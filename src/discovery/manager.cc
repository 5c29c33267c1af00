#include "discovery/manager.h"

#include <algorithm>
#include <set>

#include "util/log.h"

namespace narthex {

namespace {

// Updates are gathered for this long after a quiet time, and longer the more there are.
constexpr int64_t kFirstDelayNanos = 100 * kNanosPerMilli;
constexpr double kDelayGrowth = 1.5;

}  // namespace

// Everything below happens on the loop.
struct DiscoveryManager::State : std::enable_shared_from_this<DiscoveryManager::State> {
  struct Provider {
    std::string name;  // "file/3", for logs.
    SdConfig config;
    std::string fingerprint;
    std::string first_set;  // The set that its refresh metrics are named after.
    std::unique_ptr<Discoverer> discoverer;
    std::set<std::string> sets;
    std::map<std::string, TargetGroupPtr> groups;  // By source; none is empty.
    bool started = false;
  };

  DiscoveryManagerOptions options;
  const DiscoveryRegistry& registry;
  DiscoveryEnvironment environment;
  OnUpdate on_update;
  std::vector<std::unique_ptr<Provider>> providers;
  std::set<std::string> set_names;
  uint64_t providers_made = 0;
  TaskLoop::TimerId send_timer = 0;
  int64_t last_sent_nanos = 0;
  int64_t delay_nanos = kFirstDelayNanos;
  bool stopped = false;

  State(DiscoveryManagerOptions given, const DiscoveryRegistry& mechanisms,
        DiscoveryEnvironment surroundings, OnUpdate callback)
      : options(std::move(given)),
        registry(mechanisms),
        environment(std::move(surroundings)),
        on_update(std::move(callback)) {
    if (environment.metrics == nullptr) return;
    // An update is never delayed: the consumer is called, not sent to.
    for (const std::string_view counter :
         {"prometheus_sd_received_updates_total", "prometheus_sd_updates_total",
          "prometheus_sd_updates_delayed_total"}) {
      environment.metrics->Add(counter, NameLabel(), 0);
    }
    environment.metrics->Set("prometheus_sd_failed_configs", NameLabel(), 0);
  }

  SdMetrics::LabelPairs NameLabel() const { return {{"name", options.name}}; }
  SdMetrics::LabelPairs SetLabels(const std::string& set) const {
    return {{"name", options.name}, {"config", set}};
  }
  void Count(std::string_view counter) {
    if (environment.metrics != nullptr) environment.metrics->Add(counter, NameLabel());
  }

  void Apply(const SetConfigs& sets);
  bool Subscribe(const std::string& set, const SdConfig& config,
                 std::map<Provider*, std::set<std::string>>& wanted);
  void Retire(Provider& provider);
  void RemoveSetMetrics(const std::string& set);
  void StartProvider(Provider& provider);
  void Receive(Provider& provider, std::vector<TargetGroupPtr> groups);
  void ScheduleSend();
  void Send();
  void StopAll();
};

// Finds or makes the provider of an entry. False: it could not be made.
bool DiscoveryManager::State::Subscribe(const std::string& set, const SdConfig& config,
                                        std::map<Provider*, std::set<std::string>>& wanted) {
  std::string fingerprint = config.Fingerprint();
  for (const auto& provider : providers) {
    if (provider->fingerprint == fingerprint) {
      wanted[provider.get()].insert(set);
      return true;
    }
  }
  Result<std::unique_ptr<Discoverer>> made = registry.Create(config, set, environment);
  if (!made.ok()) {
    LOG_ERROR("Cannot create service discovery", {"err", made.status().message()},
              {"type", config.mechanism()}, {"config", set});
    return false;
  }
  auto provider = std::make_unique<Provider>();
  provider->name = fmt::format("{}/{}", config.mechanism(), providers_made++);
  provider->config = config;
  provider->fingerprint = std::move(fingerprint);
  provider->first_set = set;
  provider->discoverer = *std::move(made);
  wanted[provider.get()].insert(set);
  providers.push_back(std::move(provider));
  return true;
}

void DiscoveryManager::State::Apply(const SetConfigs& sets) {
  if (stopped) return;
  std::map<Provider*, std::set<std::string>> wanted;
  int failed = 0;
  std::set<std::string> names;
  for (const auto& [set, configs] : sets) {
    names.insert(set);
    for (const SdConfig& config : configs) failed += Subscribe(set, config, wanted) ? 0 : 1;
  }
  for (const auto& provider : providers) {
    if (!wanted.contains(provider.get())) Retire(*provider);
  }
  std::erase_if(providers, [&](const auto& entry) { return !wanted.contains(entry.get()); });
  for (const std::string& set : set_names) {
    if (!names.contains(set)) RemoveSetMetrics(set);
  }
  set_names = std::move(names);
  if (environment.metrics != nullptr) {
    environment.metrics->Set("prometheus_sd_failed_configs", NameLabel(), failed);
  }
  for (const auto& provider : providers) {
    provider->sets = std::move(wanted[provider.get()]);
    if (!provider->started) StartProvider(*provider);
  }
  // Consumers expect the whole state after a reload, also to drop what is gone.
  ScheduleSend();
}

void DiscoveryManager::State::Retire(Provider& provider) {
  if (provider.started) provider.discoverer->Stop();
  if (environment.metrics == nullptr) return;
  const SdMetrics::LabelPairs labels = {{"mechanism", std::string(provider.config.mechanism())},
                                        {"config", provider.first_set}};
  for (const std::string_view name :
       {"prometheus_sd_refresh_duration_seconds", "prometheus_sd_refresh_failures_total"}) {
    environment.metrics->Remove(name, labels);
  }
}

void DiscoveryManager::State::RemoveSetMetrics(const std::string& set) {
  if (environment.metrics == nullptr) return;
  environment.metrics->Remove("prometheus_sd_discovered_targets", SetLabels(set));
  environment.metrics->Remove("prometheus_sd_last_update_timestamp_seconds", SetLabels(set));
}

void DiscoveryManager::State::StartProvider(Provider& provider) {
  LOG_DEBUG("Starting provider", {"provider", provider.name});
  provider.started = true;
  // The discoverer calls nothing after Stop(), so the provider is there as long as the sink is.
  provider.discoverer->Start([this, &provider](std::vector<TargetGroupPtr> groups) {
    Receive(provider, std::move(groups));
  });
}

void DiscoveryManager::State::Receive(Provider& provider, std::vector<TargetGroupPtr> groups) {
  Count("prometheus_sd_received_updates_total");
  for (TargetGroupPtr& group : groups) {
    if (group == nullptr) continue;
    if (group->targets.empty()) {
      provider.groups.erase(group->source);
    } else {
      provider.groups[group->source] = std::move(group);
    }
  }
  ScheduleSend();
}

void DiscoveryManager::State::ScheduleSend() {
  if (stopped || send_timer != 0) return;
  const int64_t now = environment.loop->NowNanos();
  if (now - last_sent_nanos > options.update_interval_nanos) delay_nanos = kFirstDelayNanos;
  const int64_t delay = std::min(delay_nanos, options.update_interval_nanos);
  delay_nanos = static_cast<int64_t>(static_cast<double>(delay) * kDelayGrowth);
  send_timer = environment.loop->PostAfter(delay, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Send();
  });
}

void DiscoveryManager::State::Send() {
  send_timer = 0;
  if (stopped) return;
  last_sent_nanos = environment.loop->NowNanos();
  TargetSets sets;
  for (const std::string& set : set_names) sets[set];  // Also those that have no targets.
  for (const auto& provider : providers) {
    for (const std::string& set : provider->sets) {
      for (const auto& [source, group] : provider->groups) sets[set].push_back(group);
    }
  }
  Count("prometheus_sd_updates_total");
  if (SdMetrics* metrics = environment.metrics) {
    const double now_seconds = static_cast<double>(Clock::System().NowMillis()) / 1e3;
    for (const auto& [set, groups] : sets) {
      size_t targets = 0;
      for (const TargetGroupPtr& group : groups) targets += group->targets.size();
      metrics->Set("prometheus_sd_discovered_targets", SetLabels(set),
                   static_cast<double>(targets));
      metrics->Set("prometheus_sd_last_update_timestamp_seconds", SetLabels(set), now_seconds);
    }
  }
  on_update(sets);
}

void DiscoveryManager::State::StopAll() {
  if (stopped) return;
  stopped = true;
  environment.loop->Cancel(send_timer);
  for (const auto& provider : providers) Retire(*provider);
  providers.clear();
}

DiscoveryManager::DiscoveryManager(DiscoveryManagerOptions options,
                                   const DiscoveryRegistry& registry,
                                   DiscoveryEnvironment environment, OnUpdate on_update)
    : state_(std::make_shared<State>(std::move(options), registry, std::move(environment),
                                     std::move(on_update))) {}

DiscoveryManager::~DiscoveryManager() {
  Stop();
}

void DiscoveryManager::ApplyConfig(SetConfigs sets) {
  state_->environment.loop->Post([state = state_, sets = std::move(sets)] { state->Apply(sets); });
}

void DiscoveryManager::Stop() {
  state_->environment.loop->RunAndWait([this] { state_->StopAll(); });
}

DiscoveryManager::SetConfigs ScrapeDiscoverySets(const std::vector<ScrapeConfig>& configs) {
  DiscoveryManager::SetConfigs sets;
  for (const ScrapeConfig& config : configs) sets[config.job_name] = config.service_discovery;
  return sets;
}

DiscoveryManager::SetConfigs AlertmanagerDiscoverySets(const AlertingConfig& config) {
  DiscoveryManager::SetConfigs sets;
  for (size_t i = 0; i < config.alertmanagers.size(); ++i) {
    sets[fmt::format("config-{}", i)] = config.alertmanagers[i].service_discovery;
  }
  return sets;
}

}  // namespace narthex
