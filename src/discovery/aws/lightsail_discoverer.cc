#include "discovery/aws/lightsail_discoverer.h"

#include "discovery/aws/aws_client.h"
#include "discovery/json_reader.h"

namespace narthex {

namespace {

constexpr int kPagesMax = 10'000;

void SetIfPresent(const json::value& object, std::string_view member, std::string_view label,
                  TextMap* labels) {
  if (const json::value& value = Member(object, member); value.is_string()) {
    (*labels)["__meta_lightsail_" + std::string(label)] = std::string(AsText(value));
  }
}

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
    SetIfPresent(instance, "privateIpAddress", "private_ip", &labels);
    SetIfPresent(instance, "publicIpAddress", "public_ip", &labels);
    SetIfPresent(Member(instance, "location"), "availabilityZone", "availability_zone", &labels);
    SetIfPresent(instance, "blueprintId", "blueprint_id", &labels);
    SetIfPresent(instance, "bundleId", "bundle_id", &labels);
    SetIfPresent(instance, "name", "instance_name", &labels);
    SetIfPresent(Member(instance, "state"), "name", "instance_state", &labels);
    SetIfPresent(instance, "supportCode", "instance_support_code", &labels);
    const std::vector<std::string> ipv6 = Texts(Array(instance, "ipv6Addresses"));
    if (!ipv6.empty()) labels["__meta_lightsail_ipv6_addresses"] = WrapList(ipv6, ",");
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
