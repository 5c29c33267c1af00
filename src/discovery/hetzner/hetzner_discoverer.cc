#include "discovery/hetzner/hetzner_discoverer.h"

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"
#include "net/url.h"
#include "util/strings.h"

namespace narthex {

namespace {

constexpr std::string_view kCloudApi = "https://api.hetzner.cloud/v1";
constexpr std::string_view kRobotApi = "https://robot-ws.your-server.de";
constexpr int kPagesMax = 10'000;

TargetLabels CloudTarget(const json::value& server, const std::map<int64_t, std::string>& networks,
                         int64_t port) {
  const json::value& net = Member(server, "public_net");
  const std::string ipv4 = Text(Member(net, "ipv4"), "ip");
  const json::value& location = Member(server, "location").is_object()
                                    ? Member(server, "location")
                                    : Member(Member(server, "datacenter"), "location");
  const json::value& type = Member(server, "server_type");
  const auto memory = Member(type, "memory").is_double()
                          ? static_cast<int64_t>(Member(type, "memory").as_double())
                          : Int(type, "memory");
  TextMap labels = {
      {std::string(kAddressLabel), JoinHostPort(ipv4, port)},
      {"__meta_hetzner_role", "hcloud"},
      {"__meta_hetzner_server_id", std::to_string(Int(server, "id"))},
      {"__meta_hetzner_server_name", Text(server, "name")},
      {"__meta_hetzner_public_ipv4", ipv4},
      {"__meta_hetzner_public_ipv6_network", Text(Member(net, "ipv6"), "ip")},
      {"__meta_hetzner_server_status", Text(server, "status")},
      {"__meta_hetzner_hcloud_location", Text(location, "name")},
      {"__meta_hetzner_hcloud_location_network_zone", Text(location, "network_zone")},
      // Names from before the API had locations of their own.
      {"__meta_hetzner_hcloud_datacenter_location", Text(location, "name")},
      {"__meta_hetzner_hcloud_datacenter_location_network_zone", Text(location, "network_zone")},
      {"__meta_hetzner_hcloud_server_type", Text(type, "name")},
      {"__meta_hetzner_hcloud_cpu_cores", std::to_string(Int(type, "cores"))},
      {"__meta_hetzner_hcloud_cpu_type", Text(type, "cpu_type")},
      {"__meta_hetzner_hcloud_memory_size_gb", std::to_string(memory)},
      {"__meta_hetzner_hcloud_disk_size_gb", std::to_string(Int(type, "disk"))},
  };
  if (const json::value& image = Member(server, "image"); image.is_object()) {
    labels["__meta_hetzner_hcloud_image_name"] = Text(image, "name");
    labels["__meta_hetzner_hcloud_image_description"] = Text(image, "description");
    labels["__meta_hetzner_hcloud_image_os_version"] = Text(image, "os_version");
    labels["__meta_hetzner_hcloud_image_os_flavor"] = Text(image, "os_flavor");
  }
  for (const json::value& attached : Array(server, "private_net")) {
    const auto network = networks.find(Int(attached, "network"));
    if (network == networks.end()) continue;
    labels["__meta_hetzner_hcloud_private_ipv4_" + SanitizeLabelName(network->second)] =
        Text(attached, "ip");
  }
  for (const auto& [key, value] : Object(server, "labels")) {
    const std::string name = SanitizeLabelName(key);
    labels["__meta_hetzner_hcloud_labelpresent_" + name] = "true";
    labels["__meta_hetzner_hcloud_label_" + name] = std::string(AsText(value));
  }
  return ToTarget(std::move(labels));
}

TargetLabels RobotTarget(const json::value& server, int64_t port) {
  const std::string address = Text(server, "server_ip");
  const std::string datacenter = ToLower(Text(server, "dc"));
  TextMap labels = {
      {std::string(kAddressLabel), JoinHostPort(address, port)},
      {"__meta_hetzner_role", "robot"},
      {"__meta_hetzner_server_id", std::to_string(Int(server, "server_number"))},
      {"__meta_hetzner_server_name", Text(server, "server_name")},
      {"__meta_hetzner_datacenter", datacenter},
      {"__meta_hetzner_public_ipv4", address},
      {"__meta_hetzner_server_status", Text(server, "status")},
      {"__meta_hetzner_robot_datacenter", datacenter},
      {"__meta_hetzner_robot_product", Text(server, "product")},
      {"__meta_hetzner_robot_cancelled", Bool(server, "cancelled") ? "true" : "false"},
  };
  for (const json::value& subnet : Array(server, "subnet")) {
    const std::string ip = Text(subnet, "ip");
    if (ip.find(':') == std::string::npos) continue;
    labels["__meta_hetzner_public_ipv6_network"] = ip + "/" + Text(subnet, "mask");
    break;
  }
  return ToTarget(std::move(labels));
}

class HetznerDiscoverer : public ApiDiscoverer {
 public:
  HetznerDiscoverer(const HetznerSdConfig& config, std::string set_name,
                    DiscoveryEnvironment& environment)
      : ApiDiscoverer("hetzner", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config) {}

 private:
  Async<Groups> FetchGroups() override {
    return config_.role == "robot" ? FetchRobot() : FetchCloud();
  }

  Async<Groups> FetchCloud() {
    std::vector<TargetGroup> groups(1);
    groups[0].source = "hetzner";
    std::string filter;
    if (!config_.label_selector.empty()) {
      filter = "label_selector=" + net::QueryEscape(config_.label_selector) + "&";
    }
    NARTHEX_CO_TRY(const json::array servers, co_await FetchAll("servers", std::move(filter)));
    NARTHEX_CO_TRY(const json::array listed, co_await FetchAll("networks", ""));
    std::map<int64_t, std::string> networks;
    for (const json::value& network : listed) networks[Int(network, "id")] = Text(network, "name");
    for (const json::value& server : servers) {
      groups[0].targets.push_back(CloudTarget(server, networks, config_.port));
    }
    co_return groups;
  }

  // All pages of a list.
  Async<Result<json::array>> FetchAll(std::string kind, std::string filter) {
    json::array all;
    int64_t page = 1;
    for (int pages = 0; page != 0 && pages < kPagesMax; ++pages) {
      const std::string url =
          fmt::format("{}/{}?{}page={}&per_page=50", kCloudApi, kind, filter, page);
      NARTHEX_CO_TRY(const json::value answer, co_await FetchJson(api(), api().Get(url)));
      for (const json::value& item : Array(answer, kind)) all.push_back(item);
      page = Int(Member(Member(answer, "meta"), "pagination"), "next_page");
    }
    co_return all;
  }

  Async<Groups> FetchRobot() {
    const std::string url = std::string(kRobotApi) + "/server";
    NARTHEX_CO_TRY(const FetchResponse answer, co_await api().Send(api().Get(url)));
    if (answer.status_code / 100 != 2) {
      co_return MakeError(
          ErrorCode::kUnavailable,
          "non 2xx status '{}' response during hetzner service discovery with role robot",
          answer.status_code);
    }
    NARTHEX_CO_TRY(const json::array servers, ParseJsonArray(answer.body));
    std::vector<TargetGroup> groups(1);
    groups[0].source = "hetzner";
    for (const json::value& server : servers) {
      groups[0].targets.push_back(RobotTarget(Member(server, "server"), config_.port));
    }
    co_return groups;
  }

  const HetznerSdConfig config_;
};

}  // namespace

void RegisterHetznerDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<HetznerDiscoverer, HetznerSdConfig>(registry, "hetzner");
}

}  // namespace narthex
