#include "discovery/gce/gce_discoverer.h"

#include "config/sd_mechanisms.h"
#include "discovery/gce/google_token.h"
#include "discovery/http/json_api.h"
#include "discovery/json_labels.h"
#include "net/url.h"

namespace narthex {

namespace {

constexpr std::string_view kApi = "https://compute.googleapis.com/compute/v1/projects";
constexpr int kPagesMax = 10'000;

class GceDiscoverer : public ApiDiscoverer {
 public:
  GceDiscoverer(const GceSdConfig& config, std::string set_name, DiscoveryEnvironment& environment)
      : ApiDiscoverer("gce", std::move(set_name), config.refresh_interval.nanos, environment,
                      HttpClientConfig()),
        config_(config),
        token_(api()) {}

 private:
  Async<Groups> FetchGroups() override {
    std::vector<TargetGroup> groups(1);
    groups[0].source = fmt::format("GCE_{}_{}", config_.project, config_.zone);
    const Status status = co_await FetchInstances(&groups[0].targets);
    if (!status.ok()) co_return status.WithPrefix("error retrieving refresh targets from gce: ");
    co_return groups;
  }

  Async<Status> FetchInstances(std::vector<TargetLabels>* targets) {
    std::string page_token;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      const Result<std::string> token = co_await token_.Get();
      if (!token.ok()) co_return token.status();
      net::FormValues query;
      if (!config_.filter.empty()) query.Add("filter", config_.filter);
      if (!page_token.empty()) query.Add("pageToken", page_token);
      query.Add("alt", "json");
      const Result<json::value> answer = co_await FetchJson(
          api(), WithHeader(api().Get(fmt::format("{}/{}/zones/{}/instances?{}", kApi,
                                                  net::PathEscape(config_.project),
                                                  net::PathEscape(config_.zone), query.Encode())),
                            "Authorization", "Bearer " + *token));
      if (!answer.ok()) co_return answer.status();
      for (const json::value& instance : Array(*answer, "items")) {
        if (!Array(instance, "networkInterfaces").empty()) {
          targets->push_back(InstanceTarget(instance));
        }
      }
      page_token = Text(*answer, "nextPageToken");
      if (page_token.empty()) break;
    }
    co_return Status();
  }

  TargetLabels InstanceTarget(const json::value& instance) const {
    const json::array& cards = Array(instance, "networkInterfaces");
    const json::value& first = cards[0];
    const std::string ip = Text(first, "networkIP");
    TextMap labels = {
        {std::string(kAddressLabel), fmt::format("{}:{}", ip, config_.port)},
        {"__meta_gce_instance_id", AsPrinted(Member(instance, "id"))},
        {"__meta_gce_instance_name", Text(instance, "name")},
        {"__meta_gce_instance_status", Text(instance, "status")},
        {"__meta_gce_machine_type", Text(instance, "machineType")},
        {"__meta_gce_network", Text(first, "network")},
        {"__meta_gce_private_ip", ip},
        {"__meta_gce_project", config_.project},
        {"__meta_gce_subnetwork", Text(first, "subnetwork")},
        {"__meta_gce_zone", Text(instance, "zone")},
    };
    for (const json::value& card : cards) {
      labels["__meta_gce_interface_ipv4_" + SanitizeLabelName(Text(card, "name"))] =
          Text(card, "networkIP");
    }
    SetList("__meta_gce_tags", Texts(Array(Member(instance, "tags"), "items")),
            config_.tag_separator, &labels);
    for (const json::value& item : Array(Member(instance, "metadata"), "items")) {
      if (!Member(item, "value").is_string()) continue;
      labels["__meta_gce_metadata_" + SanitizeLabelName(Text(item, "key"))] = Text(item, "value");
    }
    AddLabels(Object(instance, "labels"), "__meta_gce_label_", &labels);
    if (const json::array& ways = Array(first, "accessConfigs");
        !ways.empty() && Text(ways[0], "type") == "ONE_TO_ONE_NAT") {
      labels["__meta_gce_public_ip"] = Text(ways[0], "natIP");
    }
    return ToTarget(std::move(labels));
  }

  const GceSdConfig config_;
  GoogleToken token_;
};

}  // namespace

void RegisterGceDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<GceDiscoverer, GceSdConfig>(registry, "gce");
}

}  // namespace narthex
