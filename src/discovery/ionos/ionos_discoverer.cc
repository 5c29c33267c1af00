#include "discovery/ionos/ionos_discoverer.h"

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"
#include "discovery/json_labels.h"
#include "net/url.h"

namespace narthex {

namespace {

constexpr std::string_view kApi = "https://api.ionos.com";

// Later network cards come first, each with its addresses in order.
void Prepend(const std::vector<std::string>& first, std::vector<std::string>* list) {
  list->insert(list->begin(), first.begin(), first.end());
}

// No labels for a server without addresses, which cannot be scraped.
TargetLabels ServerTarget(const json::value& server, const json::value& list, int64_t port) {
  std::vector<std::string> ips;
  std::map<std::string, std::vector<std::string>> ips_by_card;
  const json::value& entities = Member(server, "entities");
  for (const json::value& card : Array(Member(entities, "nics"), "items")) {
    const json::value& properties = Member(card, "properties");
    if (!properties.is_object()) continue;
    const json::value& name = Member(properties, "name");
    const std::vector<std::string> own = Texts(Array(properties, "ips"));
    Prepend(own, &ips);
    Prepend(own, &ips_by_card[name.is_string() ? std::string(AsText(name)) : "unnamed"]);
  }
  if (ips.empty()) return {};
  TextMap labels = {{std::string(kAddressLabel), JoinHostPort(ips[0], port)},
                    {"__meta_ionos_server_ip", WrapList(ips, ",")}};
  for (const auto& [name, own] : ips_by_card) {
    labels["__meta_ionos_server_nic_ip_" + SanitizeLabelName(name)] = WrapList(own, ",");
  }
  const json::value& properties = Member(server, "properties");
  SetIfText(properties, "availabilityZone", "__meta_ionos_server_availability_zone", &labels);
  SetIfText(properties, "cpuFamily", "__meta_ionos_server_cpu_family", &labels);
  SetIfText(properties, "name", "__meta_ionos_server_name", &labels);
  SetIfText(properties, "vmState", "__meta_ionos_server_state", &labels);
  SetIfText(properties, "type", "__meta_ionos_server_type", &labels);
  SetIfText(Member(properties, "bootCdrom"), "id", "__meta_ionos_server_boot_cdrom_id", &labels);
  SetIfText(Member(properties, "bootVolume"), "id", "__meta_ionos_server_boot_volume_id", &labels);
  SetIfText(list, "id", "__meta_ionos_server_servers_id", &labels);
  SetIfText(server, "id", "__meta_ionos_server_id", &labels);
  SetIfText(Member(server, "metadata"), "state", "__meta_ionos_server_lifecycle", &labels);
  if (const json::array& volumes = Array(Member(entities, "volumes"), "items"); !volumes.empty()) {
    SetIfText(Member(volumes[0], "properties"), "image", "__meta_ionos_server_boot_image_id",
              &labels);
  }
  return ToTarget(std::move(labels));
}

class IonosDiscoverer : public ApiDiscoverer {
 public:
  IonosDiscoverer(const IonosSdConfig& config, std::string set_name,
                  DiscoveryEnvironment& environment)
      : ApiDiscoverer("ionos", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        port_(config.port),
        url_(fmt::format("{}/cloudapi/v6/datacenters/{}/servers"
                         "?depth=3&limit=1000&offset=0&pretty=true",
                         kApi, net::PathEscape(config.datacenter_id))) {}

 private:
  Async<Groups> FetchGroups() override {
    NARTHEX_CO_TRY(const json::value answer, co_await FetchJson(api(), api().Get(url_)));
    std::vector<TargetGroup> groups(1);
    groups[0].source = "ionos";
    for (const json::value& server : Array(answer, "items")) {
      TargetLabels target = ServerTarget(server, answer, port_);
      if (!target.empty()) groups[0].targets.push_back(std::move(target));
    }
    co_return groups;
  }

  const int64_t port_;
  const std::string url_;
};

}  // namespace

void RegisterIonosDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<IonosDiscoverer, IonosSdConfig>(registry, "ionos");
}

}  // namespace narthex
