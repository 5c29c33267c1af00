#include "discovery/moby/swarm_discoverer.h"

#include "discovery/json_labels.h"
#include "discovery/moby/engine_client.h"
#include "util/strings.h"

namespace narthex {

namespace {

// The address of "10.0.0.3/24".
Result<std::string> AddressOf(const std::string& network) {
  const size_t slash = network.find('/');
  if (slash == std::string::npos) {
    return MakeError(ErrorCode::kInvalidInput,
                     "error while parsing address {0}: invalid CIDR address: {0}", network);
  }
  return network.substr(0, slash);
}

std::string ServiceMode(const json::value& service) {
  const json::value& mode = Member(Member(service, "Spec"), "Mode");
  if (Member(mode, "Global").is_object()) return "global";
  return Member(mode, "Replicated").is_object() ? "replicated" : "";
}

TextMap ServiceLabels(const json::value& service) {
  const json::value& spec = Member(service, "Spec");
  TextMap labels = {{"__meta_dockerswarm_service_id", Text(service, "ID")},
                    {"__meta_dockerswarm_service_name", Text(spec, "Name")},
                    {"__meta_dockerswarm_service_mode", ServiceMode(service)}};
  AddLabels(Object(spec, "Labels"), "__meta_dockerswarm_service_label_", &labels);
  return labels;
}

TextMap NodeLabels(const json::value& node) {
  const json::value& spec = Member(node, "Spec");
  const json::value& description = Member(node, "Description");
  const json::value& platform = Member(description, "Platform");
  TextMap labels = {
      {"__meta_dockerswarm_node_address", Text(Member(node, "Status"), "Addr")},
      {"__meta_dockerswarm_node_availability", Text(spec, "Availability")},
      {"__meta_dockerswarm_node_hostname", Text(description, "Hostname")},
      {"__meta_dockerswarm_node_id", Text(node, "ID")},
      {"__meta_dockerswarm_node_platform_architecture", Text(platform, "Architecture")},
      {"__meta_dockerswarm_node_platform_os", Text(platform, "OS")},
      {"__meta_dockerswarm_node_role", Text(spec, "Role")},
      {"__meta_dockerswarm_node_status", Text(Member(node, "Status"), "State")},
  };
  AddLabels(Object(spec, "Labels"), "__meta_dockerswarm_node_label_", &labels);
  return labels;
}

// Later maps win.
TargetLabels Merge(std::initializer_list<const TextMap*> maps, std::string address) {
  TextMap labels;
  for (const TextMap* map : maps) {
    if (map == nullptr) continue;
    for (const auto& [name, value] : *map) labels[name] = value;
  }
  labels[std::string(kAddressLabel)] = std::move(address);
  return ToTarget(std::move(labels));
}

const TextMap* Find(const std::map<std::string, TextMap>& maps, const std::string& id) {
  const auto found = maps.find(id);
  return found == maps.end() ? nullptr : &found->second;
}

class SwarmDiscoverer : public ApiDiscoverer {
 public:
  SwarmDiscoverer(const DockerSwarmSdConfig& config, std::string set_name,
                  DiscoveryEnvironment& environment)
      : ApiDiscoverer("dockerswarm", std::move(set_name), config.refresh_interval.nanos,
                      environment, config.http_client),
        config_(config),
        engine_(config.host, config.filters) {}

 private:
  Async<Groups> FetchGroups() override {
    if (config_.role == "services") return FetchServices();
    return config_.role == "nodes" ? FetchNodes() : FetchTasks();
  }

  Async<Groups> FetchServices() {
    const Result<json::array> services = co_await engine_.List(api(), "/services", true);
    if (!services.ok()) {
      co_return services.status().WithPrefix("error while listing swarm services: ");
    }
    const auto networks = co_await engine_.NetworkLabels(api(), "__meta_dockerswarm_");
    if (!networks.ok()) {
      co_return networks.status().WithPrefix("error while computing swarm network labels: ");
    }
    std::vector<TargetGroup> groups(1);
    groups[0].source = "DockerSwarm";
    for (const json::value& service : *services) {
      TextMap common = ServiceLabels(service);
      const json::value& container =
          Member(Member(Member(service, "Spec"), "TaskTemplate"), "ContainerSpec");
      // Plugins and attachments of networks have none.
      if (container.is_object()) {
        common["__meta_dockerswarm_service_task_container_hostname"] = Text(container, "Hostname");
        common["__meta_dockerswarm_service_task_container_image"] = Text(container, "Image");
      }
      if (const json::value& update = Member(service, "UpdateStatus"); update.is_object()) {
        common["__meta_dockerswarm_service_updating_status"] = Text(update, "State");
      }
      const json::value& endpoint = Member(service, "Endpoint");
      for (const json::value& virtual_ip : Array(endpoint, "VirtualIPs")) {
        NARTHEX_CO_TRY(const std::string ip, AddressOf(Text(virtual_ip, "Addr")));
        const TextMap* network = Find(*networks, Text(virtual_ip, "NetworkID"));
        bool added = false;
        for (const json::value& port : Array(endpoint, "Ports")) {
          if (Text(port, "Protocol") != "tcp") continue;
          const TextMap labels = {
              {"__meta_dockerswarm_service_endpoint_port_name", Text(port, "Name")},
              {"__meta_dockerswarm_service_endpoint_port_publish_mode", Text(port, "PublishMode")}};
          groups[0].targets.push_back(
              Merge({&labels, &common, network}, JoinHostPort(ip, Int(port, "PublishedPort"))));
          added = true;
        }
        if (!added) {
          groups[0].targets.push_back(Merge({&common, network}, JoinHostPort(ip, config_.port)));
        }
      }
    }
    co_return groups;
  }

  Async<Groups> FetchNodes() {
    const Result<json::array> nodes = co_await engine_.List(api(), "/nodes", true);
    if (!nodes.ok()) co_return nodes.status().WithPrefix("error while listing swarm nodes: ");
    std::vector<TargetGroup> groups(1);
    groups[0].source = "DockerSwarm";
    for (const json::value& node : *nodes) {
      TextMap labels = NodeLabels(node);
      labels["__meta_dockerswarm_node_engine_version"] =
          Text(Member(Member(node, "Description"), "Engine"), "EngineVersion");
      if (const json::value& manager = Member(node, "ManagerStatus"); manager.is_object()) {
        labels["__meta_dockerswarm_node_manager_leader"] =
            Bool(manager, "Leader") ? "true" : "false";
        labels["__meta_dockerswarm_node_manager_reachability"] = Text(manager, "Reachability");
        labels["__meta_dockerswarm_node_manager_address"] = Text(manager, "Addr");
      }
      groups[0].targets.push_back(
          Merge({&labels}, JoinHostPort(Text(Member(node, "Status"), "Addr"), config_.port)));
    }
    co_return groups;
  }

  Async<Groups> FetchTasks() {
    const Result<json::array> tasks = co_await engine_.List(api(), "/tasks", true);
    if (!tasks.ok()) co_return tasks.status().WithPrefix("error while listing swarm services: ");
    const Result<json::array> services = co_await engine_.List(api(), "/services", false);
    if (!services.ok()) {
      co_return services.status().WithPrefix("error while computing services labels and ports: ");
    }
    const Result<json::array> nodes = co_await engine_.List(api(), "/nodes", false);
    if (!nodes.ok()) {
      co_return nodes.status().WithPrefix(
          "error while computing nodes labels and ports: error while listing swarm nodes: ");
    }
    const auto networks = co_await engine_.NetworkLabels(api(), "__meta_dockerswarm_");
    if (!networks.ok()) {
      co_return networks.status().WithPrefix("error while computing swarm network labels: ");
    }
    Swarm swarm;
    swarm.networks = &*networks;
    for (const json::value& service : *services) {
      const std::string id = Text(service, "ID");
      swarm.services[id] = ServiceLabels(service);
      swarm.ports[id] = &Array(Member(service, "Endpoint"), "Ports");
    }
    for (const json::value& node : *nodes) swarm.nodes[Text(node, "ID")] = NodeLabels(node);
    std::vector<TargetGroup> groups(1);
    groups[0].source = "DockerSwarm";
    for (const json::value& task : *tasks) {
      const Status status = AddTask(task, swarm, &groups[0].targets);
      if (!status.ok()) co_return status;
    }
    co_return groups;
  }

  // What tasks refer to, by id.
  struct Swarm {
    std::map<std::string, TextMap> services;
    std::map<std::string, const json::array*> ports;  // Of services.
    std::map<std::string, TextMap> nodes;
    const std::map<std::string, TextMap>* networks = nullptr;
  };

  Status AddTask(const json::value& task, const Swarm& swarm,
                 std::vector<TargetLabels>* targets) const {
    const json::value& status = Member(task, "Status");
    const std::string service_id = Text(task, "ServiceID");
    TextMap own = {{"__meta_dockerswarm_task_id", Text(task, "ID")},
                   {"__meta_dockerswarm_task_desired_state", Text(task, "DesiredState")},
                   {"__meta_dockerswarm_task_state", Text(status, "State")},
                   {"__meta_dockerswarm_task_slot", std::to_string(Int(task, "Slot"))}};
    if (const json::value& container = Member(status, "ContainerStatus"); container.is_object()) {
      own["__meta_dockerswarm_task_container_id"] = Text(container, "ContainerID");
    }
    AddLabels(Object(Member(Member(task, "Spec"), "ContainerSpec"), "Labels"),
              "__meta_dockerswarm_container_label_", &own);
    const TextMap* service = Find(swarm.services, service_id);
    const TextMap* node = Find(swarm.nodes, Text(task, "NodeID"));
    const std::string node_address =
        node == nullptr ? "" : node->at("__meta_dockerswarm_node_address");

    const auto publish_mode = [](const json::value& port) {
      return TextMap{{"__meta_dockerswarm_task_port_publish_mode", Text(port, "PublishMode")}};
    };
    for (const json::value& port : Array(Member(status, "PortStatus"), "Ports")) {
      if (Text(port, "Protocol") != "tcp") continue;
      const TextMap mode = publish_mode(port);
      targets->push_back(Merge({&mode, &own, service, node},
                               JoinHostPort(node_address, Int(port, "PublishedPort"))));
    }
    const auto ports = swarm.ports.find(service_id);
    for (const json::value& attachment : Array(task, "NetworksAttachments")) {
      const TextMap* network = Find(*swarm.networks, Text(Member(attachment, "Network"), "ID"));
      for (const std::string& address : Texts(Array(attachment, "Addresses"))) {
        NARTHEX_TRY(const std::string ip, AddressOf(address));
        bool added = false;
        if (ports != swarm.ports.end()) {
          for (const json::value& port : *ports->second) {
            if (Text(port, "Protocol") != "tcp") continue;
            const TextMap mode = publish_mode(port);
            targets->push_back(Merge({&mode, &own, service, node, network},
                                     JoinHostPort(ip, Int(port, "PublishedPort"))));
            added = true;
          }
        }
        if (!added) {
          targets->push_back(Merge({&own, service, node, network}, JoinHostPort(ip, config_.port)));
        }
      }
    }
    return {};
  }

  const DockerSwarmSdConfig config_;
  DockerEngine engine_;
};

}  // namespace

void RegisterDockerSwarmDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<SwarmDiscoverer, DockerSwarmSdConfig>(registry, "dockerswarm");
}

}  // namespace narthex
