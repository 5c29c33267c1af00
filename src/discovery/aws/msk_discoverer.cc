#include "discovery/aws/msk_discoverer.h"

#include "discovery/aws/aws_client.h"
#include "discovery/json_labels.h"
#include "util/log.h"

namespace narthex {

namespace {

constexpr int kPagesMax = 10'000;

std::string BoolText(const json::value& value) {
  return value.is_bool() && value.get_bool() ? "true" : "false";
}

class MskDiscoverer : public ApiDiscoverer {
 public:
  MskDiscoverer(const MskSdConfig& config, std::string set_name, DiscoveryEnvironment& environment)
      : ApiDiscoverer("msk", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        port_(config.port),
        clusters_(config.clusters),
        aws_(api(), std::make_shared<const HttpClientConfig>(config.http_client), AccessOf(config),
             "kafka", "Kafka") {}

 private:
  Async<Groups> FetchGroups() override {
    NARTHEX_CO_TRY(const std::string region, co_await aws_.Region());
    std::vector<TargetGroup> groups(1);
    groups[0].source = region;
    NARTHEX_CO_TRY(const std::vector<json::value> clusters, co_await FindClusters());
    for (const json::value& cluster : clusters) {
      NARTHEX_CO_RETURN_IF_ERROR(co_await AddNodes(cluster, &groups[0].targets));
    }
    co_return groups;
  }

  Async<Result<std::vector<json::value>>> FindClusters() {
    std::vector<json::value> found;
    for (const std::string& arn : clusters_) {
      const Result<json::object> answer = co_await aws_.GetJson(
          "DescribeClusterV2", "/api/v2/clusters/" + net::QueryEscape(arn), net::FormValues());
      if (!answer.ok()) {
        co_return answer.status().WithPrefix("could not describe cluster " + arn + ": ");
      }
      const json::value& cluster = Member(*answer, "clusterInfo");
      if (!cluster.is_object()) {
        LOG_WARN("Skipping MSK cluster described without cluster information", {"discovery", "msk"},
                 {"cluster", arn});
        continue;
      }
      // Serverless clusters show no brokers.
      if (const std::string type = Text(cluster, "clusterType"); type != "PROVISIONED") {
        LOG_WARN("Skipping non-provisioned MSK cluster, only provisioned clusters are supported",
                 {"discovery", "msk"}, {"cluster", arn}, {"type", type});
        continue;
      }
      found.push_back(cluster);
    }
    if (!clusters_.empty()) co_return found;
    std::string token;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      net::FormValues form;
      form.Add("clusterTypeFilter", "PROVISIONED");
      form.Add("maxResults", "100");
      if (!token.empty()) form.Add("nextToken", token);
      const Result<json::object> answer =
          co_await aws_.GetJson("ListClustersV2", "/api/v2/clusters", std::move(form));
      if (!answer.ok()) co_return answer.status().WithPrefix("could not list clusters: ");
      for (const json::value& cluster : Array(*answer, "clusterInfoList")) {
        found.push_back(cluster);
      }
      token = Text(*answer, "nextToken");
      if (token.empty()) break;
    }
    co_return found;
  }

  Async<Status> AddNodes(json::value cluster, std::vector<TargetLabels>* targets) {
    const std::string arn = Text(cluster, "clusterArn");
    TextMap common = {{"__meta_msk_cluster_name", Text(cluster, "clusterName")},
                      {"__meta_msk_cluster_arn", arn},
                      {"__meta_msk_cluster_state", Text(cluster, "state")},
                      {"__meta_msk_cluster_type", Text(cluster, "clusterType")},
                      {"__meta_msk_cluster_version", Text(cluster, "currentVersion")}};
    const json::value& provisioned = Member(cluster, "provisioned");
    const json::value& software = Member(provisioned, "currentBrokerSoftwareInfo");
    if (software.is_object()) {
      common["__meta_msk_cluster_kafka_version"] = Text(software, "kafkaVersion");
      SetIfText(software, "configurationArn", "__meta_msk_cluster_configuration_arn", &common);
      if (const json::value& revision = Member(software, "configurationRevision");
          revision.is_number()) {
        common["__meta_msk_cluster_configuration_revision"] = json::serialize(revision);
      }
    }
    const json::value& monitoring = Member(Member(provisioned, "openMonitoring"), "prometheus");
    if (const json::value& jmx = Member(monitoring, "jmxExporter"); jmx.is_object()) {
      common["__meta_msk_cluster_jmx_exporter_enabled"] = BoolText(Member(jmx, "enabledInBroker"));
    }
    if (const json::value& tags = Member(cluster, "tags"); tags.is_object()) {
      for (const auto& tag : tags.get_object()) {
        common["__meta_msk_cluster_tag_" +
               SanitizeLabelName({tag.key().data(), tag.key().size()})] = AsText(tag.value());
      }
    }
    std::string token;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      net::FormValues form;
      form.Add("maxResults", "100");
      if (!token.empty()) form.Add("nextToken", token);
      const Result<json::object> answer = co_await aws_.GetJson(
          "ListNodes", "/v1/clusters/" + net::QueryEscape(arn) + "/nodes", std::move(form));
      if (!answer.ok()) {
        co_return answer.status().WithPrefix("could not list nodes for cluster " + arn + ": ");
      }
      for (const json::value& node : Array(*answer, "nodeInfoList")) {
        AddNode(node, common, Member(monitoring, "nodeExporter"), targets);
      }
      token = Text(*answer, "nextToken");
      if (token.empty()) break;
    }
    co_return Status();
  }

  // A target for each of its endpoints.
  void AddNode(const json::value& node, const TextMap& common, const json::value& node_exporter,
               std::vector<TargetLabels>* targets) const {
    TextMap labels = common;
    labels["__meta_msk_node_arn"] = Text(node, "nodeARN");
    labels["__meta_msk_node_added_time"] = Text(node, "addedToClusterTime");
    labels["__meta_msk_node_instance_type"] = Text(node, "instanceType");
    const json::value& broker = Member(node, "brokerNodeInfo");
    const json::value& controller = Member(node, "controllerNodeInfo");
    const bool is_broker = broker.is_object();
    if (!is_broker && !controller.is_object()) return;
    labels["__meta_msk_node_type"] = is_broker ? "BROKER" : "CONTROLLER";
    if (is_broker) {
      labels["__meta_msk_node_attached_eni"] = Text(broker, "attachedENIId");
      const json::value& id = Member(broker, "brokerId");
      labels["__meta_msk_broker_id"] =
          fmt::format("{:.0f}", id.is_number() ? id.to_number<double>() : 0.0);
      labels["__meta_msk_broker_client_subnet"] = Text(broker, "clientSubnet");
      labels["__meta_msk_broker_client_vpc_ip"] = Text(broker, "clientVpcIpAddress");
      if (node_exporter.is_object()) {
        labels["__meta_msk_broker_node_exporter_enabled"] =
            BoolText(Member(node_exporter, "enabledInBroker"));
      }
    }
    int index = 0;
    for (const std::string& endpoint : Texts(Array(is_broker ? broker : controller, "endpoints"))) {
      TextMap target = labels;
      target[is_broker ? "__meta_msk_broker_endpoint_index"
                       : "__meta_msk_controller_endpoint_index"] = std::to_string(index++);
      target[std::string(kAddressLabel)] = JoinHostPort(endpoint, port_);
      targets->push_back(ToTarget(std::move(target)));
    }
  }

  const int64_t port_;
  const std::vector<std::string> clusters_;
  AwsClient aws_;
};

}  // namespace

std::unique_ptr<Discoverer> MakeMskDiscoverer(const MskSdConfig& config, std::string set_name,
                                              DiscoveryEnvironment& environment) {
  return std::make_unique<MskDiscoverer>(config, std::move(set_name), environment);
}

}  // namespace narthex
