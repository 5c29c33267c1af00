#include "config/sd_mechanisms.h"
#include "discovery/aws/aws_discovery.h"
#include "net/url.h"
#include "testing/fake_api.h"

namespace narthex {
namespace {

using testing::Answer;
using ::testing::Contains;
using testing::DiscoveryTest;
using testing::FakeApi;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Pair;
using ::testing::StartsWith;

constexpr std::string_view kKeys = "  access_key: AK\n  secret_key: SK\n  region: eu-west-1\n";
constexpr std::string_view kEc2 = "POST https://ec2.eu-west-1.amazonaws.com/";

class AwsTest : public DiscoveryTest {
 protected:
  AwsTest() { RegisterAwsDiscovery(registry); }

  // Answers a query API by action and token.
  void ServeActions(std::map<std::string, std::string> answers) {
    api.Serve(std::string(kEc2),
              [answers = std::move(answers)](const FetchRequest& request) -> FakeApi::Reply {
                net::FormValues form;
                EXPECT_TRUE(form.Parse(request.body).ok());
                const auto found = answers.find(std::string(form.Get("Action")) +
                                                std::string(form.Get("NextToken")));
                return found == answers.end() ? Answer("<no/>", 400) : Answer(found->second);
              });
  }
};

constexpr std::string_view kZones = R"(<DescribeAvailabilityZonesResponse><availabilityZoneInfo>
  <item><zoneName>eu-west-1a</zoneName><zoneId>euw1-az2</zoneId></item>
  </availabilityZoneInfo></DescribeAvailabilityZonesResponse>)";

constexpr std::string_view kInstances = R"(<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet>
<item><ownerId>42</ownerId><instancesSet>
  <item><instanceId>i-1</instanceId><imageId>ami-1</imageId>
    <instanceState><code>16</code><name>running</name></instanceState>
    <privateDnsName>ip-10-0-0-1.internal</privateDnsName><dnsName>ec2.example</dnsName>
    <instanceType>m5.large</instanceType><platform>windows</platform>
    <instanceLifecycle>spot</instanceLifecycle><architecture>x86_64</architecture>
    <placement><availabilityZone>eu-west-1a</availabilityZone></placement>
    <privateIpAddress>10.0.0.1</privateIpAddress><ipAddress>1.2.3.4</ipAddress>
    <vpcId>vpc-1</vpcId><subnetId>subnet-1</subnetId>
    <networkInterfaceSet>
      <item><subnetId>subnet-1</subnetId><attachment><deviceIndex>0</deviceIndex></attachment>
        <ipv6AddressesSet><item><ipv6Address>2001:db8::1</ipv6Address></item></ipv6AddressesSet>
      </item>
      <item><subnetId>subnet-2</subnetId><attachment><deviceIndex>2</deviceIndex></attachment>
        <ipv6AddressesSet><item><ipv6Address>2001:db8::2</ipv6Address>
          <isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet></item>
      <item><subnetId>subnet-1</subnetId></item>
    </networkInterfaceSet>
    <tagSet><item><key>Name-x</key><value>web &amp; co</value></item>
      <item><key>half</key></item></tagSet></item>
  <item><instanceId>i-2</instanceId><instanceType>t2</instanceType></item>
</instancesSet></item></reservationSet><nextToken>more</nextToken></DescribeInstancesResponse>)";

constexpr std::string_view kLast = R"(<DescribeInstancesResponse><reservationSet><item>
  <instancesSet><item><instanceType>t3</instanceType><vpcId>v</vpcId>
    <placement><availabilityZone>eu-west-1z</availabilityZone></placement>
    <networkInterfaceSet><item><subnetId>s</subnetId><ipv6AddressesSet>
    <item><ipv6Address>2001:db8::9</ipv6Address></item></ipv6AddressesSet></item>
    </networkInterfaceSet></item></instancesSet></item></reservationSet>
  </DescribeInstancesResponse>)";

constexpr std::string_view kFound =
    "eu-west-1 {}\n"
    "  10.0.0.1:80 ec2_ami=ami-1 ec2_architecture=x86_64 ec2_availability_zone=eu-west-1a"
    " ec2_availability_zone_id=euw1-az2 ec2_default_ipv6_address=2001:db8::2"
    " ec2_instance_id=i-1 ec2_instance_lifecycle=spot ec2_instance_state=running"
    " ec2_instance_type=m5.large ec2_ipv6_addresses=,2001:db8::1,2001:db8::2, ec2_owner_id=42"
    " ec2_platform=windows ec2_primary_ipv6_addresses=,,,2001:db8::2,"
    " ec2_primary_subnet_id=subnet-1 ec2_private_dns_name=ip-10-0-0-1.internal"
    " ec2_private_ip=10.0.0.1 ec2_public_dns_name=ec2.example ec2_public_ip=1.2.3.4"
    " ec2_region=eu-west-1 ec2_subnet_id=,subnet-1,subnet-2, ec2_tag_Name_x=web & co"
    " ec2_vpc_id=vpc-1\n"
    "  [2001:db8::9]:80 ec2_availability_zone=eu-west-1z ec2_availability_zone_id="
    " ec2_default_ipv6_address=2001:db8::9 ec2_instance_type=t3"
    " ec2_ipv6_addresses=,2001:db8::9, ec2_region=eu-west-1 ec2_subnet_id=,s, ec2_vpc_id=v\n";

TEST_F(AwsTest, FindsInstancesOnAllPages) {
  for (const std::string_view entry :
       {"ec2_sd_configs:\n- port: 80\n", "aws_sd_configs:\n- role: ec2\n"}) {
    api = FakeApi();
    groups.clear();
    ServeActions({{"DescribeAvailabilityZones", std::string(kZones)},
                  {"DescribeInstances", std::string(kInstances)},
                  {"DescribeInstancesmore", std::string(kLast)}});
    Start(std::string(entry) + std::string(kKeys) +
          "  filters: [{name: 'tag:env', values: [a, b]}, {name: vpc-id, values: [v]}]");
    EXPECT_EQ(Seen(), kFound);
    ASSERT_EQ(api.requests.size(), 3U);
    EXPECT_EQ(api.requests[1].body,
              "Action=DescribeInstances&Filter.1.Name=tag%3Aenv&Filter.1.Value.1=a"
              "&Filter.1.Value.2=b&Filter.2.Name=vpc-id&Filter.2.Value.1=v&Version=2016-11-15");
    EXPECT_THAT(api.requests[1].headers,
                Contains(Pair("Authorization", StartsWith("AWS4-HMAC-SHA256 Credential=AK/"))));
    EXPECT_THAT(api.requests[1].headers, Contains(Key("X-Amz-Date")));
    AdvanceSeconds(60);
    EXPECT_EQ(api.requests.size(), 5U) << "zones are asked for once";
  }
}

TEST_F(AwsTest, KeepsInstancesAndTriesAgain) {
  const std::map<std::string, std::string> good = {
      {"DescribeAvailabilityZones", std::string(kZones)},
      {"DescribeInstances", std::string(kInstances)},
      {"DescribeInstancesmore", std::string(kLast)}};
  ServeActions(good);
  Start("ec2_sd_configs:\n- refresh_interval: 60s\n" + std::string(kKeys));
  ASSERT_EQ(Seen(), kFound);
  const auto error = [](std::string_view code) {
    return fmt::format(
        "<Response><Errors><Error><Code>{}</Code><Message>no</Message></Error>"
        "</Errors><RequestID>r</RequestID></Response>",
        code);
  };
  // Throttled calls are made three times, the second and third after a rest.
  api.log.clear();
  api.ServeStatus(std::string(kEc2), 503, error("RequestLimitExceeded"));
  AdvanceSeconds(60);
  EXPECT_EQ(api.log.size(), 1U);
  AdvanceSeconds(1);
  EXPECT_EQ(api.log.size(), 2U);
  AdvanceSeconds(2);
  EXPECT_EQ(api.log.size(), 3U);
  EXPECT_EQ(RefreshFailures("ec2"), 1);
  // Others are not.
  api.log.clear();
  api.ServeStatus(std::string(kEc2), 403, error("AuthFailure"));
  AdvanceSeconds(57);
  EXPECT_EQ(api.log.size(), 1U);
  EXPECT_EQ(RefreshFailures("ec2"), 2);
  api.Serve(std::string(kEc2), "not XML");
  AdvanceSeconds(60);
  EXPECT_EQ(RefreshFailures("ec2"), 3);
  EXPECT_EQ(Seen(), kFound);
  ServeActions(good);
  AdvanceSeconds(60);
  EXPECT_EQ(RefreshFailures("ec2"), 3);
}

TEST_F(AwsTest, ZonesAreWelcomeButNotNeeded) {
  ServeActions({{"DescribeInstances", std::string(kLast)}});
  Start("ec2_sd_configs:\n- port: 80\n" + std::string(kKeys));
  EXPECT_THAT(Seen(), HasSubstr("ec2_availability_zone_id= "));
  AdvanceSeconds(60);
  EXPECT_EQ(api.requests.size(), 4U) << "asked for again each time";
}

TEST_F(AwsTest, FindsLightsailInstances) {
  api.Serve("POST http://stub/", [](const FetchRequest& request) -> FakeApi::Reply {
    if (request.body == "{}") {
      return Answer(R"({"nextPageToken": "p", "instances": [
        {"name": "n", "privateIpAddress": "10.0.0.1", "publicIpAddress": "1.1.1.1",
         "location": {"availabilityZone": "eu-west-1a"}, "blueprintId": "b", "bundleId": "u",
         "state": {"name": "running"}, "supportCode": "s", "ipv6Addresses": ["2001:db8::1"],
         "tags": [{"key": "a-b", "value": "c"}, {"key": "only"}]},
        {"name": "no address"}]})");
    }
    EXPECT_EQ(request.body, R"({"pageToken":"p"})");
    return Answer(R"({"instances": [{"privateIpAddress": "10.0.0.2"}]})");
  });
  Start("aws_sd_configs:\n- role: lightsail\n  endpoint: http://stub\n  port: 9100\n" +
        std::string(kKeys));
  EXPECT_EQ(Seen(),
            "eu-west-1 {}\n"
            "  10.0.0.1:9100 lightsail_availability_zone=eu-west-1a lightsail_blueprint_id=b"
            " lightsail_bundle_id=u lightsail_instance_name=n lightsail_instance_state=running"
            " lightsail_instance_support_code=s lightsail_ipv6_addresses=,2001:db8::1,"
            " lightsail_private_ip=10.0.0.1 lightsail_public_ip=1.1.1.1"
            " lightsail_region=eu-west-1 lightsail_tag_a_b=c\n"
            "  10.0.0.2:9100 lightsail_private_ip=10.0.0.2 lightsail_region=eu-west-1\n");
  EXPECT_THAT(api.requests[0].headers,
              Contains(Pair("X-Amz-Target", "Lightsail_20161128.GetInstances")));
}

// Answers by what the request asks for: a query API's action and page, a JSON API's operation and
// token, or a path.
void ServeAll(FakeApi& api, std::string_view url, std::map<std::string, std::string> answers) {
  api.Serve(std::string(url),
            [answers = std::move(answers)](const FetchRequest& request) -> FakeApi::Reply {
              std::string question = request.url.substr(request.url.find('/', 8));
              for (const auto& [name, value] : request.headers) {
                if (name == "X-Amz-Target") question = value.substr(value.find('.') + 1);
              }
              net::FormValues form;
              if (request.body.starts_with('{')) {
                const size_t token = request.body.find("\"nextToken\":\"");
                if (token != std::string::npos) question += request.body.substr(token + 13, 1);
              } else if (!request.body.empty()) {
                EXPECT_TRUE(form.Parse(request.body).ok());
                question = std::string(form.Get("Action")) + std::string(form.Get("Marker")) +
                           std::string(form.Get("NextToken"));
              }
              const auto found = answers.find(question);
              return found == answers.end() ? Answer("<no>" + question + "</no>", 400)
                                            : Answer(found->second);
            });
}

TEST_F(AwsTest, FindsTasksOfEcs) {
  ServeAll(api, "POST http://ecs/",
           {{"ListClusters", R"({"clusterArns": ["arn:c/one"], "nextToken": "2"})"},
            {"ListClusters2", R"({"clusterArns": ["arn:c/two"]})"},
            {"DescribeClusters", R"({"clusters": [
                {"clusterArn": "arn:c/one", "clusterName": "one",
                 "tags": [{"key": "env", "value": "prod"}]}]})"},
            {"ListServices", R"({"serviceArns": ["arn:s/web"]})"},
            {"ListTasks", R"({"taskArns": ["arn:t/1", "arn:t/2", "arn:t/3"]})"},
            {"DescribeServices", R"({"services": [
                {"serviceArn": "arn:s/web", "serviceName": "web", "status": "ACTIVE",
                 "tags": [{"key": "team", "value": "a"}]}]})"},
            {"DescribeTasks", R"({"tasks": [
                {"taskArn": "arn:t/1", "group": "service:web", "launchType": "FARGATE",
                 "healthStatus": "HEALTHY", "lastStatus": "RUNNING", "desiredStatus": "RUNNING",
                 "taskDefinitionArn": "arn:d/1", "availabilityZone": "eu-west-1a",
                 "platformFamily": "Linux", "platformVersion": "1.4.0",
                 "tags": [{"key": "k-1", "value": "v"}],
                 "attachments": [{"type": "ElasticNetworkInterface", "details": [
                   {"name": "subnetId", "value": "subnet-1"},
                   {"name": "networkInterfaceId", "value": "eni-1"},
                   {"name": "privateIPv4Address", "value": "10.0.0.1"}, {"name": "x"}]}]},
                {"taskArn": "arn:t/2", "group": "family:job", "launchType": "EC2",
                 "containerInstanceArn": "arn:i/1"},
                {"taskArn": "arn:t/3", "launchType": "EC2"}]})"},
            {"DescribeContainerInstances", R"({"containerInstances": [
                {"containerInstanceArn": "arn:i/1", "ec2InstanceId": "i-1"}]})"}});
  ServeAll(api, kEc2,
           {{"DescribeNetworkInterfaces", R"(<R><networkInterfaceSet><item>
               <networkInterfaceId>eni-1</networkInterfaceId>
               <association><publicIp>1.2.3.4</publicIp></association></item>
               </networkInterfaceSet></R>)"},
            {"DescribeInstances", R"(<R><reservationSet><item><instancesSet><item>
               <instanceId>i-1</instanceId><privateIpAddress>10.0.0.9</privateIpAddress>
               <ipAddress>5.6.7.8</ipAddress><subnetId>subnet-9</subnetId>
               <instanceType>m5</instanceType><tagSet><item><key>Name</key><value>host</value>
               </item></tagSet></item></instancesSet></item></reservationSet></R>)"}});
  Start("ecs_sd_configs:\n- endpoint: http://ecs\n" + std::string(kKeys));
  EXPECT_EQ(
      Seen(),
      "eu-west-1 {}\n"
      "  10.0.0.1:80 ecs_availability_zone=eu-west-1a ecs_cluster=one ecs_cluster_arn=arn:c/one"
      " ecs_desired_status=RUNNING ecs_health_status=HEALTHY ecs_ip_address=10.0.0.1"
      " ecs_last_status=RUNNING ecs_launch_type=FARGATE ecs_network_mode=awsvpc"
      " ecs_platform_family=Linux ecs_platform_version=1.4.0 ecs_public_ip=1.2.3.4"
      " ecs_region=eu-west-1 ecs_service=web ecs_service_arn=arn:s/web ecs_service_status=ACTIVE"
      " ecs_subnet_id=subnet-1 ecs_tag_cluster_env=prod ecs_tag_service_team=a ecs_tag_task_k_1=v"
      " ecs_task_arn=arn:t/1 ecs_task_definition=arn:d/1 ecs_task_group=service:web\n"
      "  10.0.0.9:80 ecs_cluster=one ecs_cluster_arn=arn:c/one"
      " ecs_container_instance_arn=arn:i/1 ecs_ec2_instance_id=i-1"
      " ecs_ec2_instance_private_ip=10.0.0.9 ecs_ec2_instance_public_ip=5.6.7.8"
      " ecs_ec2_instance_type=m5 ecs_health_status= ecs_ip_address=10.0.0.9 ecs_launch_type=EC2"
      " ecs_network_mode=bridge ecs_public_ip=5.6.7.8 ecs_region=eu-west-1"
      " ecs_subnet_id=subnet-9 ecs_tag_cluster_env=prod ecs_tag_ec2_Name=host"
      " ecs_task_arn=arn:t/2 ecs_task_group=family:job\n");
  EXPECT_EQ(api.requests[2].body, R"({"clusters":["arn:c/one","arn:c/two"],"include":["TAGS"]})");
}

TEST_F(AwsTest, AClusterThatCannotBeLookedIntoCostsItsOwnTasks) {
  ServeAll(api, "POST http://ecs/",
           {{"DescribeClusters", R"({"clusters": [{"clusterArn": "arn:c/one"}]})"},
            {"ListServices", R"({"serviceArns": []})"},
            {"ListTasks", R"({"taskArns": ["arn:t/1"]})"}});
  Start("aws_sd_configs:\n- role: ecs\n  clusters: [one]\n  endpoint: http://ecs\n" +
        std::string(kKeys));
  EXPECT_EQ(Seen(), "");
  EXPECT_EQ(updates, 1) << "the rest is published";
}

TEST_F(AwsTest, FindsNodesOfCachesAndServerlessOnes) {
  ServeAll(
      api, "POST https://elasticache.eu-west-1.amazonaws.com/",
      {{"DescribeServerlessCaches", R"(<A><DescribeServerlessCachesResult><ServerlessCaches><member>
          <ARN>arn:s</ARN><ServerlessCacheName>sc</ServerlessCacheName>
          <CreateTime>2024-05-01T10:00:00.123Z</CreateTime>
          <Endpoint><Address>sc.example</Address><Port>6379</Port></Endpoint>
          <SubnetIds><member>s-1</member><member>s-2</member></SubnetIds>
          <CacheUsageLimits><DataStorage><Maximum>10</Maximum><Unit>GB</Unit></DataStorage>
          </CacheUsageLimits></member></ServerlessCaches></DescribeServerlessCachesResult></A>)"},
       {"DescribeCacheClusters", R"(<A><DescribeCacheClustersResult><CacheClusters><CacheCluster>
          <ARN>arn:c</ARN><CacheClusterId>cc</CacheClusterId><Engine>redis</Engine>
          <CacheParameterGroup><CacheParameterGroupName>pg</CacheParameterGroupName>
          </CacheParameterGroup><NumCacheNodes>2</NumCacheNodes>
          <SecurityGroups><member><SecurityGroupId>sg</SecurityGroupId><Status>active</Status>
          </member></SecurityGroups>
          <LogDeliveryConfigurations><LogDeliveryConfiguration><LogType>slow-log</LogType>
          <DestinationDetails><CloudWatchLogsDetails><LogGroup>g</LogGroup></CloudWatchLogsDetails>
          </DestinationDetails></LogDeliveryConfiguration></LogDeliveryConfigurations>
          <PendingModifiedValues><CacheNodeIdsToRemove><CacheNodeId>3</CacheNodeId>
          <CacheNodeId>4</CacheNodeId></CacheNodeIdsToRemove></PendingModifiedValues>
          <CacheNodes><CacheNode><CacheNodeId>0001</CacheNodeId>
          <Endpoint><Address>n1.example</Address><Port>6380</Port></Endpoint></CacheNode>
          <CacheNode><CacheNodeId>0002</CacheNodeId>
          <Endpoint><Address>n2.example</Address><Port>6380</Port></Endpoint></CacheNode>
          </CacheNodes></CacheCluster></CacheClusters></DescribeCacheClustersResult></A>)"},
       {"ListTagsForResource", R"(<A><ListTagsForResourceResult><TagList><Tag><Key>a-b</Key>
          <Value>c</Value></Tag><Tag><Key>half</Key></Tag></TagList></ListTagsForResourceResult>
          </A>)"}});
  Start("elasticache_sd_configs:\n- port: 1\n" + std::string(kKeys));
  const auto node = [](const std::string& name, const std::string& id) {
    return "  " + name +
           ".example:6380 elasticache_cache_cluster_arn=arn:c"
           " elasticache_cache_cluster_cache_cluster_id=cc"
           " elasticache_cache_cluster_cache_parameter_group=pg"
           " elasticache_cache_cluster_engine=redis"
           " elasticache_cache_cluster_log_delivery_configuration_log_group_0=g"
           " elasticache_cache_cluster_log_delivery_configuration_log_type_0=slow-log"
           " elasticache_cache_cluster_node_endpoint_address=" +
           name +
           ".example"
           " elasticache_cache_cluster_node_endpoint_port=6380"
           " elasticache_cache_cluster_node_id=" +
           id +
           " elasticache_cache_cluster_num_cache_nodes=2"
           " elasticache_cache_cluster_pending_modified_values_cache_node_ids_to_remove=3,4"
           " elasticache_cache_cluster_security_group_membership_id_0=sg"
           " elasticache_cache_cluster_security_group_membership_status_0=active"
           " elasticache_cache_cluster_tag_a_b=c elasticache_deployment_option=node\n";
  };
  EXPECT_EQ(Seen(),
            "eu-west-1 {}\n"
            "  sc.example:6379 elasticache_deployment_option=serverless"
            " elasticache_serverless_cache_arn=arn:s"
            " elasticache_serverless_cache_cache_usage_limit_data_storagemaximum=10"
            " elasticache_serverless_cache_cache_usage_limit_data_storageunit=GB"
            " elasticache_serverless_cache_create_time=2024-05-01T10:00:00Z"
            " elasticache_serverless_cache_endpoint_address=sc.example"
            " elasticache_serverless_cache_endpoint_port=6379 elasticache_serverless_cache_name=sc"
            " elasticache_serverless_cache_subnet_id_0=s-1"
            " elasticache_serverless_cache_subnet_id_1=s-2"
            " elasticache_serverless_cache_tag_a_b=c\n" +
                node("n1", "0001") + node("n2", "0002"));
}

TEST_F(AwsTest, FindsBrokersAndControllersOfMsk) {
  const std::map<std::string, std::string> answers = {
      {"/api/v2/clusters?clusterTypeFilter=PROVISIONED&maxResults=100",
       R"({"clusterInfoList": [{"clusterArn": "arn:k/c", "clusterName": "c",
                "state": "ACTIVE", "clusterType": "PROVISIONED", "currentVersion": "K1",
                "tags": {"a-b": "c"}, "provisioned": {
                "currentBrokerSoftwareInfo": {"kafkaVersion": "3.5", "configurationRevision": 7},
                "openMonitoring": {"prometheus": {"jmxExporter": {"enabledInBroker": true},
                                                  "nodeExporter": {"enabledInBroker": false}}}}}]})"},
      {"/v1/clusters/arn%3Ak%2Fc/nodes?maxResults=100",
       R"({"nodeInfoList": [
                {"nodeARN": "arn:n/1", "instanceType": "m5", "addedToClusterTime": "T",
                 "brokerNodeInfo": {"brokerId": 1.0, "attachedENIId": "eni", "clientSubnet": "s",
                 "clientVpcIpAddress": "10.0.0.1", "endpoints": ["b1", "b2"]}},
                {"nodeARN": "arn:n/2"}], "nextToken": "n"})"},
      {"/v1/clusters/arn%3Ak%2Fc/nodes?maxResults=100&nextToken=n",
       R"({"nodeInfoList": [{"nodeARN": "arn:n/3",
                 "controllerNodeInfo": {"endpoints": ["k1"]}}]})"}};
  for (const auto& [path, answer] : answers) api.Serve("GET http://msk" + path, answer);
  Start("msk_sd_configs:\n- endpoint: http://msk\n  port: 11001\n" + std::string(kKeys));
  const std::string cluster =
      "msk_cluster_arn=arn:k/c msk_cluster_configuration_revision=7"
      " msk_cluster_jmx_exporter_enabled=true msk_cluster_kafka_version=3.5 msk_cluster_name=c"
      " msk_cluster_state=ACTIVE msk_cluster_tag_a_b=c msk_cluster_type=PROVISIONED"
      " msk_cluster_version=K1";
  const auto broker = [&](std::string index) {
    return "msk_broker_client_subnet=s msk_broker_client_vpc_ip=10.0.0.1"
           " msk_broker_endpoint_index=" +
           index + " msk_broker_id=1 msk_broker_node_exporter_enabled=false " + cluster +
           " msk_node_added_time=T msk_node_arn=arn:n/1 msk_node_attached_eni=eni"
           " msk_node_instance_type=m5 msk_node_type=BROKER\n";
  };
  EXPECT_EQ(Seen(), "eu-west-1 {}\n  b1:11001 " + broker("0") + "  b2:11001 " + broker("1") +
                        "  k1:11001 " + cluster +
                        " msk_controller_endpoint_index=0 msk_node_added_time="
                        " msk_node_arn=arn:n/3 msk_node_instance_type= msk_node_type=CONTROLLER\n");
}

TEST_F(AwsTest, FindsInstancesOfRds) {
  ServeAll(api, "POST https://rds.eu-west-1.amazonaws.com/",
           {{"DescribeDBClusters", R"(<A><DescribeDBClustersResult><DBClusters><DBCluster>
               <DBClusterArn>arn:db</DBClusterArn><DBClusterIdentifier>db</DBClusterIdentifier>
               <ClusterCreateTime>2024-05-01T10:00:00.9Z</ClusterCreateTime><Port>5432</Port>
               <DBClusterMembers><DBClusterMember><DBInstanceIdentifier>i1</DBInstanceIdentifier>
               <IsClusterWriter>true</IsClusterWriter></DBClusterMember></DBClusterMembers>
               <TagList><Tag><Key>team</Key><Value>a</Value></Tag></TagList>
               </DBCluster></DBClusters></DescribeDBClustersResult></A>)"},
            {"DescribeDBInstances", R"(<A><DescribeDBInstancesResult><DBInstances><DBInstance>
               <DBInstanceIdentifier>i1</DBInstanceIdentifier><MultiAZ>false</MultiAZ>
               <Endpoint><Address>i1.example</Address><Port>5432</Port></Endpoint>
               <DBSubnetGroup><DBSubnetGroupName>sn</DBSubnetGroupName></DBSubnetGroup>
               <TagList><Tag><Key>x</Key><Value>y</Value></Tag></TagList>
               </DBInstance></DBInstances><Marker>2</Marker></DescribeDBInstancesResult></A>)"},
            {"DescribeDBInstances2", R"(<A><DescribeDBInstancesResult><DBInstances><DBInstance>
               <DBInstanceIdentifier>i2</DBInstanceIdentifier>
               <Endpoint><Address>i2.example</Address><Port>5432</Port></Endpoint>
               </DBInstance></DBInstances></DescribeDBInstancesResult></A>)"}});
  Start(
      "rds_sd_configs:\n- port: 9187\n  clusters: ['arn:db']\n"
      "  filters: [{name: engine, values: [postgres]}]\n" +
      std::string(kKeys));
  const std::string cluster =
      "rds_cluster_arn=arn:db rds_cluster_cluster_create_time=2024-05-01T10:00:00Z"
      " rds_cluster_identifier=db rds_cluster_port=5432 rds_cluster_tag_team=a";
  EXPECT_EQ(Seen(),
            "eu-west-1 {}\n"
            "  i1.example:9187 " +
                cluster +
                " rds_instance_endpoint_address=i1.example rds_instance_endpoint_port=5432"
                " rds_instance_identifier=i1 rds_instance_is_cluster_writer=true"
                " rds_instance_multi_az=false rds_instance_subnet_group=sn"
                " rds_instance_tag_x=y\n"
                "  i2.example:9187 " +
                cluster +
                " rds_instance_endpoint_address=i2.example rds_instance_endpoint_port=5432"
                " rds_instance_identifier=i2\n");
  EXPECT_EQ(api.requests[1].body,
            "Action=DescribeDBInstances&Filters.Filter.1.Name=db-cluster-id"
            "&Filters.Filter.1.Values.Value.1=arn%3Adb&Filters.Filter.2.Name=engine"
            "&Filters.Filter.2.Values.Value.1=postgres&MaxRecords=100&Version=2014-10-31");
}

TEST_F(AwsTest, ClustersOfRdsThatAreMissingAreErrors) {
  ServeAll(api, "POST https://rds.eu-west-1.amazonaws.com/",
           {{"DescribeDBClusters", "<A><DescribeDBClustersResult/></A>"}});
  Start("aws_sd_configs:\n- role: rds\n  clusters: ['arn:db']\n" + std::string(kKeys));
  EXPECT_EQ(updates, 0);
  EXPECT_EQ(api.requests.size(), 1U);
}

}  // namespace
}  // namespace narthex
