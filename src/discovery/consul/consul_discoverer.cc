#include "discovery/consul/consul_discoverer.h"

#include <algorithm>
#include <charconv>

#include "config/sd_mechanisms.h"
#include "discovery/http/api_client.h"
#include "discovery/json_labels.h"
#include "discovery/ticker.h"
#include "net/url.h"
#include "util/environment.h"
#include "util/log.h"
#include "util/time.h"

namespace narthex {

namespace {

// How long the agent may hold a query that waits for a change, and how long we wait for it.
constexpr int64_t kWatchTimeoutNanos = 120 * kNanosPerSecond;
constexpr int64_t kTimeoutNanos = kWatchTimeoutNanos + 15 * kNanosPerSecond;
constexpr int64_t kRetryNanos = 15 * kNanosPerSecond;

struct Watched {
  json::value body;
  uint64_t index = 0;
};

// The state of all checks of an instance in one word.
std::string AggregatedStatus(const json::array& checks) {
  bool critical = false;
  bool warning = false;
  bool maintenance = false;
  for (const json::value& check : checks) {
    const std::string id = Text(check, "CheckID");
    const std::string status = Text(check, "Status");
    if (id == "_node_maintenance" || id.starts_with("_service_maintenance:")) {
      maintenance = true;
    } else if (status == "critical") {
      critical = true;
    } else if (status == "warning") {
      warning = true;
    } else if (status != "passing") {
      return "";
    }
  }
  if (maintenance) return "maintenance";
  if (critical) return "critical";
  return warning ? "warning" : "passing";
}

class ConsulDiscoverer : public Discoverer {
 public:
  ConsulDiscoverer(const ConsulSdConfig& config, std::string set_name,
                   DiscoveryEnvironment& environment)
      : config_(config),
        set_name_(std::move(set_name)),
        environment_(environment),
        api_(environment, config.http_client, kTimeoutNanos),
        base_url_(config.scheme + "://" + config.server),
        token_(config.token.value),
        datacenter_(config.datacenter) {
    std::string_view prefix = config_.path_prefix;
    while (prefix.starts_with('/')) prefix.remove_prefix(1);
    while (prefix.ends_with('/')) prefix.remove_suffix(1);
    if (!prefix.empty()) base_url_ += "/" + std::string(prefix);
    // The agent's own client takes the token from here too.
    if (token_.empty()) token_ = EnvironmentVariable("CONSUL_HTTP_TOKEN");
  }

  void Start(TargetGroupSink sink) override {
    sink_ = std::move(sink);
    CountFailures(0);
    running_ = Run();
    running_.Start([](Unit) {});
  }
  void Stop() override {
    running_.Reset();
    services_.clear();
    sink_ = nullptr;
  }

 private:
  Async<Unit> Run() {
    while (datacenter_.empty()) {
      const Result<std::string> found = co_await FetchDatacenter();
      if (found.ok()) {
        datacenter_ = *found;
      } else {
        LogError("Error retrieving datacenter name", found.status());
        co_await SleepOn(*environment_.loop, kRetryNanos);
      }
    }
    const bool all_named =
        !config_.services.empty() && config_.tags.empty() && config_.filter.empty();
    if (all_named) {
      for (const std::string& name : config_.services) Watch(name);
      co_return Unit();
    }
    Ticker ticker(*environment_.loop, config_.refresh_interval.nanos);
    uint64_t index = 0;
    for (;;) {
      co_await WatchCatalog(&index);
      co_await ticker.Next();
    }
  }

  Async<Result<std::string>> FetchDatacenter() {
    net::FormValues query;
    AddScope(&query);
    const Result<FetchResponse> answer = co_await Send("/v1/agent/self", query);
    if (!answer.ok()) {
      CountFailures(1);
      co_return answer.status();
    }
    NARTHEX_CO_TRY(const json::object info, ParseJsonObject(answer->body));
    const json::value& datacenter = Member(Member(info, "Config"), "Datacenter");
    if (!datacenter.is_string()) {
      co_return MakeError(ErrorCode::kInvalidInput, "invalid value '{}' for Config.Datacenter",
                          datacenter.is_null() ? "<nil>" : AsPrinted(datacenter));
    }
    co_return std::string(AsText(datacenter));
  }

  // One turn over the list of services: starts and ends the watches of single ones.
  Async<Unit> WatchCatalog(uint64_t* index) {
    Result<Watched> watched =
        co_await Query("/v1/catalog/services", *index, config_.filter, {}, "catalog", "services");
    if (!watched.ok()) {
      LogError("Error refreshing service list", watched.status());
      co_await SleepOn(*environment_.loop, kRetryNanos);
      co_return Unit();
    }
    if (watched->index == *index) co_return Unit();  // Nothing changed while the agent waited.
    *index = watched->index;
    const json::object& listed = AsObject(watched->body);
    for (const auto& [name, tags] : listed) {
      if (ShouldWatch(name, Texts(AsArray(tags)))) Watch(std::string(name));
    }
    for (auto service = services_.begin(); service != services_.end();) {
      if (listed.contains(service->first)) {
        ++service;
        continue;
      }
      TargetGroup gone;
      gone.source = service->first;
      service = services_.erase(service);
      Report(std::move(gone));
    }
    if (services_.empty()) Report({});
    co_return Unit();
  }

  bool ShouldWatch(std::string_view name, const std::vector<std::string>& tags) const {
    const auto contains = [](const std::vector<std::string>& list, std::string_view text) {
      return std::find(list.begin(), list.end(), text) != list.end();
    };
    if (!config_.services.empty() && !contains(config_.services, name)) return false;
    return std::all_of(config_.tags.begin(), config_.tags.end(),
                       [&](const std::string& tag) { return contains(tags, tag); });
  }

  void Watch(const std::string& name) {
    const auto [service, is_new] = services_.try_emplace(name);
    if (!is_new) return;
    service->second = WatchService(name);
    service->second.Start([](Unit) {});
  }

  Async<Unit> WatchService(std::string name) {
    Ticker ticker(*environment_.loop, config_.refresh_interval.nanos);
    uint64_t index = 0;
    for (;;) {
      const Result<Watched> watched =
          co_await Query("/v1/health/service/" + net::PathEscape(name), index,
                         config_.health_filter, config_.tags, "health", "service");
      if (!watched.ok()) {
        LogError("Error refreshing service", watched.status());
        co_await SleepOn(*environment_.loop, kRetryNanos);
      } else if (watched->index != index) {
        index = watched->index;
        TargetGroup group;
        group.source = name;
        group.labels = {{"__meta_consul_service", name}, {"__meta_consul_dc", datacenter_}};
        for (const json::value& entry : AsArray(watched->body)) {
          group.targets.push_back(MakeTarget(entry));
        }
        Report(std::move(group));
      }
      co_await ticker.Next();
    }
  }

  TargetLabels MakeTarget(const json::value& entry) const {
    const json::object& node = Object(entry, "Node");
    const json::object& service = Object(entry, "Service");
    const std::string node_address = Text(node, "Address");
    const std::string service_address = Text(service, "Address");
    const int64_t port = Int(service, "Port");
    // A service may be registered through a node that it does not run on.
    const std::string& address = service_address.empty() ? node_address : service_address;
    TextMap labels = {
        {std::string(kAddressLabel), JoinHostPort(address, port)},
        {"__meta_consul_address", node_address},
        {"__meta_consul_health", AggregatedStatus(Array(entry, "Checks"))},
        {"__meta_consul_namespace", Text(service, "Namespace")},
        {"__meta_consul_node", Text(node, "Node")},
        {"__meta_consul_partition", Text(service, "Partition")},
        {"__meta_consul_service_address", service_address},
        {"__meta_consul_service_id", Text(service, "ID")},
        {"__meta_consul_service_port", std::to_string(port)},
        {"__meta_consul_tags", WrapList(Texts(Array(service, "Tags")), config_.tag_separator)},
    };
    AddLabels(Object(node, "Meta"), "__meta_consul_metadata_", &labels);
    AddLabels(Object(service, "Meta"), "__meta_consul_service_metadata_", &labels);
    AddLabels(Object(node, "TaggedAddresses"), "__meta_consul_tagged_address_", &labels);
    return ToTarget(std::move(labels));
  }

  void AddScope(net::FormValues* query) const {
    if (!config_.datacenter.empty()) query->Add("dc", config_.datacenter);
    if (!config_.namespace_.empty()) query->Add("ns", config_.namespace_);
    if (!config_.partition.empty()) query->Add("partition", config_.partition);
  }

  // A query that the agent answers when there is something newer than `index`.
  Async<Result<Watched>> Query(std::string path, uint64_t index, std::string filter,
                               std::vector<std::string> tags, std::string_view endpoint,
                               std::string_view call) {
    net::FormValues query;
    AddScope(&query);
    if (config_.allow_stale) query.Add("stale", "");
    if (index != 0) query.Add("index", std::to_string(index));
    query.Add("wait", fmt::format("{}ms", kWatchTimeoutNanos / kNanosPerMilli));
    for (const auto& [key, value] : config_.node_meta) query.Add("node-meta", key + ":" + value);
    if (!filter.empty()) query.Add("filter", std::move(filter));
    for (std::string& tag : tags) query.Add("tag", std::move(tag));
    const int64_t started = environment_.loop->NowNanos();
    const Result<FetchResponse> answer = co_await Send(std::move(path), query);
    if (SdMetrics* metrics = environment_.metrics) {
      const SdMetrics::LabelPairs labels = {{"endpoint", std::string(endpoint)},
                                            {"call", std::string(call)}};
      const int64_t now = environment_.loop->NowNanos();
      metrics->Observe("prometheus_sd_consul_rpc_duration_seconds", labels, now, now - started);
    }
    Result<Watched> watched = Read(answer);
    if (!watched.ok()) CountFailures(1);
    co_return watched;
  }

  static Result<Watched> Read(const Result<FetchResponse>& answer) {
    if (!answer.ok()) return answer.status();
    Watched watched;
    if (const std::string_view index = answer->Header("X-Consul-Index"); !index.empty()) {
      const auto [end, error] =
          std::from_chars(index.data(), index.data() + index.size(), watched.index);
      if (error != std::errc() || end != index.data() + index.size()) {
        return MakeError(ErrorCode::kInvalidInput, "Failed to parse X-Consul-Index: {}", index);
      }
    }
    NARTHEX_TRY(watched.body, ParseJson(answer->body));
    return watched;
  }

  Async<Result<FetchResponse>> Send(std::string path, const net::FormValues& query) {
    std::string url = base_url_ + path;
    if (const std::string encoded = query.Encode(); !encoded.empty()) url += "?" + encoded;
    FetchRequest request = api_.Get(std::move(url));
    if (!token_.empty()) request.headers.emplace_back("X-Consul-Token", token_);
    Result<FetchResponse> answer = co_await api_.Send(std::move(request));
    if (answer.ok() && answer->status_code != 200) {
      co_return MakeError(ErrorCode::kUnavailable, "Unexpected response code: {} ({})",
                          answer->status_code, answer->body.substr(0, 512));
    }
    co_return answer;
  }

  void Report(TargetGroup group) { sink_({std::make_shared<const TargetGroup>(std::move(group))}); }
  void CountFailures(double amount) {
    if (environment_.metrics == nullptr) return;
    environment_.metrics->Add("prometheus_sd_consul_rpc_failures_total", {}, amount);
  }
  void LogError(std::string_view what, const Status& status) const {
    LOG_ERROR(what, {"discovery", "consul"}, {"config", set_name_}, {"err", status.message()});
  }

  const ConsulSdConfig config_;
  const std::string set_name_;
  DiscoveryEnvironment& environment_;
  const ApiClient api_;
  std::string base_url_;
  std::string token_;
  std::string datacenter_;
  TargetGroupSink sink_;
  Async<Unit> running_;
  std::map<std::string, Async<Unit>, std::less<>> services_;  // Watches by name.
};

}  // namespace

void RegisterConsulDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<ConsulDiscoverer, ConsulSdConfig>(registry, "consul");
}

}  // namespace narthex
