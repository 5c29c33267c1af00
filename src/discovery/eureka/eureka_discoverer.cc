#include "discovery/eureka/eureka_discoverer.h"

#include <pugixml.hpp>

#include "config/sd_mechanisms.h"
#include "discovery/http/api_client.h"
#include "util/strings.h"

namespace narthex {

namespace {

// What stands between the tags, with its escapes as they are: Go's decoder hands it on like that.
std::string InnerXml(const pugi::xml_node& node) {
  std::string text;
  for (const pugi::xml_node child : node.children()) {
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata)
      text += child.value();
  }
  return text;
}

void AddMetadata(const pugi::xml_node& metadata, std::string_view prefix, TextMap* labels) {
  for (const pugi::xml_node item : metadata.children()) {
    if (item.type() != pugi::node_element) continue;
    (*labels)[std::string(prefix) + SanitizeLabelName(item.name())] = InnerXml(item);
  }
}

void AddPort(const pugi::xml_node& port, const std::string& label, TextMap* labels) {
  if (!port) return;
  (*labels)[label] = std::to_string(port.text().as_int());
  (*labels)[label + "_enabled"] = port.attribute("enabled").as_bool() ? "true" : "false";
}

TargetLabels InstanceTarget(const pugi::xml_node& instance, const std::string& app) {
  const auto text = [&](const char* name) {
    return std::string(instance.child(name).text().get());
  };
  const std::string host = text("hostName");
  const pugi::xml_node port = instance.child("port");
  const std::string prefix = "__meta_eureka_app_instance_";
  TextMap labels = {
      {std::string(kAddressLabel), JoinHostPort(host, port ? port.text().as_int() : 80)},
      {"instance", text("instanceId")},
      {"__meta_eureka_app_name", app},
      {prefix + "hostname", host},
      {prefix + "homepage_url", text("homePageUrl")},
      {prefix + "statuspage_url", text("statusPageUrl")},
      {prefix + "healthcheck_url", text("healthCheckUrl")},
      {prefix + "ip_addr", text("ipAddr")},
      {prefix + "vip_address", text("vipAddress")},
      {prefix + "secure_vip_address", text("secureVipAddress")},
      {prefix + "status", text("status")},
      {prefix + "country_id", std::to_string(instance.child("countryId").text().as_int())},
      {prefix + "id", text("instanceId")},
  };
  AddPort(port, prefix + "port", &labels);
  AddPort(instance.child("securePort"), prefix + "secure_port", &labels);
  if (const pugi::xml_node datacenter = instance.child("dataCenterInfo")) {
    labels[prefix + "datacenterinfo_name"] = datacenter.child("name").text().get();
    AddMetadata(datacenter.child("metadata"), prefix + "datacenterinfo_metadata_", &labels);
  }
  AddMetadata(instance.child("metadata"), prefix + "metadata_", &labels);
  return ToTarget(std::move(labels));
}

class EurekaDiscoverer : public ApiDiscoverer {
 public:
  EurekaDiscoverer(const EurekaSdConfig& config, std::string set_name,
                   DiscoveryEnvironment& environment)
      : ApiDiscoverer("eureka", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        url_(config.server + "/apps") {}

 private:
  Async<Groups> FetchGroups() override {
    NARTHEX_CO_TRY(const FetchResponse answer, co_await api().Send(api().Get(url_)));
    if (answer.status_code / 100 != 2) {
      co_return MakeError(ErrorCode::kUnavailable,
                          "non 2xx status '{}' response during eureka service discovery",
                          answer.status_code);
    }
    pugi::xml_document document;
    const pugi::xml_parse_result parsed = document.load_buffer(
        answer.body.data(), answer.body.size(), pugi::parse_default | pugi::parse_trim_pcdata);
    if (!parsed) {
      co_return MakeError(ErrorCode::kInvalidInput, "{}: {}", GoQuote(url_), parsed.description());
    }
    std::vector<TargetGroup> groups(1);
    groups[0].source = "eureka";
    for (const pugi::xml_node app : document.document_element().children("application")) {
      for (const pugi::xml_node instance : app.children("instance")) {
        groups[0].targets.push_back(InstanceTarget(instance, app.child("name").text().get()));
      }
    }
    co_return groups;
  }

  const std::string url_;
};

}  // namespace

void RegisterEurekaDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<EurekaDiscoverer, EurekaSdConfig>(registry, "eureka");
}

}  // namespace narthex
