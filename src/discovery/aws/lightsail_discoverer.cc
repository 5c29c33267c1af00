#include "discovery/aws/lightsail_discoverer.h"

#include "discovery/aws/aws_client.h"
#include "discovery/json_labels.h"

namespace narthex {

namespace {

constexpr int kPagesMax = 10'000;

class LightsailDiscoverer : public ApiDiscoverer {
 public:
  LightsailDiscoverer(const LightsailSdConfig& config, std::string set_name,
                      DiscoveryEnvironment& environment)
      : ApiDiscoverer("lightsail", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        port_(config.port),
        aws_(api(), std::make_shared<const HttpClientConfig>(config.http_client), AccessOf(config),
             "lightsail", "Lightsail") {}

 private:
  Async<Groups> FetchGroups() override {
    NARTHEX_CO_TRY(const std::string region, co_await aws_.Region());
    std::vector<TargetGroup> groups(1);
    groups[0].source = region;
    json::object question;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      const Result<std::string> body =
          co_await aws_.Call("Lightsail_20161128.GetInstances", json::serialize(question));
      if (!body.ok()) co_return body.status().WithPrefix("could not get instances: ");
      NARTHEX_CO_TRY(const json::object answer, ParseJsonObject(*body));
      for (const json::value& instance : Array(answer, "instances")) {
        if (Member(instance, "privateIpAddress").is_string()) {
          groups[0].targets.push_back(InstanceTarget(instance, region));
        }
      }
      const std::string token = Text(answer, "nextPageToken");
      if (token.empty()) break;
      question["pageToken"] = token;
    }
    co_return groups;
  }

  TargetLabels InstanceTarget(const json::value& instance, const std::string& region) const {
    TextMap labels = {
        {std::string(kAddressLabel), JoinHostPort(Text(instance, "privateIpAddress"), port_)},
        {"__meta_lightsail_region", region}};
    SetIfText(instance, "privateIpAddress", "__meta_lightsail_private_ip", &labels);
    SetIfText(instance, "publicIpAddress", "__meta_lightsail_public_ip", &labels);
    SetIfText(Member(instance, "location"), "availabilityZone",
              "__meta_lightsail_availability_zone", &labels);
    SetIfText(instance, "blueprintId", "__meta_lightsail_blueprint_id", &labels);
    SetIfText(instance, "bundleId", "__meta_lightsail_bundle_id", &labels);
    SetIfText(instance, "name", "__meta_lightsail_instance_name", &labels);
    SetIfText(Member(instance, "state"), "name", "__meta_lightsail_instance_state", &labels);
    SetIfText(instance, "supportCode", "__meta_lightsail_instance_support_code", &labels);
    SetList("__meta_lightsail_ipv6_addresses", Texts(Array(instance, "ipv6Addresses")), ",",
            &labels);
    for (const json::value& tag : Array(instance, "tags")) {
      if (!Member(tag, "key").is_string() || !Member(tag, "value").is_string()) continue;
      labels["__meta_lightsail_tag_" + SanitizeLabelName(Text(tag, "key"))] = Text(tag, "value");
    }
    return ToTarget(std::move(labels));
  }

  const int64_t port_;
  AwsClient aws_;
};

}  // namespace

std::unique_ptr<Discoverer> MakeLightsailDiscoverer(const LightsailSdConfig& config,
                                                    std::string set_name,
                                                    DiscoveryEnvironment& environment) {
  return std::make_unique<LightsailDiscoverer>(config, std::move(set_name), environment);
}

}  // namespace narthex
