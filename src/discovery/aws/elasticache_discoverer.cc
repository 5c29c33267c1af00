#include "discovery/aws/elasticache_discoverer.h"

#include "discovery/aws/aws_client.h"
#include "discovery/aws/xml_labels.h"
#include "util/log.h"
#include "util/strings.h"

namespace narthex {

namespace {

constexpr std::string_view kApiVersion = "2015-02-02";
constexpr int kPagesMax = 10'000;
constexpr std::string_view kServerless = "__meta_elasticache_serverless_cache_";
constexpr std::string_view kCluster = "__meta_elasticache_cache_cluster_";
constexpr std::string_view kNode = "__meta_elasticache_cache_cluster_node_";

constexpr XmlLabel kServerlessLabels[] = {
    {"ARN", "arn"},
    {"ServerlessCacheName", "name"},
    {"Status", "status"},
    {"Engine", "engine"},
    {"FullEngineVersion", "full_engine_version"},
    {"MajorEngineVersion", "major_engine_version"},
    {"Description", "description"},
    {"CreateTime", "create_time", XmlKind::kTime},
    {"KmsKeyId", "kms_key_id"},
    {"UserGroupId", "user_group_id"},
    {"DailySnapshotTime", "daily_snapshot_time"},
    {"SnapshotRetentionLimit", "snapshot_retention_limit"},
    {"Endpoint.Address", "endpoint_address"},
    {"Endpoint.Port", "endpoint_port"},
    {"ReaderEndpoint.Address", "endpoint_reader_address"},
    {"ReaderEndpoint.Port", "endpoint_reader_port"},
    {"CacheUsageLimits.DataStorage.Maximum", "cache_usage_limit_data_storagemaximum"},
    {"CacheUsageLimits.DataStorage.Minimum", "cache_usage_limit_data_storageminimum"},
    {"CacheUsageLimits.DataStorage.Unit", "cache_usage_limit_data_storageunit"},
    {"CacheUsageLimits.ECPUPerSecond.Maximum", "cache_usage_limit_ecpu_per_secondmaximum"},
    {"CacheUsageLimits.ECPUPerSecond.Minimum", "cache_usage_limit_ecpu_per_secondminimum"},
};

constexpr XmlLabel kClusterLabels[] = {
    {"ARN", "arn"},
    {"CacheClusterId", "cache_cluster_id"},
    {"CacheClusterStatus", "cache_cluster_status"},
    {"AtRestEncryptionEnabled", "at_rest_encryption_enabled"},
    {"AuthTokenEnabled", "auth_token_enabled"},
    {"AuthTokenLastModifiedDate", "auth_token_last_modified", XmlKind::kTime},
    {"AutoMinorVersionUpgrade", "auto_minor_version_upgrade"},
    {"CacheClusterCreateTime", "cache_cluster_create_time", XmlKind::kTime},
    {"CacheNodeType", "cache_node_type"},
    {"CacheParameterGroup.CacheParameterGroupName", "cache_parameter_group"},
    {"CacheSubnetGroupName", "cache_subnet_group_name"},
    {"ClientDownloadLandingPage", "client_download_landing_page"},
    {"ConfigurationEndpoint.Address", "configuration_endpoint_address"},
    {"ConfigurationEndpoint.Port", "configuration_endpoint_port"},
    {"Engine", "engine"},
    {"EngineVersion", "engine_version"},
    {"IpDiscovery", "ip_discovery"},
    {"NetworkType", "network_type"},
    {"NotificationConfiguration.TopicArn", "notification_topic_arn"},
    {"NotificationConfiguration.TopicStatus", "notification_topic_status"},
    {"NumCacheNodes", "num_cache_nodes"},
    {"PreferredAvailabilityZone", "preferred_availability_zone"},
    {"PreferredMaintenanceWindow", "preferred_maintenance_window"},
    {"PreferredOutpostArn", "preferred_outpost_arn"},
    {"ReplicationGroupId", "replication_group_id"},
    {"ReplicationGroupLogDeliveryEnabled", "replication_group_log_delivery_enabled"},
    {"SnapshotRetentionLimit", "snapshot_retention_limit"},
    {"SnapshotWindow", "snapshot_window"},
    {"TransitEncryptionEnabled", "transit_encryption_enabled"},
    {"TransitEncryptionMode", "transit_encryption_mode"},
    {"PendingModifiedValues.AuthTokenStatus", "pending_modified_values_auth_token_status"},
    {"PendingModifiedValues.CacheNodeType", "pending_modified_values_cache_node_type"},
    {"PendingModifiedValues.EngineVersion", "pending_modified_values_engine_version"},
    {"PendingModifiedValues.NumCacheNodes", "pending_modified_values_num_cache_nodes"},
    {"PendingModifiedValues.TransitEncryptionEnabled",
     "pending_modified_values_transit_encryption_enabled"},
    {"PendingModifiedValues.TransitEncryptionMode",
     "pending_modified_values_transit_encryption_mode"},
};

constexpr XmlLabel kNodeLabels[] = {
    {"CacheNodeId", "id"},
    {"CacheNodeStatus", "status"},
    {"CacheNodeCreateTime", "create_time", XmlKind::kTime},
    {"CustomerAvailabilityZone", "availability_zone"},
    {"CustomerOutpostArn", "customer_outpost_arn"},
    {"SourceCacheNodeId", "source_cache_node_id"},
    {"ParameterGroupStatus", "parameter_group_status"},
    {"Endpoint.Address", "endpoint_address"},
    {"Endpoint.Port", "endpoint_port"},
};

// Of each entry of a list: <prefix><label>_<index>.
constexpr XmlLabel kLogDeliveryLabels[] = {
    {"DestinationType", "destination_type"},
    {"LogFormat", "log_format"},
    {"LogType", "log_type"},
    {"Status", "status"},
    {"Message", "message"},
    {"DestinationDetails.CloudWatchLogsDetails.LogGroup", "log_group"},
    {"DestinationDetails.KinesisFirehoseDetails.DeliveryStream", "delivery_stream"},
};
constexpr XmlLabel kSecurityGroupLabels[] = {
    {"SecurityGroupId", "id"},
    {"Status", "status"},
};

void SetIndexed(const pugi::xml_node& list, std::span<const XmlLabel> table,
                const std::string& prefix, TextMap* labels) {
  int index = 0;
  for (const pugi::xml_node entry : list.children()) {
    TextMap some;
    SetXmlLabels(entry, table, prefix, &some);
    for (auto& [name, value] : some) {
      (*labels)[fmt::format("{}_{}", name, index)] = std::move(value);
    }
    ++index;
  }
}

void SetTexts(const pugi::xml_node& list, const std::string& prefix, TextMap* labels) {
  int index = 0;
  for (const pugi::xml_node entry : list.children()) {
    (*labels)[fmt::format("{}_{}", prefix, index++)] = entry.text().get();
  }
}

void SetAddress(const pugi::xml_node& endpoint, TextMap* labels) {
  if (!endpoint.child("Address") || !endpoint.child("Port")) return;
  (*labels)[std::string(kAddressLabel)] =
      JoinHostPort(XmlText(endpoint, "Address"), XmlText(endpoint, "Port"));
}

class ElasticacheDiscoverer : public ApiDiscoverer {
 public:
  ElasticacheDiscoverer(const ElasticacheSdConfig& config, std::string set_name,
                        DiscoveryEnvironment& environment)
      : ApiDiscoverer("elasticache", std::move(set_name), config.refresh_interval.nanos,
                      environment, config.http_client),
        aws_(api(), std::make_shared<const HttpClientConfig>(config.http_client), AccessOf(config),
             "elasticache", "ElastiCache") {
    for (const std::string& arn : config.clusters) TakeArn(arn);
  }

 private:
  // arn:aws:elasticache:<region>:<account>:serverlesscache|replicationgroup:<name>
  void TakeArn(const std::string& arn) {
    if (arn.empty()) return;
    const std::vector<std::string_view> parts = Split(arn, ':');
    if (parts.size() < 7) {
      LOG_WARN("Skipping invalid ElastiCache ARN", {"discovery", "elasticache"}, {"arn", arn});
      return;
    }
    if (parts[5] == "serverlesscache") serverless_.emplace_back(parts[6]);
    if (parts[5] == "replicationgroup") clusters_.emplace_back(parts[6]);
  }

  Async<Groups> FetchGroups() override {
    NARTHEX_CO_TRY(const std::string region, co_await aws_.Region());
    std::vector<TargetGroup> groups(1);
    groups[0].source = region;
    std::vector<TargetLabels>* const targets = &groups[0].targets;
    // Without names of one kind all of that kind are asked for, as upstream does.
    const std::vector<std::string> all(1);
    for (const std::string& name : serverless_.empty() ? all : serverless_) {
      const Status status = co_await ReadServerless(name, targets);
      if (!status.ok()) co_return status.WithPrefix("failed to describe serverless caches: ");
    }
    for (const std::string& name : clusters_.empty() ? all : clusters_) {
      const Status status = co_await ReadClusters(name, targets);
      if (!status.ok()) co_return status.WithPrefix("failed to describe cache clusters: ");
    }
    co_return groups;
  }

  Async<Status> ReadServerless(std::string name, std::vector<TargetLabels>* targets) {
    std::string token;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      net::FormValues form = Form();
      form.Add("MaxResults", "50");
      if (!name.empty()) form.Add("ServerlessCacheName", name);
      if (!token.empty()) form.Add("NextToken", token);
      pugi::xml_document document;
      NARTHEX_CO_RETURN_IF_ERROR(
          co_await aws_.QueryXml("DescribeServerlessCaches", std::move(form), &document));
      const pugi::xml_node result =
          document.document_element().child("DescribeServerlessCachesResult");
      for (const pugi::xml_node cache : result.child("ServerlessCaches").children()) {
        TextMap labels = {{"__meta_elasticache_deployment_option", "serverless"}};
        SetXmlLabels(cache, kServerlessLabels, kServerless, &labels);
        SetTexts(cache.child("SecurityGroupIds"), std::string(kServerless) + "security_group_id",
                 &labels);
        SetTexts(cache.child("SubnetIds"), std::string(kServerless) + "subnet_id", &labels);
        NARTHEX_CO_RETURN_IF_ERROR(
            co_await ReadTags(XmlText(cache, "ARN"), std::string(kServerless) + "tag_", &labels));
        SetAddress(cache.child("Endpoint"), &labels);
        targets->push_back(ToTarget(std::move(labels)));
      }
      token = XmlText(result, "NextToken");
      if (token.empty()) break;
    }
    co_return Status();
  }

  Async<Status> ReadClusters(std::string name, std::vector<TargetLabels>* targets) {
    std::string marker;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      net::FormValues form = Form();
      form.Add("MaxRecords", "100");
      form.Add("ShowCacheNodeInfo", "true");
      if (!name.empty()) form.Add("CacheClusterId", name);
      if (!marker.empty()) form.Add("Marker", marker);
      pugi::xml_document document;
      NARTHEX_CO_RETURN_IF_ERROR(
          co_await aws_.QueryXml("DescribeCacheClusters", std::move(form), &document));
      const pugi::xml_node result =
          document.document_element().child("DescribeCacheClustersResult");
      for (const pugi::xml_node cluster : result.child("CacheClusters").children()) {
        NARTHEX_CO_RETURN_IF_ERROR(co_await AddCluster(cluster, targets));
      }
      marker = XmlText(result, "Marker");
      if (marker.empty()) break;
    }
    co_return Status();
  }

  // A target for each of its nodes.
  Async<Status> AddCluster(pugi::xml_node cluster, std::vector<TargetLabels>* targets) {
    TextMap common = {{"__meta_elasticache_deployment_option", "node"}};
    SetXmlLabels(cluster, kClusterLabels, kCluster, &common);
    SetIndexed(cluster.child("LogDeliveryConfigurations"), kLogDeliveryLabels,
               std::string(kCluster) + "log_delivery_configuration_", &common);
    SetIndexed(cluster.child("SecurityGroups"), kSecurityGroupLabels,
               std::string(kCluster) + "security_group_membership_", &common);
    std::vector<std::string> leaving;
    for (const pugi::xml_node node :
         XmlChild(cluster, "PendingModifiedValues.CacheNodeIdsToRemove").children()) {
      leaving.emplace_back(node.text().get());
    }
    if (!leaving.empty()) {
      common[std::string(kCluster) + "pending_modified_values_cache_node_ids_to_remove"] =
          Join(leaving, ",");
    }
    NARTHEX_CO_RETURN_IF_ERROR(
        co_await ReadTags(XmlText(cluster, "ARN"), std::string(kCluster) + "tag_", &common));
    for (const pugi::xml_node node : cluster.child("CacheNodes").children()) {
      TextMap labels = common;
      SetXmlLabels(node, kNodeLabels, kNode, &labels);
      SetAddress(node.child("Endpoint"), &labels);
      targets->push_back(ToTarget(std::move(labels)));
    }
    co_return Status();
  }

  Async<Status> ReadTags(std::string arn, std::string prefix, TextMap* labels) {
    if (arn.empty()) co_return Status();
    net::FormValues form = Form();
    form.Add("ResourceName", arn);
    pugi::xml_document document;
    const Status status = co_await aws_.QueryXml("ListTagsForResource", std::move(form), &document);
    if (!status.ok()) {
      co_return status.WithPrefix(
          "failed to list tags for resources: failed to list tags for "
          "resource " +
          arn + ": ");
    }
    SetXmlTags(XmlChild(document.document_element(), "ListTagsForResourceResult.TagList"), prefix,
               labels);
    co_return Status();
  }

  static net::FormValues Form() {
    net::FormValues form;
    form.Add("Version", std::string(kApiVersion));
    return form;
  }

  AwsClient aws_;
  std::vector<std::string> serverless_;
  std::vector<std::string> clusters_;
};

}  // namespace

std::unique_ptr<Discoverer> MakeElasticacheDiscoverer(const ElasticacheSdConfig& config,
                                                      std::string set_name,
                                                      DiscoveryEnvironment& environment) {
  return std::make_unique<ElasticacheDiscoverer>(config, std::move(set_name), environment);
}

}  // namespace narthex
