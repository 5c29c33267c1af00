#include "discovery/uyuni/uyuni_discoverer.h"

#include <charconv>

#include "config/sd_mechanisms.h"
#include "discovery/http/api_client.h"
#include "discovery/uyuni/xml_rpc.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex {

namespace {

constexpr int64_t kTokenSeconds = 600;

int64_t Number(const pugi::xml_node& value) {
  const std::string text = XmlRpcText(value);
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

bool Truth(const pugi::xml_node& value) {
  const std::string text = XmlRpcText(value);
  return text == "1" || text == "true";
}

std::string ApiUrl(std::string server) {
  while (server.ends_with('/')) server.pop_back();
  return server + "/rpc/api";
}

class UyuniDiscoverer : public ApiDiscoverer {
 public:
  UyuniDiscoverer(const UyuniSdConfig& config, std::string set_name,
                  DiscoveryEnvironment& environment)
      : ApiDiscoverer("uyuni", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config),
        url_(ApiUrl(config.server)) {}

 private:
  // Groups of systems and their networks, by the system's id.
  using GroupNames = std::map<int64_t, std::vector<std::string>>;
  struct Network {
    std::string hostname;
    std::string primary_fqdn;
  };

  Async<Groups> FetchGroups() override {
    const int64_t now = environment().loop->NowNanos();
    if (token_.empty() || now >= renew_nanos_) {
      pugi::xml_document answer;
      const Result<pugi::xml_node> token = co_await Call(
          "auth.login", {config_.username, config_.password.value, kTokenSeconds}, &answer);
      if (!token.ok()) co_return token.status().WithPrefix("unable to login to Uyuni API: ");
      token_ = XmlRpcText(*token);
      renew_nanos_ = now + kTokenSeconds * kNanosPerSecond / 2;
    }
    std::vector<TargetGroup> groups(1);
    groups[0].source = url_;
    const Status status = co_await FetchTargets(&groups[0].targets);
    if (!status.ok()) {
      token_.clear();  // Perhaps it is the token; the next refresh gets a new one.
      co_return status;
    }
    co_return groups;
  }

  Async<Status> FetchTargets(std::vector<TargetLabels>* targets) {
    pugi::xml_document answer;
    const Result<pugi::xml_node> systems = co_await Call(
        "system.listSystemGroupsForSystemsWithEntitlement", {token_, config_.entitlement}, &answer);
    if (!systems.ok()) {
      co_return systems.status().WithPrefix(
          "unable to get the managed system groups information of monitored clients: ");
    }
    GroupNames names;
    std::vector<int64_t> ids;
    for (const pugi::xml_node system : XmlRpcElements(*systems)) {
      const int64_t id = Number(XmlRpcMember(system, "id"));
      std::vector<std::string>& own = names[id];
      for (const pugi::xml_node group : XmlRpcElements(XmlRpcMember(system, "system_groups"))) {
        own.push_back(XmlRpcText(XmlRpcMember(group, "name")));
      }
      ids.push_back(id);
    }
    pugi::xml_document endpoints_answer;
    const Result<pugi::xml_node> endpoints =
        co_await Call("system.monitoring.listEndpoints", {token_, ids}, &endpoints_answer);
    if (!endpoints.ok()) {
      co_return endpoints.status().WithPrefix("unable to get endpoints information: ");
    }
    pugi::xml_document networks_answer;
    const Result<pugi::xml_node> listed =
        co_await Call("system.getNetworkForSystems", {token_, ids}, &networks_answer);
    if (!listed.ok()) {
      co_return listed.status().WithPrefix("unable to get the systems network information: ");
    }
    std::map<int64_t, Network> networks;
    for (const pugi::xml_node network : XmlRpcElements(*listed)) {
      networks[Number(XmlRpcMember(network, "system_id"))] = {
          XmlRpcText(XmlRpcMember(network, "hostname")),
          XmlRpcText(XmlRpcMember(network, "primary_fqdn"))};
    }
    for (const pugi::xml_node endpoint : XmlRpcElements(*endpoints)) {
      const int64_t id = Number(XmlRpcMember(endpoint, "system_id"));
      targets->push_back(EndpointTarget(endpoint, id, names[id], networks[id]));
    }
    co_return Status();
  }

  TargetLabels EndpointTarget(const pugi::xml_node& endpoint, int64_t id,
                              const std::vector<std::string>& groups,
                              const Network& network) const {
    const auto text = [&](std::string_view name) {
      return XmlRpcText(XmlRpcMember(endpoint, name));
    };
    return ToTarget({
        {std::string(kAddressLabel),
         fmt::format("{}:{}", network.hostname, Number(XmlRpcMember(endpoint, "port")))},
        {"__meta_uyuni_endpoint_name", text("endpoint_name")},
        {"__meta_uyuni_exporter", text("exporter_name")},
        {"__meta_uyuni_groups", Join(groups, config_.separator)},
        {"__meta_uyuni_metrics_path", text("path")},
        {"__meta_uyuni_minion_hostname", network.hostname},
        {"__meta_uyuni_primary_fqdn", network.primary_fqdn},
        {"__meta_uyuni_proxy_module", text("module")},
        {"__meta_uyuni_scheme", Truth(XmlRpcMember(endpoint, "tls_enabled")) ? "https" : "http"},
        {"__meta_uyuni_system_id", std::to_string(id)},
    });
  }

  Async<Result<pugi::xml_node>> Call(std::string method, std::vector<XmlRpcArgument> arguments,
                                     pugi::xml_document* document) {
    NARTHEX_CO_TRY(const FetchResponse answer,
                   co_await api().Send(
                       api().Make("POST", url_, EncodeXmlRpcCall(method, arguments), "text/xml")));
    if (answer.status_code / 100 != 2) {
      co_return MakeError(ErrorCode::kUnavailable, "request error: bad status code - {}",
                          answer.status_code);
    }
    co_return DecodeXmlRpcAnswer(answer.body, document);
  }

  const UyuniSdConfig config_;
  const std::string url_;
  std::string token_;
  int64_t renew_nanos_ = 0;
};

}  // namespace

void RegisterUyuniDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<UyuniDiscoverer, UyuniSdConfig>(registry, "uyuni");
}

}  // namespace narthex
