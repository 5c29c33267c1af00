#include "discovery/marathon/marathon_discoverer.h"

#include <random>
#include <set>

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"
#include "discovery/json_labels.h"
#include "util/strings.h"

namespace narthex {

namespace {

constexpr std::string_view kAppsPath = "/v2/apps/?embed=apps.tasks";

// A port that every task of an app has; 0: what the task says at that place.
struct AppPort {
  int64_t port = 0;
  const json::object* labels = nullptr;
};

struct AppPorts {
  std::vector<AppPort> ports;
  std::string_view label_prefix;
};

// On a network of its own a container is reached at its own port, else at one of the host.
AppPorts PortsOf(const json::value& app, bool container_network) {
  AppPorts found;
  const json::value& container = Member(app, "container");
  // Since version 1.5 the mappings belong to the container, before they belonged to Docker.
  const json::array* mappings = &Array(container, "portMappings");
  if (mappings->empty()) mappings = &Array(Member(container, "docker"), "portMappings");
  if (!mappings->empty()) {
    found.label_prefix = "__meta_marathon_port_mapping_label_";
    for (const json::value& mapping : *mappings) {
      found.ports.push_back({Int(mapping, container_network ? "containerPort" : "hostPort"),
                             &Object(mapping, "labels")});
    }
    return found;
  }
  found.label_prefix = "__meta_marathon_port_definition_label_";
  // Without requirePorts the definition names a port of the load balancer, not the task's.
  const bool fixed = Bool(app, "requirePorts");
  for (const json::value& definition : Array(app, "portDefinitions")) {
    found.ports.push_back({fixed ? Int(definition, "port") : 0, &Object(definition, "labels")});
  }
  return found;
}

TargetGroup AppGroup(const json::value& app) {
  TargetGroup group;
  group.source = Text(app, "id");
  group.labels = {
      {"__meta_marathon_app", group.source},
      {"__meta_marathon_image", Text(Member(Member(app, "container"), "docker"), "image")}};
  AddLabels(Object(app, "labels"), "__meta_marathon_app_label_", &group.labels);
  const json::array& networks = Array(app, "networks");
  const bool container_network = !networks.empty() && Text(networks[0], "mode") == "container";
  AppPorts app_ports = PortsOf(app, container_network);
  for (const json::value& task : Array(app, "tasks")) {
    const json::array& task_ports = Array(task, "ports");
    if (app_ports.ports.empty()) {
      for (const json::value& port : task_ports) app_ports.ports.push_back({AsInt(port), nullptr});
    }
    const json::array& addresses = Array(task, "ipAddresses");
    const std::string host = container_network && !addresses.empty()
                                 ? Text(addresses[0], "ipAddress")
                                 : Text(task, "host");
    for (size_t i = 0; i < app_ports.ports.size(); ++i) {
      const AppPort& known = app_ports.ports[i];
      int64_t port = known.port;
      if (port == 0 && task_ports.size() == app_ports.ports.size()) port = AsInt(task_ports[i]);
      TextMap labels = {{std::string(kAddressLabel), JoinHostPort(host, port)},
                        {"__meta_marathon_task", Text(task, "id")},
                        {"__meta_marathon_port_index", std::to_string(i)}};
      if (known.labels != nullptr) AddLabels(*known.labels, app_ports.label_prefix, &labels);
      group.targets.push_back(ToTarget(std::move(labels)));
    }
  }
  return group;
}

class MarathonDiscoverer : public ApiDiscoverer {
 public:
  MarathonDiscoverer(const MarathonSdConfig& config, std::string set_name,
                     DiscoveryEnvironment& environment)
      : ApiDiscoverer("marathon", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config),
        random_(std::random_device()()) {}

 private:
  Async<Groups> FetchGroups() override {
    const std::string& server = config_.servers[random_() % config_.servers.size()];
    const std::string url = server + std::string(kAppsPath);
    FetchRequest request = api().Get(url);
    std::string token = config_.auth_token.value;
    if (!config_.auth_token_file.empty()) {
      NARTHEX_CO_TRY(token, api().ReadTokenFile(config_.auth_token_file));
    }
    if (!token.empty()) request.headers.emplace_back("Authorization", "token=" + token);
    NARTHEX_CO_TRY(const FetchResponse answer, co_await api().Send(std::move(request)));
    if (answer.status_code / 100 != 2) {
      co_return MakeError(ErrorCode::kUnavailable,
                          "non 2xx status '{}' response during marathon service discovery",
                          answer.status_code);
    }
    Result<json::object> list = ParseJsonObject(answer.body);
    if (!list.ok()) co_return list.status().WithPrefix(fmt::format("{}: ", GoQuote(url)));
    std::vector<TargetGroup> groups;
    std::set<std::string> sources;
    for (const json::value& app : Array(*list, "apps")) {
      groups.push_back(AppGroup(app));
      sources.insert(groups.back().source);
    }
    for (const std::string& source : known_sources_) {
      if (!sources.contains(source)) groups.emplace_back().source = source;
    }
    known_sources_ = std::move(sources);
    co_return groups;
  }

  const MarathonSdConfig config_;
  std::minstd_rand random_;  // Which server to ask.
  std::set<std::string> known_sources_;
};

}  // namespace

void RegisterMarathonDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<MarathonDiscoverer, MarathonSdConfig>(registry, "marathon");
}

}  // namespace narthex
