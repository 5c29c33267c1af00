#include "discovery/digitalocean/digitalocean_discoverer.h"

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"
#include "net/url.h"

namespace narthex {

namespace {

constexpr std::string_view kApi = "https://api.digitalocean.com";
constexpr int kPagesMax = 10'000;

// The first address of that kind, or "".
std::string AddressOf(const json::array& networks, std::string_view type) {
  for (const json::value& network : networks) {
    if (AsText(Member(network, "type")) == type) return Text(network, "ip_address");
  }
  return "";
}

TargetLabels DropletTarget(const json::value& droplet, int64_t port) {
  const json::value& networks = Member(droplet, "networks");
  const json::value& image = Member(droplet, "image");
  const std::string public_ipv4 = AddressOf(Array(networks, "v4"), "public");
  TextMap labels = {
      {std::string(kAddressLabel), JoinHostPort(public_ipv4, port)},
      {"__meta_digitalocean_droplet_id", std::to_string(Int(droplet, "id"))},
      {"__meta_digitalocean_droplet_name", Text(droplet, "name")},
      {"__meta_digitalocean_image", Text(image, "slug")},
      {"__meta_digitalocean_image_name", Text(image, "name")},
      {"__meta_digitalocean_private_ipv4", AddressOf(Array(networks, "v4"), "private")},
      {"__meta_digitalocean_public_ipv4", public_ipv4},
      {"__meta_digitalocean_public_ipv6", AddressOf(Array(networks, "v6"), "public")},
      {"__meta_digitalocean_region", Text(Member(droplet, "region"), "slug")},
      {"__meta_digitalocean_size", Text(droplet, "size_slug")},
      {"__meta_digitalocean_status", Text(droplet, "status")},
      {"__meta_digitalocean_vpc", Text(droplet, "vpc_uuid")},
  };
  SetList("__meta_digitalocean_features", Texts(Array(droplet, "features")), ",", &labels);
  SetList("__meta_digitalocean_tags", Texts(Array(droplet, "tags")), ",", &labels);
  return ToTarget(std::move(labels));
}

TargetLabels DatabaseTarget(const json::value& cluster, int64_t port) {
  TextMap labels = {
      {"__meta_digitalocean_db_engine", Text(cluster, "engine")},
      {"__meta_digitalocean_db_id", Text(cluster, "id")},
      {"__meta_digitalocean_db_name", Text(cluster, "name")},
      {"__meta_digitalocean_db_num_nodes", std::to_string(Int(cluster, "num_nodes"))},
      {"__meta_digitalocean_db_region", Text(cluster, "region")},
      {"__meta_digitalocean_db_size", Text(cluster, "size")},
      {"__meta_digitalocean_db_status", Text(cluster, "status")},
      {"__meta_digitalocean_db_version", Text(cluster, "version")},
  };
  std::string host;
  if (const json::value& way = Member(cluster, "private_connection"); way.is_object()) {
    host = Text(way, "host");
    labels["__meta_digitalocean_db_private_host"] = host;
  }
  if (const json::value& way = Member(cluster, "connection"); way.is_object()) {
    labels["__meta_digitalocean_db_host"] = Text(way, "host");
    if (host.empty()) host = Text(way, "host");
  }
  if (!host.empty()) labels[std::string(kAddressLabel)] = JoinHostPort(host, port);
  for (const std::string& tag : Texts(Array(cluster, "tags"))) {
    labels["__meta_digitalocean_db_tag_" + tag] = "true";
  }
  return ToTarget(std::move(labels));
}

// The page after this one as the links of an answer tell, or 0.
int64_t NextPage(const json::value& answer) {
  const json::value& pages = Member(Member(answer, "links"), "pages");
  if (Text(pages, "last").empty()) return 0;
  const std::string next = Text(pages, "next");
  const size_t mark = next.find('?');
  if (mark == std::string::npos) return 0;
  net::FormValues query;
  if (!query.Parse(std::string_view(next).substr(mark + 1)).ok()) return 0;
  return std::atoll(std::string(query.Get("page")).c_str());
}

class DigitalOceanDiscoverer : public ApiDiscoverer {
 public:
  DigitalOceanDiscoverer(const DigitalOceanSdConfig& config, std::string set_name,
                         DiscoveryEnvironment& environment)
      : ApiDiscoverer("digitalocean", std::move(set_name), config.refresh_interval.nanos,
                      environment, config.http_client),
        port_(config.port),
        databases_(config.role == "databases") {}

 private:
  Async<Groups> FetchGroups() override { return databases_ ? FetchDatabases() : FetchDroplets(); }

  Async<Groups> FetchDroplets() {
    std::vector<TargetGroup> groups(1);
    groups[0].source = "DigitalOcean";
    int64_t page = 0;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      std::string url = std::string(kApi) + "/v2/droplets";
      if (page != 0) url += "?page=" + std::to_string(page);
      const Result<json::value> answer = co_await FetchJson(api(), api().Get(std::move(url)));
      if (!answer.ok()) {
        co_return answer.status().WithPrefix(
            fmt::format("error while listing droplets page {}: ", page));
      }
      for (const json::value& droplet : Array(*answer, "droplets")) {
        if (Array(Member(droplet, "networks"), "v4").empty()) continue;
        groups[0].targets.push_back(DropletTarget(droplet, port_));
      }
      page = NextPage(*answer);
      if (page == 0) break;
    }
    co_return groups;
  }

  Async<Groups> FetchDatabases() {
    std::vector<TargetGroup> groups(1);
    groups[0].source = "DigitalOcean Databases";
    // This API has pages without links; one without clusters is the end.
    for (int page = 1; page <= kPagesMax; ++page) {
      const std::string url = fmt::format("{}/v2/databases?page={}&per_page=100", kApi, page);
      const Result<json::value> answer = co_await FetchJson(api(), api().Get(url));
      if (!answer.ok()) {
        co_return answer.status().WithPrefix(
            fmt::format("error while listing database clusters page {}: ", page));
      }
      const json::array& clusters = Array(*answer, "databases");
      if (clusters.empty()) break;
      for (const json::value& cluster : clusters) {
        groups[0].targets.push_back(DatabaseTarget(cluster, port_));
      }
    }
    co_return groups;
  }

  const int64_t port_;
  const bool databases_;
};

}  // namespace

void RegisterDigitaloceanDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<DigitalOceanDiscoverer, DigitalOceanSdConfig>(registry, "digitalocean");
}

}  // namespace narthex
