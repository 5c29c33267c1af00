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

TEST_F(AwsTest, RolesThatAreMissingAreRefused) {
  SdConfig entry = SdConfig::Make("aws", AwsSdConfig{.role = "rds"});
  const auto made = registry.Create(entry, "job", environment);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().message(), "aws service discovery with role rds is not supported yet");
}

}  // namespace
}  // namespace narthex
