#include "discovery/moby/docker_discoverer.h"

#include "discovery/json_labels.h"
#include "discovery/moby/engine_client.h"

namespace narthex {

namespace {

constexpr std::string_view kSharesNetworkOf = "container:";

std::string NetworkMode(const json::value& container) {
  return Text(Member(container, "HostConfig"), "NetworkMode");
}
const json::object& NetworksOf(const json::value& container) {
  return Object(Member(container, "NetworkSettings"), "Networks");
}

class DockerDiscoverer : public ApiDiscoverer {
 public:
  DockerDiscoverer(const DockerSdConfig& config, std::string set_name,
                   DiscoveryEnvironment& environment)
      : ApiDiscoverer("docker", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config),
        engine_(config.host, config.filters) {}

 private:
  using Containers = std::map<std::string, const json::value*, std::less<>>;  // By id.

  Async<Groups> FetchGroups() override {
    const Result<json::array> containers = co_await engine_.List(api(), "/containers/json", true);
    if (!containers.ok()) {
      co_return containers.status().WithPrefix("error while listing containers: ");
    }
    const auto networks = co_await engine_.NetworkLabels(api(), "__meta_docker_");
    if (!networks.ok()) {
      co_return networks.status().WithPrefix("error while computing network labels: ");
    }
    Containers by_id;
    for (const json::value& container : *containers) by_id[Text(container, "Id")] = &container;
    std::vector<TargetGroup> groups(1);
    groups[0].source = "Docker";
    for (const json::value& container : *containers) {
      if (!Array(container, "Names").empty()) {
        AddContainer(container, by_id, *networks, &groups[0].targets);
      }
    }
    co_return groups;
  }

  // The networks a container is reached in: its own, or those of the container it shares them with.
  static const json::object& FindNetworks(const json::value& container, const Containers& by_id) {
    const json::object* networks = &NetworksOf(container);
    std::string mode = NetworkMode(container);
    // Each step follows one reference; a circle of them ends with the number of containers.
    for (size_t steps = 0; networks->empty() && steps <= by_id.size(); ++steps) {
      if (!mode.starts_with(kSharesNetworkOf)) break;
      const auto other = by_id.find(std::string_view(mode).substr(kSharesNetworkOf.size()));
      if (other == by_id.end()) break;
      networks = &NetworksOf(*other->second);
      mode = NetworkMode(*other->second);
    }
    return *networks;
  }

  void AddContainer(const json::value& container, const Containers& by_id,
                    const std::map<std::string, TextMap>& network_labels,
                    std::vector<TargetLabels>* targets) const {
    const std::string mode = NetworkMode(container);
    TextMap common = {
        {"__meta_docker_container_id", Text(container, "Id")},
        {"__meta_docker_container_name", std::string(AsText(Array(container, "Names")[0]))},
        {"__meta_docker_container_network_mode", mode}};
    if (const std::string image = Text(container, "Image"); !image.empty()) {
      common["__meta_docker_container_image"] = image;
    }
    if (const std::string id = Text(container, "ImageID"); !id.empty()) {
      common["__meta_docker_container_image_id"] = id;
    }
    AddLabels(Object(container, "Labels"), "__meta_docker_container_label_", &common);

    // By name, so that the first one is always the same.
    std::map<std::string, const json::value*> networks;
    for (const auto& [name, network] : FindNetworks(container, by_id)) {
      if (network.is_object()) networks[name] = &network;
    }
    for (const auto& [name, network] : networks) {
      AddNetwork(container, *network, common, mode, network_labels, targets);
      if (config_.match_first_network) break;
    }
  }

  void AddNetwork(const json::value& container, const json::value& network, const TextMap& common,
                  const std::string& mode, const std::map<std::string, TextMap>& network_labels,
                  std::vector<TargetLabels>* targets) const {
    std::string ip = Text(network, "IPAddress");
    if (ip.empty()) ip = Text(network, "GlobalIPv6Address");
    const auto known = network_labels.find(Text(network, "NetworkID"));
    const auto add = [&](TextMap labels, std::string address) {
      labels.insert(common.begin(), common.end());
      if (known != network_labels.end()) {
        for (const auto& [label, value] : known->second) labels[label] = value;
      }
      labels["__meta_docker_network_ip"] = ip;
      labels[std::string(kAddressLabel)] = std::move(address);
      targets->push_back(ToTarget(std::move(labels)));
    };
    bool added = false;
    for (const json::value& port : Array(container, "Ports")) {
      if (Text(port, "Type") != "tcp") continue;
      const int64_t inside = Int(port, "PrivatePort");
      TextMap labels = {{"__meta_docker_port_private", std::to_string(inside)}};
      if (const int64_t outside = Int(port, "PublicPort"); outside > 0) {
        labels["__meta_docker_port_public"] = std::to_string(outside);
        labels["__meta_docker_port_public_ip"] = Text(port, "IP");
      }
      add(std::move(labels), JoinHostPort(ip, inside));
      added = true;
    }
    if (added) return;
    // Containers on the host's network have no ports of their own to show.
    add({}, mode == "host" ? config_.host_networking_host : JoinHostPort(ip, config_.port));
  }

  const DockerSdConfig config_;
  DockerEngine engine_;
};

}  // namespace

void RegisterDockerDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<DockerDiscoverer, DockerSdConfig>(registry, "docker");
}

}  // namespace narthex
