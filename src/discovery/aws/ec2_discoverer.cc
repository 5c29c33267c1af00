#include "discovery/aws/ec2_discoverer.h"

#include <pugixml.hpp>
#include <set>

#include "discovery/aws/aws_client.h"
#include "util/log.h"

namespace narthex {

namespace {

constexpr std::string_view kApiVersion = "2016-11-15";
constexpr int kPagesMax = 10'000;

std::string ChildText(const pugi::xml_node& node, const char* name) {
  return node.child(name).text().get();
}

// What the API left out becomes no label; what it gave as empty an empty one.
void SetIfPresent(const pugi::xml_node& node, const char* name, std::string_view label,
                  TextMap* labels) {
  if (const pugi::xml_node child = node.child(name)) {
    (*labels)[std::string(label)] = child.text().get();
  }
}
void SetUnlessEmpty(const pugi::xml_node& node, const char* name, std::string_view label,
                    TextMap* labels) {
  const std::string text = ChildText(node, name);
  if (!text.empty()) (*labels)[std::string(label)] = text;
}

struct Ipv6Addresses {
  std::vector<std::string> primary;  // By the device index of the interface; gaps are "".
  std::vector<std::string> all;
  std::string preferred;  // The one to reach the instance at; "": none.
};

Ipv6Addresses Ipv6Of(const pugi::xml_node& instance) {
  constexpr int kDeviceIndexMax = 1024;
  Ipv6Addresses found;
  if (!instance.child("vpcId")) return found;
  for (const pugi::xml_node card : instance.child("networkInterfaceSet").children("item")) {
    if (!card.child("subnetId")) continue;
    for (const pugi::xml_node entry : card.child("ipv6AddressesSet").children("item")) {
      if (!entry.child("ipv6Address")) continue;
      const std::string address = ChildText(entry, "ipv6Address");
      found.all.push_back(address);
      const pugi::xml_node index = card.child("attachment").child("deviceIndex");
      if (ChildText(entry, "isPrimaryIpv6") != "true" || !index) continue;
      const int at = index.text().as_int(-1);
      if (at < 0 || at > kDeviceIndexMax) continue;
      if (found.primary.size() <= static_cast<size_t>(at)) {
        found.primary.resize(static_cast<size_t>(at) + 1);
      }
      found.primary[static_cast<size_t>(at)] = address;
    }
  }
  for (const auto* list : {&found.primary, &found.all}) {
    for (const std::string& address : *list) {
      if (found.preferred.empty()) found.preferred = address;
    }
  }
  return found;
}

class Ec2Discoverer : public ApiDiscoverer {
 public:
  Ec2Discoverer(const Ec2SdConfig& config, std::string set_name, DiscoveryEnvironment& environment)
      : ApiDiscoverer("ec2", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config),
        aws_(api(), std::make_shared<const HttpClientConfig>(config.http_client), AccessOf(config),
             "ec2", "EC2") {}

 private:
  Async<Groups> FetchGroups() override {
    NARTHEX_CO_TRY(const std::string region, co_await aws_.Region());
    if (!knows_zones_) co_await FetchZones();
    std::vector<TargetGroup> groups(1);
    groups[0].source = region;
    std::string token;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      net::FormValues form = Form();
      for (size_t i = 0; i < config_.filters.size(); ++i) {
        const std::string prefix = fmt::format("Filter.{}.", i + 1);
        form.Add(prefix + "Name", config_.filters[i].name);
        const std::vector<std::string>& values = config_.filters[i].values;
        for (size_t k = 0; k < values.size(); ++k) {
          form.Add(fmt::format("{}Value.{}", prefix, k + 1), values[k]);
        }
      }
      if (!token.empty()) form.Add("NextToken", token);
      pugi::xml_document document;
      const Status status = co_await aws_.QueryXml("DescribeInstances", std::move(form), &document);
      if (!status.ok()) co_return status.WithPrefix("could not describe instances: ");
      const pugi::xml_node answer = document.document_element();
      for (const pugi::xml_node reservation : answer.child("reservationSet").children("item")) {
        for (const pugi::xml_node instance : reservation.child("instancesSet").children("item")) {
          AddInstance(instance, reservation, region, &groups[0].targets);
        }
      }
      token = ChildText(answer, "nextToken");
      if (token.empty()) break;
    }
    co_return groups;
  }

  static net::FormValues Form() {
    net::FormValues form;
    form.Add("Version", std::string(kApiVersion));
    return form;
  }

  // Names of zones differ between accounts, ids do not. Asked until it worked once: without them
  // (a policy may forbid the question) the label is empty.
  Async<Unit> FetchZones() {
    pugi::xml_document document;
    const Status status = co_await aws_.QueryXml("DescribeAvailabilityZones", Form(), &document);
    if (!status.ok()) {
      LOG_DEBUG("Unable to describe availability zones", {"discovery", "ec2"},
                {"err", status.message()});
      co_return Unit();
    }
    for (const pugi::xml_node zone :
         document.document_element().child("availabilityZoneInfo").children("item")) {
      zone_ids_[ChildText(zone, "zoneName")] = ChildText(zone, "zoneId");
    }
    knows_zones_ = true;
    co_return Unit();
  }

  void AddInstance(const pugi::xml_node& instance, const pugi::xml_node& reservation,
                   const std::string& region, std::vector<TargetLabels>* targets) const {
    const Ipv6Addresses ipv6 = Ipv6Of(instance);
    const pugi::xml_node private_ip = instance.child("privateIpAddress");
    if (!private_ip && ipv6.preferred.empty()) return;
    TextMap labels = {{"__meta_ec2_region", region},
                      {"__meta_ec2_instance_type", ChildText(instance, "instanceType")}};
    labels[std::string(kAddressLabel)] =
        JoinHostPort(private_ip ? private_ip.text().get() : ipv6.preferred, config_.port);
    SetIfPresent(instance, "privateIpAddress", "__meta_ec2_private_ip", &labels);
    SetIfPresent(instance, "instanceId", "__meta_ec2_instance_id", &labels);
    SetIfPresent(reservation, "ownerId", "__meta_ec2_owner_id", &labels);
    SetIfPresent(instance, "privateDnsName", "__meta_ec2_private_dns_name", &labels);
    SetIfPresent(instance, "imageId", "__meta_ec2_ami", &labels);
    SetUnlessEmpty(instance, "platform", "__meta_ec2_platform", &labels);
    SetUnlessEmpty(instance, "instanceLifecycle", "__meta_ec2_instance_lifecycle", &labels);
    SetUnlessEmpty(instance, "architecture", "__meta_ec2_architecture", &labels);
    if (instance.child("ipAddress")) {
      SetIfPresent(instance, "ipAddress", "__meta_ec2_public_ip", &labels);
      SetIfPresent(instance, "dnsName", "__meta_ec2_public_dns_name", &labels);
    }
    if (!ipv6.preferred.empty()) labels["__meta_ec2_default_ipv6_address"] = ipv6.preferred;
    SetList("__meta_ec2_primary_ipv6_addresses", ipv6.primary, ",", &labels);
    SetList("__meta_ec2_ipv6_addresses", ipv6.all, ",", &labels);
    if (const pugi::xml_node zone = instance.child("placement").child("availabilityZone")) {
      labels["__meta_ec2_availability_zone"] = zone.text().get();
      const auto id = zone_ids_.find(zone.text().get());
      labels["__meta_ec2_availability_zone_id"] = id == zone_ids_.end() ? "" : id->second;
    }
    if (const pugi::xml_node state = instance.child("instanceState")) {
      labels["__meta_ec2_instance_state"] = ChildText(state, "name");
    }
    if (instance.child("vpcId")) {
      SetIfPresent(instance, "vpcId", "__meta_ec2_vpc_id", &labels);
      SetIfPresent(instance, "subnetId", "__meta_ec2_primary_subnet_id", &labels);
      std::vector<std::string> subnets;
      std::set<std::string> seen;
      for (const pugi::xml_node card : instance.child("networkInterfaceSet").children("item")) {
        if (!card.child("subnetId")) continue;
        std::string subnet = ChildText(card, "subnetId");
        if (seen.insert(subnet).second) subnets.push_back(std::move(subnet));
      }
      labels["__meta_ec2_subnet_id"] = WrapList(subnets, ",");
    }
    for (const pugi::xml_node tag : instance.child("tagSet").children("item")) {
      if (!tag.child("key") || !tag.child("value")) continue;
      labels["__meta_ec2_tag_" + SanitizeLabelName(ChildText(tag, "key"))] =
          ChildText(tag, "value");
    }
    targets->push_back(ToTarget(std::move(labels)));
  }

  const Ec2SdConfig config_;
  AwsClient aws_;
  std::map<std::string, std::string, std::less<>> zone_ids_;  // By name.
  bool knows_zones_ = false;
};

}  // namespace

std::unique_ptr<Discoverer> MakeEc2Discoverer(const Ec2SdConfig& config, std::string set_name,
                                              DiscoveryEnvironment& environment) {
  return std::make_unique<Ec2Discoverer>(config, std::move(set_name), environment);
}

}  // namespace narthex
