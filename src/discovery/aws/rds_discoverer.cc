#include "discovery/aws/rds_discoverer.h"

#include "discovery/aws/aws_client.h"
#include "discovery/aws/xml_labels.h"

namespace narthex {

namespace {

constexpr std::string_view kApiVersion = "2014-10-31";
constexpr int kPagesMax = 10'000;
constexpr std::string_view kClusterPrefix = "__meta_rds_cluster_";
constexpr std::string_view kInstancePrefix = "__meta_rds_instance_";

constexpr XmlLabel kClusterLabels[] = {
    {"DBClusterArn", "arn"},
    {"DBClusterIdentifier", "identifier"},
    {"ActivityStreamKinesisStreamName", "activity_stream_kinesis_stream_name"},
    {"ActivityStreamKmsKeyId", "activity_stream_kms_key_id"},
    {"ActivityStreamMode", "activity_stream_mode"},
    {"ActivityStreamStatus", "activity_stream_status"},
    {"AllocatedStorage", "allocated_storage"},
    {"AutoMinorVersionUpgrade", "auto_minor_version_upgrade"},
    {"AutomaticRestartTime", "automatic_restart_time", XmlKind::kTime},
    {"AwsBackupRecoveryPointArn", "aws_backup_recovery_point_arn"},
    {"BacktrackConsumedChangeRecords", "backtrack_consumed_change_records"},
    {"BacktrackWindow", "backtrack_window"},
    {"BackupRetentionPeriod", "backup_retention_period"},
    {"Capacity", "capacity"},
    {"CharacterSetName", "character_set_name"},
    {"CloneGroupId", "clone_group_id"},
    {"ClusterCreateTime", "cluster_create_time", XmlKind::kTime},
    {"ClusterScalabilityType", "cluster_scalability_type"},
    {"CopyTagsToSnapshot", "copy_tags_to_snapshot"},
    {"CrossAccountClone", "cross_account_clone"},
    {"DBClusterInstanceClass", "instance_class"},
    {"DBClusterParameterGroup", "parameter_group"},
    {"DBSubnetGroup", "subnet_group"},
    {"DBSystemId", "db_system_id"},
    {"DatabaseInsightsMode", "database_insights_mode"},
    {"DatabaseName", "database_name"},
    {"DbClusterResourceId", "resource_id"},
    {"DeletionProtection", "deletion_protection"},
    {"EarliestBacktrackTime", "earliest_backtrack_time", XmlKind::kTime},
    {"EarliestRestorableTime", "earliest_restorable_time", XmlKind::kTime},
    {"Endpoint", "endpoint"},
    {"Engine", "engine"},
    {"EngineLifecycleSupport", "engine_lifecycle_support"},
    {"EngineMode", "engine_mode"},
    {"EngineVersion", "engine_version"},
    {"GlobalClusterIdentifier", "global_cluster_identifier"},
    {"GlobalWriteForwardingRequested", "global_write_forwarding_requested"},
    {"GlobalWriteForwardingStatus", "global_write_forwarding_status"},
    {"HostedZoneId", "hosted_zone_id"},
    {"HttpEndpointEnabled", "http_endpoint_enabled"},
    {"IAMDatabaseAuthenticationEnabled", "iam_database_authentication_enabled"},
    {"IOOptimizedNextAllowedModificationTime", "io_optimized_next_allowed_modification_time",
     XmlKind::kTime},
    {"Iops", "iops"},
    {"KmsKeyId", "kms_key_id"},
    {"LatestRestorableTime", "latest_restorable_time", XmlKind::kTime},
    {"LocalWriteForwardingStatus", "local_write_forwarding_status"},
    {"MasterUsername", "master_username"},
    {"MonitoringInterval", "monitoring_interval"},
    {"MonitoringRoleArn", "monitoring_role_arn"},
    {"MultiAZ", "multi_az"},
    {"NetworkType", "network_type"},
    {"PercentProgress", "percent_progress"},
    {"PerformanceInsightsEnabled", "performance_insights_enabled"},
    {"PerformanceInsightsKMSKeyId", "performance_insights_kms_key_id"},
    {"PerformanceInsightsRetentionPeriod", "performance_insights_retention_period"},
    {"Port", "port"},
    {"PreferredBackupWindow", "preferred_backup_window"},
    {"PreferredMaintenanceWindow", "preferred_maintenance_window"},
    {"PubliclyAccessible", "publicly_accessible"},
    {"ReaderEndpoint", "reader_endpoint"},
    {"ReplicationSourceIdentifier", "replication_source_identifier"},
    {"ServerlessV2PlatformVersion", "serverless_v2_platform_version"},
    {"Status", "status"},
    {"StorageEncrypted", "storage_encrypted"},
    {"StorageEncryptionType", "storage_encryption_type"},
    {"StorageThroughput", "storage_throughput"},
    {"StorageType", "storage_type"},
    {"UpgradeRolloutOrder", "upgrade_rollout_order"},
};

constexpr XmlLabel kInstanceLabels[] = {
    {"DBInstanceArn", "arn"},
    {"DBInstanceIdentifier", "identifier"},
    {"ActivityStreamEngineNativeAuditFieldsIncluded",
     "activity_stream_engine_native_audit_fields_included"},
    {"ActivityStreamKinesisStreamName", "activity_stream_kinesis_stream_name"},
    {"ActivityStreamKmsKeyId", "activity_stream_kms_key_id"},
    {"ActivityStreamMode", "activity_stream_mode"},
    {"ActivityStreamPolicyStatus", "activity_stream_policy_status"},
    {"ActivityStreamStatus", "activity_stream_status"},
    {"AllocatedStorage", "allocated_storage"},
    {"AutoMinorVersionUpgrade", "auto_minor_version_upgrade"},
    {"AutomaticRestartTime", "automatic_restart_time", XmlKind::kTime},
    {"AutomationMode", "automation_mode"},
    {"AvailabilityZone", "availability_zone"},
    {"AwsBackupRecoveryPointArn", "aws_backup_recovery_point_arn"},
    {"BackupRetentionPeriod", "backup_retention_period"},
    {"BackupTarget", "backup_target"},
    {"CACertificateIdentifier", "ca_certificate_identifier"},
    {"CharacterSetName", "character_set_name"},
    {"CopyTagsToSnapshot", "copy_tags_to_snapshot"},
    {"CustomIamInstanceProfile", "custom_iam_instance_profile"},
    {"CustomerOwnedIpEnabled", "customer_owned_ip_enabled"},
    {"DBClusterIdentifier", "db_cluster_identifier"},
    {"DBInstanceClass", "class"},
    {"DBInstanceStatus", "status"},
    {"DBName", "db_name"},
    {"DbInstancePort", "port"},
    {"DbiResourceId", "resource_id"},
    {"DedicatedLogVolume", "dedicated_log_volume"},
    {"DeletionProtection", "deletion_protection"},
    {"Endpoint.Address", "endpoint_address"},
    {"Endpoint.HostedZoneId", "endpoint_hosted_zone_id"},
    {"Endpoint.Port", "endpoint_port"},
    {"Engine", "engine"},
    {"EngineLifecycleSupport", "engine_lifecycle_support"},
    {"EngineVersion", "engine_version"},
    {"EnhancedMonitoringResourceArn", "enhanced_monitoring_resource_arn"},
    {"IAMDatabaseAuthenticationEnabled", "iam_database_authentication_enabled"},
    {"InstanceCreateTime", "instance_create_time", XmlKind::kTime},
    {"Iops", "iops"},
    {"IsStorageConfigUpgradeAvailable", "is_storage_config_upgrade_available"},
    {"KmsKeyId", "kms_key_id"},
    {"LatestRestorableTime", "latest_restorable_time", XmlKind::kTime},
    {"LicenseModel", "license_model"},
    {"ListenerEndpoint.Address", "listener_endpoint_address"},
    {"ListenerEndpoint.HostedZoneId", "listener_endpoint_hosted_zone_id"},
    {"ListenerEndpoint.Port", "listener_endpoint_port"},
    {"MasterUsername", "master_username"},
    {"MaxAllocatedStorage", "max_allocated_storage"},
    {"MonitoringInterval", "monitoring_interval"},
    {"MonitoringRoleArn", "monitoring_role_arn"},
    {"MultiAZ", "multi_az"},
    {"MultiTenant", "multi_tenant"},
    {"NcharCharacterSetName", "nchar_character_set_name"},
    {"NetworkType", "network_type"},
    {"PercentProgress", "percent_progress"},
    {"PerformanceInsightsEnabled", "performance_insights_enabled"},
    {"PerformanceInsightsKMSKeyId", "performance_insights_kms_key_id"},
    {"PerformanceInsightsRetentionPeriod", "performance_insights_retention_period"},
    {"PreferredBackupWindow", "preferred_backup_window"},
    {"PreferredMaintenanceWindow", "preferred_maintenance_window"},
    {"PromotionTier", "promotion_tier"},
    {"PubliclyAccessible", "publicly_accessible"},
    {"ReadReplicaSourceDBClusterIdentifier", "read_replica_source_db_cluster_identifier"},
    {"ReadReplicaSourceDBInstanceIdentifier", "read_replica_source_db_instance_identifier"},
    {"ReplicaMode", "replica_mode"},
    {"ResumeFullAutomationModeTime", "resume_full_automation_mode_time", XmlKind::kTime},
    {"SecondaryAvailabilityZone", "secondary_availability_zone"},
    {"StorageEncrypted", "storage_encrypted"},
    {"StorageEncryptionType", "storage_encryption_type"},
    {"StorageThroughput", "storage_throughput"},
    {"StorageType", "storage_type"},
    {"StorageVolumeStatus", "storage_volume_status"},
    {"TdeCredentialArn", "tde_credential_arn"},
    {"Timezone", "timezone"},
    {"UpgradeRolloutOrder", "upgrade_rollout_order"},
    {"DBSubnetGroup.DBSubnetGroupName", "subnet_group"},
    {"DBSystemId", "db_system_id"},
    {"DatabaseInsightsMode", "database_insights_mode"},
};

class RdsDiscoverer : public ApiDiscoverer {
 public:
  RdsDiscoverer(const RdsSdConfig& config, std::string set_name, DiscoveryEnvironment& environment)
      : ApiDiscoverer("rds", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config),
        aws_(api(), std::make_shared<const HttpClientConfig>(config.http_client), AccessOf(config),
             "rds", "RDS") {}

 private:
  Async<Groups> FetchGroups() override {
    NARTHEX_CO_TRY(const std::string region, co_await aws_.Region());
    std::vector<TargetGroup> groups(1);
    groups[0].source = region;
    if (config_.clusters.empty()) {
      const Status status = co_await ReadCluster("", &groups[0].targets);
      if (!status.ok()) {
        co_return status.WithPrefix(
            "error describing all DB clusters: failed to describe DB "
            "clusters: ");
      }
    }
    for (const std::string& cluster : config_.clusters) {
      const Status status = co_await ReadCluster(cluster, &groups[0].targets);
      if (!status.ok()) {
        co_return status.WithPrefix("error describing DB clusters: failed to describe DB cluster " +
                                    cluster + ": ");
      }
    }
    co_return groups;
  }

  // The targets of one cluster, or of all of them.
  Async<Status> ReadCluster(std::string cluster, std::vector<TargetLabels>* targets) {
    std::string marker;
    bool any = false;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      net::FormValues form = Form(marker);
      if (!cluster.empty()) form.Add("DBClusterIdentifier", cluster);
      pugi::xml_document document;
      NARTHEX_CO_RETURN_IF_ERROR(
          co_await aws_.QueryXml("DescribeDBClusters", std::move(form), &document));
      const pugi::xml_node result = document.document_element().child("DescribeDBClustersResult");
      for (const pugi::xml_node found : result.child("DBClusters").children()) {
        if (!found.child("DBClusterArn")) continue;
        any = true;
        NARTHEX_CO_RETURN_IF_ERROR(co_await ReadInstances(found, targets));
      }
      marker = XmlText(result, "Marker");
      if (marker.empty()) break;
    }
    if (!any && !cluster.empty()) {
      co_return MakeError(ErrorCode::kNotFound, "no DB cluster found for ARN {}", cluster);
    }
    co_return Status();
  }

  Async<Status> ReadInstances(pugi::xml_node cluster, std::vector<TargetLabels>* targets) {
    TextMap common;
    SetXmlLabels(cluster, kClusterLabels, kClusterPrefix, &common);
    SetXmlTags(cluster.child("TagList"), "__meta_rds_cluster_tag_", &common);
    const std::string arn = XmlText(cluster, "DBClusterArn");
    std::string marker;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      net::FormValues form = Form(marker);
      AddFilter(1, "db-cluster-id", {arn}, &form);
      for (size_t i = 0; i < config_.filters.size(); ++i) {
        AddFilter(i + 2, config_.filters[i].name, config_.filters[i].values, &form);
      }
      pugi::xml_document document;
      const Status status =
          co_await aws_.QueryXml("DescribeDBInstances", std::move(form), &document);
      if (!status.ok()) {
        co_return status.WithPrefix(
            "error describing DB instances: failed to describe DB instances for cluster ARN " +
            arn + ": ");
      }
      const pugi::xml_node result = document.document_element().child("DescribeDBInstancesResult");
      for (const pugi::xml_node instance : result.child("DBInstances").children()) {
        TextMap labels = common;
        SetInstance(cluster, instance, &labels);
        targets->push_back(ToTarget(std::move(labels)));
      }
      marker = XmlText(result, "Marker");
      if (marker.empty()) break;
    }
    co_return Status();
  }

  void SetInstance(const pugi::xml_node& cluster, const pugi::xml_node& instance,
                   TextMap* labels) const {
    SetXmlLabels(instance, kInstanceLabels, kInstancePrefix, labels);
    SetXmlTags(instance.child("TagList"), "__meta_rds_instance_tag_", labels);
    const std::string name = XmlText(instance, "DBInstanceIdentifier");
    for (const pugi::xml_node member : cluster.child("DBClusterMembers").children()) {
      if (!member.child("IsClusterWriter") || XmlText(member, "DBInstanceIdentifier") != name) {
        continue;
      }
      (*labels)["__meta_rds_instance_is_cluster_writer"] = XmlText(member, "IsClusterWriter");
    }
    // The port is the configuration's: databases do not speak HTTP, exporters beside them do.
    if (XmlChild(instance, "Endpoint.Address") && XmlChild(instance, "Endpoint.Port")) {
      (*labels)[std::string(kAddressLabel)] =
          JoinHostPort(XmlText(instance, "Endpoint.Address"), config_.port);
    }
  }

  static net::FormValues Form(const std::string& marker) {
    net::FormValues form;
    form.Add("Version", std::string(kApiVersion));
    form.Add("MaxRecords", "100");
    if (!marker.empty()) form.Add("Marker", marker);
    return form;
  }
  static void AddFilter(size_t number, const std::string& name,
                        const std::vector<std::string>& values, net::FormValues* form) {
    const std::string prefix = fmt::format("Filters.Filter.{}.", number);
    form->Add(prefix + "Name", name);
    for (size_t i = 0; i < values.size(); ++i) {
      form->Add(fmt::format("{}Values.Value.{}", prefix, i + 1), values[i]);
    }
  }

  const RdsSdConfig config_;
  AwsClient aws_;
};

}  // namespace

std::unique_ptr<Discoverer> MakeRdsDiscoverer(const RdsSdConfig& config, std::string set_name,
                                              DiscoveryEnvironment& environment) {
  return std::make_unique<RdsDiscoverer>(config, std::move(set_name), environment);
}

}  // namespace narthex
