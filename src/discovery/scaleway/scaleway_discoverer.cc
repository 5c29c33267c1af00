#include "discovery/scaleway/scaleway_discoverer.h"

#include <cstdlib>

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"
#include "net/url.h"
#include "util/strings.h"

namespace narthex {

namespace {

constexpr int64_t kPagesMax = 10'000;

// "fr-par" of "fr-par-1"; an error for what is no zone.
Result<std::string> RegionOf(const std::string& zone) {
  const auto letters = [&](size_t from, size_t to) {
    for (size_t i = from; i < to; ++i) {
      if (zone[i] < 'a' || zone[i] > 'z') return false;
    }
    return true;
  };
  if (zone.size() == 8 && letters(0, 2) && zone[2] == '-' && letters(3, 6) && zone[6] == '-' &&
      zone[7] >= '1' && zone[7] <= '9') {
    return zone.substr(0, 6);
  }
  return MakeError(ErrorCode::kInvalidInput, "invalid zone '{}'", zone);
}

// What a refusal says, as Scaleway's own client words it.
Status RefusalOf(const FetchResponse& answer) {
  std::string text = "scaleway-sdk-go: http error " + answer.status;
  if (const Result<json::object> said = ParseJsonObject(answer.body); said.ok()) {
    if (const std::string what = Text(*said, "resource"); !what.empty()) {
      text += ": resource " + what;
    }
    if (const std::string message = Text(*said, "message"); !message.empty()) {
      text += ": " + message;
    }
  }
  return Status(ErrorCode::kUnavailable, text);
}

// Servers without an address of their own are reached through a private network.
bool HasAddress(const json::value& server) {
  return !Member(server, "private_ip").is_null() || !Member(server, "public_ip").is_null() ||
         !Member(server, "ipv6").is_null();
}

using TextsById = std::map<std::string, std::string>;

// The target, or nothing for a server without any address.
std::optional<TargetLabels> InstanceTarget(const json::value& server, const TextsById& nic_ips,
                                           int64_t port) {
  const std::string prefix = "__meta_scaleway_instance_";
  TextMap labels;
  const auto set = [&](std::string_view name, std::string value) {
    labels[prefix + std::string(name)] = std::move(value);
  };
  for (const auto& [name, member] :
       {std::pair("boot_type", "boot_type"), std::pair("hostname", "hostname"),
        std::pair("id", "id"), std::pair("name", "name"),
        std::pair("organization_id", "organization"), std::pair("project_id", "project"),
        std::pair("status", "state"), std::pair("type", "commercial_type"),
        std::pair("zone", "zone")}) {
    set(name, Text(server, member));
  }
  if (const json::value& image = Member(server, "image"); image.is_object()) {
    set("image_arch", Text(image, "arch"));
    set("image_id", Text(image, "id"));
    set("image_name", Text(image, "name"));
  }
  if (const json::value& place = Member(server, "location"); place.is_object()) {
    set("location_cluster_id", Text(place, "cluster_id"));
    set("location_hypervisor_id", Text(place, "hypervisor_id"));
    set("location_node_id", Text(place, "node_id"));
  }
  if (const json::value& group = Member(server, "security_group"); group.is_object()) {
    set("security_group_id", Text(group, "id"));
    set("security_group_name", Text(group, "name"));
  }
  if (Result<std::string> region = RegionOf(Text(server, "zone")); region.ok()) {
    set("region", *std::move(region));
  }
  SetList(prefix + "tags", Texts(Array(server, "tags")), ",", &labels);

  std::vector<std::string> ipv4;
  std::vector<std::string> ipv6;
  for (const json::value& ip : Array(server, "public_ips")) {
    const std::string family = Text(ip, "family");
    if (family == "inet") ipv4.push_back(Text(ip, "address"));
    if (family == "inet6") ipv6.push_back(Text(ip, "address"));
  }
  SetList(prefix + "public_ipv6_addresses", ipv6, ",", &labels);
  SetList(prefix + "public_ipv4_addresses", ipv4, ",", &labels);

  // The later ones win.
  std::string address;
  if (const json::value& ip = Member(server, "ipv6"); ip.is_object()) {
    address = Text(ip, "address");
    set("public_ipv6", address);
  }
  if (const json::value& ip = Member(server, "public_ip"); ip.is_object()) {
    address = Text(ip, "address");
    if (Text(ip, "family") != "inet6") set("public_ipv4", address);
  }
  if (const json::value& ip = Member(server, "private_ip"); ip.is_string()) {
    address = std::string(AsText(ip));
    set("private_ipv4", address);
  }
  if (address.empty()) {
    for (const json::value& nic : Array(server, "private_nics")) {
      const auto found = nic_ips.find(Text(nic, "id"));
      if (found == nic_ips.end()) continue;
      address = found->second;
      set("private_ipv4", address);
      break;
    }
  }
  if (address.empty()) return std::nullopt;
  labels[std::string(kAddressLabel)] = JoinHostPort(address, port);
  return ToTarget(std::move(labels));
}

class ScalewayDiscoverer : public ApiDiscoverer {
 public:
  ScalewayDiscoverer(const ScalewaySdConfig& config, std::string set_name,
                     DiscoveryEnvironment& environment)
      : ApiDiscoverer("scaleway", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config) {}

 private:
  Async<Groups> FetchGroups() override {
    return config_.role == "baremetal" ? FetchBaremetal() : FetchInstances();
  }

  Async<Groups> FetchInstances() {
    net::FormValues query;
    query.Add("order", "creation_date_desc");
    if (!config_.name_filter.empty()) query.Add("name", config_.name_filter);
    if (!config_.tags_filter.empty()) query.Add("tags", Join(config_.tags_filter, ","));
    NARTHEX_CO_TRY(const json::array servers,
                   co_await FetchAll(fmt::format("/instance/v1/zones/{}/servers", config_.zone),
                                     std::move(query), "servers"));
    std::map<std::string, std::vector<std::string>> nics_by_region;
    for (const json::value& server : servers) {
      if (HasAddress(server)) continue;
      NARTHEX_CO_TRY(const std::string region, RegionOf(Text(server, "zone")));
      for (const json::value& nic : Array(server, "private_nics")) {
        std::string id = Text(nic, "id");
        if (!id.empty()) nics_by_region[region].push_back(std::move(id));
      }
    }
    TextsById nic_ips;
    for (const auto& [region, nics] : nics_by_region) {
      const Status status = co_await FetchNicAddresses(region, nics, &nic_ips);
      if (!status.ok()) co_return status;
    }
    std::vector<TargetGroup> groups(1);
    groups[0].source = "scaleway";
    for (const json::value& server : servers) {
      std::optional<TargetLabels> target = InstanceTarget(server, nic_ips, config_.port);
      if (target) groups[0].targets.push_back(*std::move(target));
    }
    co_return groups;
  }

  // The IPv4 addresses that the address management has for network cards.
  Async<Status> FetchNicAddresses(std::string region, std::vector<std::string> nics,
                                  TextsById* nic_ips) {
    net::FormValues query;
    query.Add("order_by", "created_at_desc");
    for (const std::string& nic : nics) query.Add("resource_ids", nic);
    query.Add("resource_type", "unknown_type");
    query.Add("resource_types", "instance_private_nic");
    const Result<json::array> ips =
        co_await FetchAll(fmt::format("/ipam/v1/regions/{}/ips", region), std::move(query), "ips");
    if (!ips.ok()) co_return ips.status();
    for (const json::value& ip : *ips) {
      const std::string network = Text(ip, "address");
      if (Bool(ip, "is_ipv6") || !Member(ip, "resource").is_object() || network.empty()) continue;
      (*nic_ips)[Text(Member(ip, "resource"), "id")] = network.substr(0, network.find('/'));
    }
    co_return Status();
  }

  Async<Groups> FetchBaremetal() {
    const std::string base = fmt::format("/baremetal/v1/zones/{}/", config_.zone);
    net::FormValues query;
    query.Add("order_by", "created_at_asc");
    if (!config_.name_filter.empty()) query.Add("name", config_.name_filter);
    for (const std::string& tag : config_.tags_filter) query.Add("tags", tag);
    NARTHEX_CO_TRY(const json::array servers,
                   co_await FetchAll(base + "servers", std::move(query), "servers"));
    net::FormValues any_period;
    any_period.Add("subscription_period", "unknown_subscription_period");
    NARTHEX_CO_TRY(const json::array offers,
                   co_await FetchAll(base + "offers", std::move(any_period), "offers"));
    NARTHEX_CO_TRY(const json::array systems, co_await FetchAll(base + "os", {}, "os"));
    TextsById offer_names;
    for (const json::value& offer : offers) {
      offer_names.emplace(Text(offer, "id"), Text(offer, "name"));
    }
    std::map<std::string, const json::value*> systems_by_id;
    for (const json::value& system : systems) systems_by_id.emplace(Text(system, "id"), &system);

    std::vector<TargetGroup> groups(1);
    groups[0].source = "scaleway";
    const std::string prefix = "__meta_scaleway_baremetal_";
    for (const json::value& server : servers) {
      TextMap labels = {
          {prefix + "id", Text(server, "id")},
          {prefix + "name", Text(server, "name")},
          {prefix + "zone", Text(server, "zone")},
          {prefix + "status", Text(server, "status")},
          {prefix + "project_id", Text(server, "project_id")},
      };
      if (const auto found = offer_names.find(Text(server, "offer_id"));
          found != offer_names.end()) {
        labels[prefix + "type"] = found->second;
      }
      if (const auto found = systems_by_id.find(Text(Member(server, "install"), "os_id"));
          found != systems_by_id.end()) {
        labels[prefix + "os_name"] = Text(*found->second, "name");
        labels[prefix + "os_version"] = Text(*found->second, "version");
      }
      SetList(prefix + "tags", Texts(Array(server, "tags")), ",", &labels);
      const Status status = AddAddresses(server, prefix, &labels);
      if (!status.ok()) co_return status;
      groups[0].targets.push_back(ToTarget(std::move(labels)));
    }
    co_return groups;
  }

  // The first address of each kind; IPv4 is preferred for scraping.
  Status AddAddresses(const json::value& server, const std::string& prefix, TextMap* labels) const {
    for (const json::value& ip : Array(server, "ips")) {
      std::string version = Text(ip, "version");
      if (version.empty()) version = "IPv4";
      if (version != "IPv4" && version != "IPv6") {
        return MakeError(ErrorCode::kInvalidInput, "unknown IP version: {}", version);
      }
      const std::string text = Text(ip, "address");
      const bool is_first = labels->emplace(prefix + "public_" + ToLower(version), text).second;
      if (!is_first) continue;
      std::string address = JoinHostPort(text, config_.port);
      if (version == "IPv4") {
        (*labels)[std::string(kAddressLabel)] = std::move(address);
      } else {
        labels->emplace(std::string(kAddressLabel), std::move(address));
      }
    }
    return Status();
  }

  // All pages of a list.
  Async<Result<json::array>> FetchAll(std::string path, net::FormValues query, std::string member) {
    json::array all;
    int64_t pages = kPagesMax;
    for (int64_t page = 1; page <= pages; ++page) {
      net::FormValues asked = query;
      asked.Add("page", std::to_string(page));
      NARTHEX_CO_TRY(std::string key, SecretKey());
      NARTHEX_CO_TRY(
          const FetchResponse answer,
          co_await api().Send(WithHeader(api().Get(config_.api_url + path + "?" + asked.Encode()),
                                         "X-Auth-Token", std::move(key))));
      if (answer.status_code / 100 != 2) co_return RefusalOf(answer);
      NARTHEX_CO_TRY(const json::object list, ParseJsonObject(answer.body));
      const json::array& items = Array(list, member);
      if (items.empty()) break;
      all.insert(all.end(), items.begin(), items.end());
      if (page == 1) {
        const std::string header(answer.Header("X-Total-Count"));
        const int64_t total =
            header.empty() ? Int(list, "total_count") : std::atoll(header.c_str());
        const auto size = static_cast<int64_t>(items.size());
        pages = std::min((std::max<int64_t>(total, 0) + size - 1) / size, kPagesMax);
      }
    }
    co_return all;
  }

  // Read anew for every request, as a file may change.
  Result<std::string> SecretKey() {
    if (config_.secret_key_file.empty()) return config_.secret_key.value;
    return api().ReadTokenFile(config_.secret_key_file);
  }

  const ScalewaySdConfig config_;
};

}  // namespace

void RegisterScalewayDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<ScalewayDiscoverer, ScalewaySdConfig>(registry, "scaleway");
}

}  // namespace narthex
