#include "discovery/nomad/nomad_discoverer.h"

#include "config/sd_mechanisms.h"
#include "discovery/http/api_client.h"
#include "net/url.h"
#include "util/json_reader.h"

namespace narthex {

namespace {

TargetLabels MakeTarget(const json::value& instance, const std::string& tag_separator) {
  const std::string address = Text(instance, "Address");
  const std::string port = std::to_string(Int(instance, "Port"));
  TextMap labels = {{std::string(kAddressLabel), JoinHostPort(address, port)},
                    {"__meta_nomad_address", address},
                    {"__meta_nomad_dc", Text(instance, "Datacenter")},
                    {"__meta_nomad_namespace", Text(instance, "Namespace")},
                    {"__meta_nomad_node_id", Text(instance, "NodeID")},
                    {"__meta_nomad_service", Text(instance, "ServiceName")},
                    {"__meta_nomad_service_address", address},
                    {"__meta_nomad_service_id", Text(instance, "ID")},
                    {"__meta_nomad_service_port", port}};
  SetList("__meta_nomad_tags", Texts(Array(instance, "Tags")), tag_separator, &labels);
  return ToTarget(std::move(labels));
}

class NomadDiscoverer : public ApiDiscoverer {
 public:
  NomadDiscoverer(const NomadSdConfig& config, std::string set_name,
                  DiscoveryEnvironment& environment)
      : ApiDiscoverer("nomad", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config) {
    while (config_.server.ends_with('/')) config_.server.pop_back();
  }

 private:
  Async<Groups> FetchGroups() override {
    Groups groups = co_await FetchAll();
    if (!groups.ok()) Count("prometheus_sd_nomad_failures_total");
    co_return groups;
  }

  Async<Groups> FetchAll() {
    NARTHEX_CO_TRY(const std::string list, co_await api().GetBody(Url("/v1/services")));
    NARTHEX_CO_TRY(const json::array stubs, ParseJsonArray(list));
    std::vector<TargetGroup> groups(1);
    groups[0].source = "Nomad";
    for (const json::value& stub : stubs) {
      for (const json::value& service : Array(stub, "Services")) {
        const std::string path =
            "/v1/service/" + net::PathEscape(AsText(Member(service, "ServiceName")));
        const Result<std::string> body = co_await api().GetBody(Url(path));
        if (!body.ok()) co_return body.status().WithPrefix("failed to fetch services: ");
        NARTHEX_CO_TRY(const json::array instances, ParseJsonArray(*body));
        for (const json::value& instance : instances) {
          groups[0].targets.push_back(MakeTarget(instance, config_.tag_separator));
        }
      }
    }
    co_return groups;
  }

  std::string Url(std::string_view path) const {
    net::FormValues query;
    if (!config_.namespace_.empty()) query.Add("namespace", config_.namespace_);
    if (!config_.region.empty()) query.Add("region", config_.region);
    if (config_.allow_stale) query.Add("stale", "");
    return fmt::format("{}{}?{}", config_.server, path, query.Encode());
  }

  NomadSdConfig config_;
};

}  // namespace

void RegisterNomadDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<NomadDiscoverer, NomadSdConfig>(registry, "nomad");
}

}  // namespace narthex
