#include "discovery/triton/triton_discoverer.h"

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"
#include "net/url.h"
#include "util/strings.h"

namespace narthex {

namespace {

class TritonDiscoverer : public ApiDiscoverer {
 public:
  TritonDiscoverer(const TritonSdConfig& config, std::string set_name,
                   DiscoveryEnvironment& environment)
      : ApiDiscoverer("triton", std::move(set_name), config.refresh_interval.nanos, environment,
                      ClientWithTls(config.tls_config)),
        config_(config),
        url_(fmt::format("https://{}:{}/v{}/{}", config.endpoint, config.port, config.version,
                         config.role == "cn" ? "gz/discover" : "discover")) {
    if (!config_.groups.empty()) url_ += "?groups=" + net::QueryEscape(Join(config_.groups, ","));
  }

 private:
  Async<Groups> FetchGroups() override {
    NARTHEX_CO_TRY(const FetchResponse answer, co_await api().Send(api().Get(url_)));
    const Result<json::object> read = ParseJsonObject(answer.body);
    const bool compute_nodes = config_.role == "cn";
    if (!read.ok()) {
      co_return read.status().WithPrefix(
          fmt::format("an error occurred unmarshaling the {}discovery response json: ",
                      compute_nodes ? "compute node " : ""));
    }
    std::vector<TargetGroup> groups(1);
    groups[0].source = url_;
    for (const json::value& node : Array(*read, compute_nodes ? "cns" : "containers")) {
      groups[0].targets.push_back(compute_nodes ? NodeTarget(node) : ContainerTarget(node));
    }
    co_return groups;
  }

  std::string AddressOf(const std::string& id) const {
    return fmt::format("{}.{}:{}", id, config_.dns_suffix, config_.port);
  }

  TargetLabels ContainerTarget(const json::value& container) const {
    const std::string id = Text(container, "vm_uuid");
    TextMap labels = {{std::string(kAddressLabel), AddressOf(id)},
                      {"__meta_triton_machine_id", id},
                      {"__meta_triton_machine_alias", Text(container, "vm_alias")},
                      {"__meta_triton_machine_brand", Text(container, "vm_brand")},
                      {"__meta_triton_machine_image", Text(container, "vm_image_uuid")},
                      {"__meta_triton_server_id", Text(container, "server_uuid")}};
    SetList("__meta_triton_groups", Texts(Array(container, "groups")), ",", &labels);
    return ToTarget(std::move(labels));
  }

  TargetLabels NodeTarget(const json::value& node) const {
    const std::string id = Text(node, "server_uuid");
    return ToTarget({{std::string(kAddressLabel), AddressOf(id)},
                     {"__meta_triton_machine_id", id},
                     {"__meta_triton_machine_alias", Text(node, "server_hostname")}});
  }

  const TritonSdConfig config_;
  std::string url_;
};

}  // namespace

void RegisterTritonDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<TritonDiscoverer, TritonSdConfig>(registry, "triton");
}

}  // namespace narthex
