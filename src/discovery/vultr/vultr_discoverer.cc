#include "discovery/vultr/vultr_discoverer.h"

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"
#include "net/url.h"

namespace narthex {

namespace {

constexpr std::string_view kApi = "https://api.vultr.com/v2/instances";
constexpr int kPagesMax = 10'000;

TargetLabels InstanceTarget(const json::value& instance, int64_t port) {
  const auto number = [&](std::string_view name) { return std::to_string(Int(instance, name)); };
  TextMap labels = {
      {std::string(kAddressLabel), JoinHostPort(Text(instance, "main_ip"), port)},
      {"__meta_vultr_instance_allowed_bandwidth_gb", number("allowed_bandwidth")},
      {"__meta_vultr_instance_disk_gb", number("disk")},
      {"__meta_vultr_instance_hostname", Text(instance, "hostname")},
      {"__meta_vultr_instance_id", Text(instance, "id")},
      {"__meta_vultr_instance_internal_ip", Text(instance, "internal_ip")},
      {"__meta_vultr_instance_label", Text(instance, "label")},
      {"__meta_vultr_instance_main_ip", Text(instance, "main_ip")},
      {"__meta_vultr_instance_main_ipv6", Text(instance, "v6_main_ip")},
      {"__meta_vultr_instance_os", Text(instance, "os")},
      {"__meta_vultr_instance_os_id", number("os_id")},
      {"__meta_vultr_instance_plan", Text(instance, "plan")},
      {"__meta_vultr_instance_ram_mb", number("ram")},
      {"__meta_vultr_instance_region", Text(instance, "region")},
      {"__meta_vultr_instance_server_status", Text(instance, "server_status")},
      {"__meta_vultr_instance_vcpu_count", number("vcpu_count")},
  };
  SetList("__meta_vultr_instance_features", Texts(Array(instance, "features")), ",", &labels);
  SetList("__meta_vultr_instance_tags", Texts(Array(instance, "tags")), ",", &labels);
  return ToTarget(std::move(labels));
}

class VultrDiscoverer : public ApiDiscoverer {
 public:
  VultrDiscoverer(const VultrSdConfig& config, std::string set_name,
                  DiscoveryEnvironment& environment)
      : ApiDiscoverer("vultr", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        port_(config.port) {}

 private:
  Async<Groups> FetchGroups() override {
    std::vector<TargetGroup> groups(1);
    groups[0].source = "Vultr";
    std::string cursor;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      net::FormValues query;
      query.Add("per_page", "100");
      if (!cursor.empty()) query.Add("cursor", cursor);
      const std::string url = std::string(kApi) + "?" + query.Encode();
      NARTHEX_CO_TRY(const json::value answer, co_await FetchJson(api(), api().Get(url)));
      for (const json::value& instance : Array(answer, "instances")) {
        groups[0].targets.push_back(InstanceTarget(instance, port_));
      }
      cursor = Text(Member(Member(answer, "meta"), "links"), "next");
      if (cursor.empty()) break;
    }
    co_return groups;
  }

  const int64_t port_;
};

}  // namespace

void RegisterVultrDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<VultrDiscoverer, VultrSdConfig>(registry, "vultr");
}

}  // namespace narthex
