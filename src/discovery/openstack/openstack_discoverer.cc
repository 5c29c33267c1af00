#include "discovery/openstack/openstack_discoverer.h"

#include <set>

#include "discovery/json_labels.h"
#include "discovery/openstack/openstack_client.h"
#include "util/log.h"
#include "util/strings.h"

namespace narthex {

namespace {

class OpenstackDiscoverer : public ApiDiscoverer {
 public:
  OpenstackDiscoverer(const OpenstackSdConfig& config, std::string set_name,
                      DiscoveryEnvironment& environment)
      : ApiDiscoverer("openstack", std::move(set_name), config.refresh_interval.nanos, environment,
                      ClientWithTls(config.tls_config)),
        config_(config),
        cloud_(api(), config) {}

 private:
  Async<Groups> FetchGroups() override {
    std::vector<TargetGroup> groups(1);
    groups[0].source = "OS_" + config_.region;
    std::vector<TargetLabels>* targets = &groups[0].targets;
    Status status = co_await cloud_.Authenticate();
    if (status.ok() && config_.role == "hypervisor") status = co_await FetchHypervisors(targets);
    if (status.ok() && config_.role == "instance") status = co_await FetchInstances(targets);
    if (status.ok() && config_.role == "loadbalancer") status = co_await FetchBalancers(targets);
    if (!status.ok()) co_return status;
    co_return groups;
  }

  Result<std::string> Session(std::string_view type, std::string_view title) const {
    Result<std::string> endpoint = cloud_.Endpoint(type);
    if (endpoint.ok()) return endpoint;
    return endpoint.status().WithPrefix(
        fmt::format("could not create OpenStack {} session: ", title));
  }

  Async<Status> FetchHypervisors(std::vector<TargetLabels>* targets) {
    const Result<std::string> compute = Session("compute", "compute");
    if (!compute.ok()) co_return compute.status();
    const Result<json::array> hypervisors =
        co_await cloud_.List(*compute + "os-hypervisors/detail", "hypervisors");
    if (!hypervisors.ok()) co_return hypervisors.status();
    for (const json::value& hypervisor : *hypervisors) {
      const std::string ip = Text(hypervisor, "host_ip");
      targets->push_back(ToTarget({
          {std::string(kAddressLabel), JoinHostPort(ip, config_.port)},
          {"__meta_openstack_hypervisor_host_ip", ip},
          {"__meta_openstack_hypervisor_hostname", Text(hypervisor, "hypervisor_hostname")},
          {"__meta_openstack_hypervisor_id", AsPrinted(Member(hypervisor, "id"))},
          {"__meta_openstack_hypervisor_state", Text(hypervisor, "state")},
          {"__meta_openstack_hypervisor_status", Text(hypervisor, "status")},
          {"__meta_openstack_hypervisor_type", Text(hypervisor, "hypervisor_type")},
      }));
    }
    co_return Status();
  }

  // Addresses from outside, by the device and the address inside that they lead to.
  struct FloatingIps {
    std::map<std::pair<std::string, std::string>, std::string> by_inside;
    std::set<std::string> all;
  };

  Async<Status> FetchInstances(std::vector<TargetLabels>* targets) {
    const Result<std::string> compute = Session("compute", "compute");
    if (!compute.ok()) co_return compute.status();
    const Result<std::string> network = Session("network", "network");
    if (!network.ok()) co_return network.status();
    const Result<json::array> ports = co_await cloud_.List(*network + "v2.0/ports", "ports");
    if (!ports.ok()) co_return ports.status().WithPrefix("failed to list all ports: ");
    const Result<json::array> listed =
        co_await cloud_.List(*network + "v2.0/floatingips", "floatingips");
    if (!listed.ok()) co_return listed.status();
    std::map<std::string, std::string> devices;  // By port.
    for (const json::value& port : *ports) devices[Text(port, "id")] = Text(port, "device_id");
    FloatingIps floating;
    for (const json::value& ip : *listed) {
      const std::string port = Text(ip, "port_id");
      const std::string inside = Text(ip, "fixed_ip_address");
      if (port.empty() || inside.empty()) continue;
      const auto device = devices.find(port);
      if (device == devices.end()) {
        LOG_WARN("Floating IP PortID not found in portList", {"discovery", "openstack"},
                 {"PortID", port});
        continue;
      }
      const std::string outside = Text(ip, "floating_ip_address");
      floating.by_inside[{device->second, inside}] = outside;
      floating.all.insert(outside);
    }
    const Result<json::array> servers = co_await cloud_.List(
        *compute + "servers/detail" + (config_.all_tenants ? "?all_tenants=true" : ""), "servers");
    if (!servers.ok()) {
      co_return servers.status().WithPrefix("could not extract instances: ");
    }
    for (const json::value& server : *servers) AddInstance(server, floating, targets);
    co_return Status();
  }

  void AddInstance(const json::value& server, const FloatingIps& floating,
                   std::vector<TargetLabels>* targets) const {
    const std::string id = Text(server, "id");
    TextMap common = {{"__meta_openstack_instance_id", id},
                      {"__meta_openstack_instance_name", Text(server, "name")},
                      {"__meta_openstack_instance_status", Text(server, "status")},
                      {"__meta_openstack_project_id", Text(server, "tenant_id")},
                      {"__meta_openstack_user_id", Text(server, "user_id")}};
    // Newer versions of the API give a flavor's name, older ones its id.
    const json::value& flavor = Member(server, "flavor");
    const json::value& name = Member(flavor, "original_name");
    const json::value& shown = name.is_string() ? name : Member(flavor, "id");
    if (!shown.is_string()) return;
    common["__meta_openstack_instance_flavor"] = std::string(AsText(shown));
    SetIfText(Member(server, "image"), "id", "__meta_openstack_instance_image", &common);
    AddLabels(Object(server, "metadata"), "__meta_openstack_tag_", &common);
    for (const auto& [pool, addresses] : Object(server, "addresses")) {
      for (const json::value& address : AsArray(addresses)) {
        const std::string ip = Text(address, "addr");
        if (ip.empty() || floating.all.contains(ip)) continue;
        TextMap labels = common;
        labels["__meta_openstack_address_pool"] = std::string(pool);
        labels["__meta_openstack_private_ip"] = ip;
        if (const auto outside = floating.by_inside.find({id, ip});
            outside != floating.by_inside.end()) {
          labels["__meta_openstack_public_ip"] = outside->second;
        }
        labels[std::string(kAddressLabel)] = JoinHostPort(ip, config_.port);
        targets->push_back(ToTarget(std::move(labels)));
      }
    }
  }

  Async<Status> FetchBalancers(std::vector<TargetLabels>* targets) {
    const Result<std::string> service = Session("load-balancer", "load balancer");
    if (!service.ok()) co_return service.status();
    const Result<std::string> network = Session("network", "network");
    if (!network.ok()) co_return network.status();
    const Result<json::array> balancers =
        co_await cloud_.List(*service + "v2.0/lbaas/loadbalancers", "loadbalancers");
    if (!balancers.ok()) {
      co_return balancers.status().WithPrefix("failed to list load balancers: ");
    }
    const Result<json::array> listeners =
        co_await cloud_.List(*service + "v2.0/lbaas/listeners", "listeners");
    if (!listeners.ok()) {
      co_return listeners.status().WithPrefix("failed to list all listeners: ");
    }
    const Result<json::array> ips =
        co_await cloud_.List(*network + "v2.0/floatingips", "floatingips");
    if (!ips.ok()) co_return ips.status().WithPrefix("failed to list floating IPs: ");
    // The port of the first listener that speaks Prometheus, by load balancer.
    std::map<std::string, int64_t> metrics_ports;
    for (const json::value& listener : *listeners) {
      if (Text(listener, "protocol") != "PROMETHEUS") continue;
      for (const json::value& balancer : Array(listener, "loadbalancers")) {
        metrics_ports.emplace(Text(balancer, "id"), Int(listener, "protocol_port"));
      }
    }
    std::map<std::string, std::string> outside;  // By port.
    for (const json::value& ip : *ips) {
      const std::string port = Text(ip, "port_id");
      if (!port.empty()) outside[port] = Text(ip, "floating_ip_address");
    }
    for (const json::value& balancer : *balancers) {
      const auto port = metrics_ports.find(Text(balancer, "id"));
      if (port == metrics_ports.end()) continue;
      const std::string ip = Text(balancer, "vip_address");
      const std::string prefix = "__meta_openstack_loadbalancer_";
      TextMap labels = {
          {std::string(kAddressLabel), JoinHostPort(ip, port->second)},
          {prefix + "availability_zone", Text(balancer, "availability_zone")},
          {prefix + "id", Text(balancer, "id")},
          {prefix + "name", Text(balancer, "name")},
          {prefix + "operating_status", Text(balancer, "operating_status")},
          {prefix + "provider", Text(balancer, "provider")},
          {prefix + "provisioning_status", Text(balancer, "provisioning_status")},
          {prefix + "vip", ip},
          {"__meta_openstack_project_id", Text(balancer, "project_id")},
      };
      const std::vector<std::string> tags = Texts(Array(balancer, "tags"));
      if (!tags.empty()) labels[prefix + "tags"] = Join(tags, ",");
      if (const auto found = outside.find(Text(balancer, "vip_port_id")); found != outside.end()) {
        labels[prefix + "floating_ip"] = found->second;
      }
      targets->push_back(ToTarget(std::move(labels)));
    }
    co_return Status();
  }

  const OpenstackSdConfig config_;
  OpenstackClient cloud_;
};

}  // namespace

void RegisterOpenstackDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<OpenstackDiscoverer, OpenstackSdConfig>(registry, "openstack");
}

}  // namespace narthex
