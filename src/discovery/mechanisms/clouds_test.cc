// Clouds with ways of their own: signed requests, traded tokens, lists beside the list.
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cstdlib>

#include "discovery/mechanisms/mechanisms.h"
#include "net/crypto.h"
#include "testing/fake_api.h"
#include "util/json_reader.h"

namespace narthex {
namespace {

using testing::Answer;
using ::testing::Contains;
using testing::DiscoveryTest;
using testing::FakeApi;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

class CloudsTest : public DiscoveryTest {
 protected:
  CloudsTest() { RegisterBuiltinMechanisms(registry); }
  void SetUp() override { setenv("HOME", folder_.path().c_str(), 1); }
  std::string Write(const std::string& name, std::string_view text) {
    const std::string path = JoinPath(folder_.path(), name);
    EXPECT_TRUE(FileSystem::Posix().WriteAtomically(path, text).ok());
    return path;
  }

  TemporaryDirectory folder_;
};

std::string HeaderOf(const FetchRequest& request, std::string_view wanted) {
  for (const auto& [name, value] : request.headers) {
    if (name == wanted) return value;
  }
  return "";
}

constexpr std::string_view kScaleway =
    "scaleway_sd_configs:\n- {{role: {}, api_url: 'http://s', access_key: SCWXXXXXXXXXXXXXXXXX,"
    " project_id: 11111111-1111-1111-1111-111111111112, {}}}";
constexpr std::string_view kScalewayKey = "secret_key: 11111111-1111-1111-1111-111111111111";

TEST_F(CloudsTest, ScalewayListsBareMetalWithNamesFromOtherLists) {
  const std::string base = "GET http://s/baremetal/v1/zones/fr-par-1/";
  api.Serve(base + "servers?name=n&order_by=created_at_asc&page=1&tags=a&tags=b",
            R"({"total_count": 3, "servers": [
      {"id": "1", "name": "one", "zone": "fr-par-1", "status": "ready", "project_id": "p",
       "offer_id": "o", "install": {"os_id": "u"}, "tags": ["a", "b"],
       "ips": [{"version": "IPv6", "address": "2001:db8::1"},
               {"version": "IPv4", "address": "10.0.0.1"},
               {"version": "IPv4", "address": "10.0.0.2"}]},
      {"id": "2", "offer_id": "gone", "ips": [{"version": "IPv6", "address": "2001:db8::2"}]}]})");
  api.Serve(base + "servers?name=n&order_by=created_at_asc&page=2&tags=a&tags=b",
            R"({"total_count": 3, "servers": [{"id": "3", "ips": [{"address": "10.0.0.3"}]}]})");
  api.Serve(base + "offers?page=1&subscription_period=unknown_subscription_period",
            R"({"total_count": 1, "offers": [{"id": "o", "name": "EM-A1"}]})");
  api.Serve(base + "os?page=1",
            R"({"total_count": 1, "os": [{"id": "u", "name": "Ubuntu", "version": "24"}]})");
  Start(fmt::format(kScaleway, "baremetal",
                    std::string(kScalewayKey) + ", name_filter: n, tags_filter: [a, b]"));
  EXPECT_EQ(Seen(),
            "scaleway {}\n"
            "  10.0.0.1:80 scaleway_baremetal_id=1 scaleway_baremetal_name=one"
            " scaleway_baremetal_os_name=Ubuntu scaleway_baremetal_os_version=24"
            " scaleway_baremetal_project_id=p scaleway_baremetal_public_ipv4=10.0.0.1"
            " scaleway_baremetal_public_ipv6=2001:db8::1 scaleway_baremetal_status=ready"
            " scaleway_baremetal_tags=,a,b, scaleway_baremetal_type=EM-A1"
            " scaleway_baremetal_zone=fr-par-1\n"
            "  [2001:db8::2]:80 scaleway_baremetal_id=2 scaleway_baremetal_name="
            " scaleway_baremetal_project_id= scaleway_baremetal_public_ipv6=2001:db8::2"
            " scaleway_baremetal_status= scaleway_baremetal_zone=\n"
            "  10.0.0.3:80 scaleway_baremetal_id=3 scaleway_baremetal_name="
            " scaleway_baremetal_project_id= scaleway_baremetal_public_ipv4=10.0.0.3"
            " scaleway_baremetal_status= scaleway_baremetal_zone=\n");
  EXPECT_EQ(api.requests.size(), 4U);
  for (const FetchRequest& request : api.requests) {
    EXPECT_EQ(HeaderOf(request, "X-Auth-Token"), "11111111-1111-1111-1111-111111111111");
  }
}

TEST_F(CloudsTest, ScalewayKeepsTargetsAndReadsItsKeyAnew) {
  const std::string route = "GET http://s/instance/v1/zones/fr-par-1/servers";
  const auto page = [](std::string_view ip) -> FakeApi::Handler {
    return [ip](const FetchRequest&) -> FakeApi::Reply {
      return Answer(
          fmt::format(R"({{"servers": [{{"zone": "fr-par-1", "private_ip": "{}"}}]}})", ip), 200,
          {{"X-Total-Count", "2"}});
    };
  };
  api.Serve(route + "?order=creation_date_desc&page=1", page("10.0.0.1"));
  api.Serve(route + "?order=creation_date_desc&page=2", page("10.0.0.2"));
  const std::string path = Write("key", "first\n");
  Start(fmt::format(kScaleway, "instance", "secret_key_file: " + path));
  EXPECT_EQ(groups.at("scaleway")->targets.size(), 2U);
  EXPECT_EQ(HeaderOf(api.requests.back(), "X-Auth-Token"), "first");
  EXPECT_THAT(Seen(), HasSubstr("scaleway_instance_region=fr-par"));
  Write("key", "second");
  api.ServeStatus(route + "?order=creation_date_desc&page=1", 403, R"({"message": "denied"})");
  AdvanceSeconds(60);
  EXPECT_EQ(HeaderOf(api.requests.back(), "X-Auth-Token"), "second");
  EXPECT_EQ(RefreshFailures("scaleway"), 1);
  EXPECT_EQ(groups.at("scaleway")->targets.size(), 2U);
  // A server without any address that is in no known zone.
  api.Serve(route + "?order=creation_date_desc&page=1",
            R"({"total_count": 1, "servers": [{"zone": "mars", "private_nics": [{"id": "n"}]}]})");
  AdvanceSeconds(60);
  EXPECT_EQ(RefreshFailures("scaleway"), 2);
  EXPECT_EQ(groups.at("scaleway")->targets.size(), 2U);
}

// A key of the moment; short, so that making it takes no time.
const std::string& PrivateKeyPem() {
  static const std::string pem = [] {
    std::string text;
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{1024});
    BIO* memory = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(memory, key, nullptr, nullptr, 0, nullptr, nullptr);
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(memory, &bytes);
    text.assign(bytes, static_cast<size_t>(size));
    BIO_free(memory);
    EVP_PKEY_free(key);
    return text;
  }();
  return pem;
}

std::string PartOf(std::string_view jwt, size_t index) {
  std::string part(Split(jwt, '.').at(index));
  std::replace(part.begin(), part.end(), '-', '+');
  std::replace(part.begin(), part.end(), '_', '/');
  const Result<std::string> text = net::Base64Decode(part);
  return text.ok() ? *text : "";
}

TEST_F(CloudsTest, StackitTradesASignedStatementForAToken) {
  const std::string key_path = Write("private.pem", PrivateKeyPem());
  const std::string account_path = Write("account.json", R"({"credentials": {"kid": "K", "iss": "I",
      "sub": "S", "aud": "A", "tokenEndpoint": "http://t/token"}})");
  int tokens = 0;
  api.Serve("POST http://t/token", [&](const FetchRequest&) -> FakeApi::Reply {
    return Answer(fmt::format(R"({{"access_token": "T{}", "expires_in": 3600}})", ++tokens));
  });
  const std::string route = "GET http://e/v1/projects/p/servers?details=true";
  api.Serve(route, R"({"items": [
      {"id": "1", "nics": [{"networkName": "a-b", "ipv4": "10.0.0.1"},
                           {"networkName": "c", "ipv4": "10.1.0.1", "publicIp": "1.2.3.4"}],
       "labels": {"env-x": "prod", "number": 1}},
      {"id": "2", "nics": [{"networkName": "a", "ipv4": ""}]}, {"id": "3"}]})");
  Start(
      fmt::format("stackit_sd_configs:\n- {{project: p, endpoint: 'http://e/',"
                  " service_account_key_path: {}, private_key_path: {}}}",
                  account_path, key_path));
  EXPECT_EQ(Seen(),
            "stackit {}\n"
            "  1.2.3.4:80 stackit_availability_zone= stackit_id=1 stackit_label_env_x=prod"
            " stackit_labelpresent_env_x=true stackit_name= stackit_power_status="
            " stackit_private_ipv4_a_b=10.0.0.1 stackit_private_ipv4_c=10.1.0.1 stackit_project=p"
            " stackit_public_ipv4=1.2.3.4 stackit_status= stackit_type=\n");
  ASSERT_EQ(api.requests.size(), 2U);
  const std::string& body = api.requests[0].body;
  ASSERT_THAT(body, HasSubstr("&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"));
  const std::string jwt = body.substr(10, body.find('&') - 10);
  EXPECT_EQ(PartOf(jwt, 0), R"({"alg":"RS512","typ":"JWT","kid":"K"})");
  const Result<json::object> claims = ParseJsonObject(PartOf(jwt, 1));
  ASSERT_TRUE(claims.ok());
  EXPECT_EQ(Text(*claims, "iss") + Text(*claims, "sub") + Text(*claims, "aud"), "ISA");
  EXPECT_EQ(Int(*claims, "exp") - Int(*claims, "iat"), 3600);
  EXPECT_EQ(Text(*claims, "jti").size(), 36U);
  EXPECT_EQ(HeaderOf(api.requests[1], "Authorization"), "Bearer T1");

  AdvanceSeconds(60);
  EXPECT_EQ(tokens, 1) << "a token is kept";
  AdvanceSeconds(3600);
  EXPECT_EQ(tokens, 2) << "until its end";
  api.ServeStatus(route, 401, "expired");
  AdvanceSeconds(60);
  EXPECT_EQ(RefreshFailures("stackit"), 1);
  AdvanceSeconds(60);
  EXPECT_EQ(tokens, 3) << "or until it is refused";
  api.ServeStatus("POST http://t/token", 500, "no");
  AdvanceSeconds(60);
  EXPECT_EQ(RefreshFailures("stackit"), 3);
  EXPECT_EQ(groups.at("stackit")->targets.size(), 1U);
}

TEST_F(CloudsTest, StackitFindsThePrivateKey) {
  api.Serve("POST http://t/token", R"({"access_token": "T", "expires_in": 3600})");
  api.Serve("GET http://e/v1/projects/p/servers?details=true", "{}");
  const auto entry = [](std::string_view more) {
    return fmt::format("stackit_sd_configs:\n- {{project: p, endpoint: 'http://e', {}}}", more);
  };
  const auto account = [](std::string_view private_key) {
    return json::serialize(
        json::object{{"credentials", json::object{{"privateKey", private_key},
                                                  {"tokenEndpoint", "http://t/token"}}}});
  };
  const std::string inner = Write("inner.json", account(PrivateKeyPem()));
  Start(entry("service_account_key_path: " + inner));
  EXPECT_EQ(RefreshFailures("stackit"), 0) << "the account's own";
  const std::string outer = "service_account_key_path: " + Write("outer.json", account(""));
  Start(entry(outer));
  EXPECT_EQ(RefreshFailures("stackit"), 1) << "none";
  const std::string file =
      Write("file.json", json::serialize(json::object{{"STACKIT_PRIVATE_KEY", PrivateKeyPem()}}));
  Start(entry(outer + ", credentials_file_path: " + file));
  EXPECT_EQ(RefreshFailures("stackit"), 1) << "of the file of credentials";
  setenv("STACKIT_PRIVATE_KEY", PrivateKeyPem().c_str(), 1);
  Start(entry(outer));
  EXPECT_EQ(RefreshFailures("stackit"), 1) << "of the environment";
  unsetenv("STACKIT_PRIVATE_KEY");
  Start(entry("service_account_key: '-----BEGIN'"));
  EXPECT_EQ(RefreshFailures("stackit"), 2) << "no JSON";
}

constexpr std::string_view kOvh =
    "ovhcloud_sd_configs:\n- {{endpoint: {}, application_key: AK, application_secret: AS,"
    " consumer_key: CK, service: {}}}";

TEST_F(CloudsTest, OvhcloudSignsWithTheServersTime) {
  api.Serve("GET http://o/1.0/auth/time", "1700000000");
  api.Serve("GET http://o/1.0/vps", R"(["a/b", "broken", "no-ip"])");
  api.Serve("GET http://o/1.0/vps/a%2Fb", R"({"name": "a/b", "displayName": "A", "state": "running",
    "zone": "z", "cluster": "c", "netbootMode": "local", "memoryLimit": 2, "offerType": "ssd",
    "vcore": 1, "keymap": ["x"], "model": {"offer": "o", "datacenter": ["d", "e"], "vcore": 4,
    "maximumAdditionnalIp": 16, "version": "v", "name": "m", "disk": 40, "memory": 2048}})");
  api.Serve("GET http://o/1.0/vps/a%2Fb/ips",
            R"(["192.0.2.1", "2001:DB8::1", "198.51.100.0/24", "192.0.2.9/32"])");
  api.Serve("GET http://o/1.0/vps/no-ip", "{}");
  api.Serve("GET http://o/1.0/vps/no-ip/ips", R"(["0.0.0.0", "192.0.2.0/24"])");
  Start(fmt::format(kOvh, "http://o/1.0", "vps"));
  EXPECT_EQ(Seen(),
            "ovhcloud_vps {}\n"
            "  192.0.2.9 ovhcloud_vps_cluster=c ovhcloud_vps_datacenter=[d e] ovhcloud_vps_disk=40"
            " ovhcloud_vps_display_name=A ovhcloud_vps_ipv4=192.0.2.9"
            " ovhcloud_vps_ipv6=2001:db8::1 ovhcloud_vps_maximum_additional_ip=16"
            " ovhcloud_vps_memory=2048 ovhcloud_vps_memory_limit=2 ovhcloud_vps_model_name=m"
            " ovhcloud_vps_model_vcore=4 ovhcloud_vps_name=a/b ovhcloud_vps_netboot_mode=local"
            " ovhcloud_vps_offer=o ovhcloud_vps_offer_type=ssd ovhcloud_vps_state=running"
            " ovhcloud_vps_vcore=1 ovhcloud_vps_version=v ovhcloud_vps_zone=z instance=a/b\n");
  EXPECT_THAT(api.requests[0].headers, Not(Contains(Key("X-Ovh-Signature"))));
  const FetchRequest& list = api.requests[1];
  const std::string time = HeaderOf(list, "X-Ovh-Timestamp");
  EXPECT_LE(std::abs(std::atoll(time.c_str()) - 1'700'000'000), 5);
  EXPECT_EQ(HeaderOf(list, "X-Ovh-Signature"),
            "$1$" + net::HexEncode(net::Sha1("AS+CK+GET+http://o/1.0/vps++" + time)));
  EXPECT_EQ(net::HexEncode(net::Sha1("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_THAT(list.headers, Contains(Pair("X-Ovh-Consumer", "CK")));
  EXPECT_THAT(list.headers, Contains(Pair("X-Ovh-Application", "AK")));

  api.ServeStatus("GET http://o/1.0/vps", 403, R"({"class": "Client::Forbidden", "message": "m"})");
  AdvanceSeconds(60);
  EXPECT_EQ(RefreshFailures("ovhcloud"), 1);
  EXPECT_EQ(groups.at("ovhcloud_vps")->targets.size(), 1U);
}

TEST_F(CloudsTest, OvhcloudListsDedicatedServersOfANamedEndpoint) {
  const std::string base = "GET https://eu.api.ovh.com/1.0/";
  api.Serve(base + "auth/time", "1700000000");
  api.Serve(base + "dedicated/server", R"(["s"])");
  api.Serve(base + "dedicated/server/s", R"({"name": "s", "state": "ok", "commercialRange": "adv",
    "linkSpeed": 1000, "rack": "r", "noIntervention": false, "os": "debian", "supportLevel": "pro",
    "serverId": 7, "reverse": "s.example", "datacenter": "gra"})");
  api.Serve(base + "dedicated/server/s/ips", R"(["2001:db8::/64", "2001:db8::7"])");
  Start(fmt::format(kOvh, "ovh-eu", "dedicated_server"));
  const std::string p = " ovhcloud_dedicated_server_";
  EXPECT_EQ(Seen(), "ovhcloud_dedicated_server {}\n  2001:db8::7" + p + "commercial_range=adv" + p +
                        "datacenter=gra" + p + "ipv4=" + p + "ipv6=2001:db8::7" + p +
                        "link_speed=1000" + p + "name=s" + p + "no_intervention=false" + p +
                        "os=debian" + p + "rack=r" + p + "reverse=s.example" + p + "server_id=7" +
                        p + "state=ok" + p + "support_level=pro instance=s\n");
  Start(fmt::format(kOvh, "ovh-mars", "vps"));
  EXPECT_EQ(RefreshFailures("ovhcloud"), 1);
}

TEST_F(CloudsTest, OutscaleListsMachinesOfAllPages) {
  api.Serve("POST http://o/ReadVms", [](const FetchRequest& request) -> FakeApi::Reply {
    if (request.body == "{}") {
      return Answer(R"({"NextPageToken": "n", "Vms": [
        {"VmId": "i-1", "State": "running", "PrivateIp": "10.0.0.1", "PublicIp": "1.2.3.4",
         "Placement": {"SubregionName": "a"},
         "Tags": [{"Key": "k-1", "Value": "v"}, {"Key": "", "Value": "x"}, {"Key": "e"}]},
        {"VmId": "i-2"}]})");
    }
    EXPECT_EQ(request.body, R"({"NextPageToken":"n"})");
    return Answer(R"({"Vms": [{"PublicIp": "1.2.3.5"}]})");
  });
  const std::string secret = Write("secret", " SK\n");
  Start(
      "outscale_sd_configs:\n- {endpoint: 'http://o', region: us-east-2, access_key: AK,"
      " secret_key_file: " +
      secret + "}");
  EXPECT_EQ(Seen(),
            "us-east-2 {}\n"
            "  10.0.0.1:80 outscale_vm_instance_id=i-1 outscale_vm_private_ip=10.0.0.1"
            " outscale_vm_public_ip=1.2.3.4 outscale_vm_region=us-east-2"
            " outscale_vm_state=running outscale_vm_subregion=a outscale_vm_tag_k_1=v\n"
            "  1.2.3.5:80 outscale_vm_instance_id= outscale_vm_public_ip=1.2.3.5"
            " outscale_vm_region=us-east-2 outscale_vm_state=\n");
  EXPECT_THAT(HeaderOf(api.requests[0], "Authorization"),
              HasSubstr("/eu-west-2/oapi/aws4_request"));
  api.ServeStatus("POST http://o/ReadVms", 401, "{}");
  AdvanceSeconds(60);
  EXPECT_EQ(RefreshFailures("outscale"), 1);
  EXPECT_THAT(Seen(), HasSubstr("i-1"));
}

class OciTest : public CloudsTest {
 protected:
  static constexpr char kCompute[] = "GET https://iaas.r.oraclecloud.com/20160918/";
  static constexpr char kIdentity[] = "GET https://identity.r.oci.oraclecloud.com/20160918/";

  std::string Entry(std::string_view more) {
    return fmt::format(
        "oci_sd_configs:\n- {{region: r, tenancy: t, user: u, fingerprint: f, key_file: {}, {}}}",
        Write("key.pem", PrivateKeyPem()), more);
  }
  std::string Children(const std::string& parent) {
    return std::string(kIdentity) + "compartments?accessLevel=ACCESSIBLE&compartmentId=" + parent +
           "&compartmentIdInSubtree=false&limit=100";
  }
  std::string Instances(const std::string& compartment) {
    return std::string(kCompute) + "instances?compartmentId=" + compartment + "&limit=100";
  }
};

TEST_F(OciTest, FindsInstancesInAllCompartments) {
  api.Serve(Children("t"), R"([{"id": "c", "lifecycleState": "ACTIVE"},
                               {"id": "gone", "lifecycleState": "DELETED"}])");
  api.ServeStatus(Children("c"), 404, R"({"code": "NotAuthorizedOrNotFound", "message": "no"})");
  api.Serve(Instances("t"), [](const FetchRequest&) -> FakeApi::Reply {
    Result<FetchResponse> page = Answer(R"([{"id": "i1", "compartmentId": "t", "displayName": "one",
      "lifecycleState": "RUNNING", "shape": "s", "availabilityDomain": "ad", "faultDomain": "fd",
      "region": "r", "imageId": "img", "freeformTags": {"a-b": "c"},
      "definedTags": {"ns": {"n": 3, "b": true, "list": []}}}])");
    page->headers.emplace_back("opc-next-page", "2");
    return page;
  });
  api.Serve(Instances("t") + "&page=2", R"([{"id": "i2", "compartmentId": "t"}, {"id": "half"}])");
  api.Serve(Instances("c"), R"([{"id": "i3", "compartmentId": "c"}])");
  const std::string attachments = std::string(kCompute) + "vnicAttachments?compartmentId=";
  api.Serve(attachments + "t&instanceId=i1&limit=100",
            R"([{"vnicId": "v0", "lifecycleState": "DETACHED"},
                {"vnicId": "v1", "lifecycleState": "ATTACHED"},
                {"vnicId": "v2", "lifecycleState": "ATTACHED"}])");
  api.Serve(attachments + "t&instanceId=i2&limit=100", "[]");
  api.Serve(attachments + "c&instanceId=i3&limit=100",
            R"([{"vnicId": "v3", "lifecycleState": "ATTACHED"}])");
  api.Serve(std::string(kCompute) + "vnics/v1", R"({"id": "v1", "isPrimary": false})");
  api.Serve(std::string(kCompute) + "vnics/v2",
            R"({"id": "v2", "isPrimary": true, "privateIp": "10.0.0.1", "publicIp": "1.2.3.4",
                "hostnameLabel": "h", "ipv6Addresses": ["2001:db8::2", "2001:db8::1"]})");
  api.Serve(std::string(kCompute) + "vnics/v3",
            R"({"id": "v3", "isPrimary": true, "ipv6Addresses": ["2001:db8::3"]})");
  Start(Entry("port: 9100"));
  EXPECT_EQ(
      Seen(),
      "OCI {}\n"
      "  10.0.0.1:9100 oci_availability_domain=ad oci_compartment_id=t oci_defined_tag_ns_b=true"
      " oci_defined_tag_ns_n=3 oci_fault_domain=fd oci_hostname_label=h oci_image_id=img"
      " oci_instance_id=i1 oci_instance_name=one oci_instance_shape=s oci_instance_state=RUNNING"
      " oci_ipv6_addresses=,2001:db8::1,2001:db8::2, oci_private_ip=10.0.0.1"
      " oci_public_ip=1.2.3.4 oci_region=r oci_tag_a_b=c oci_tenancy_id=t oci_vnic_id=v2\n"
      "  [2001:db8::3]:9100 oci_availability_domain= oci_compartment_id=c oci_fault_domain="
      " oci_hostname_label= oci_image_id= oci_instance_id=i3 oci_instance_name="
      " oci_instance_shape= oci_instance_state= oci_ipv6_addresses=,2001:db8::3, oci_private_ip="
      " oci_public_ip= oci_region= oci_tenancy_id=t oci_vnic_id=v3\n");
  // What is signed is what the draft says, by the key that is named.
  const FetchRequest& request = api.requests[0];
  const Result<std::string> signature = net::RsaSign(
      PrivateKeyPem(), "SHA256",
      "date: " + HeaderOf(request, "Date") +
          "\n(request-target): get /20160918/compartments?accessLevel=ACCESSIBLE&compartmentId=t"
          "&compartmentIdInSubtree=false&limit=100\nhost: identity.r.oci.oraclecloud.com");
  ASSERT_TRUE(signature.ok());
  EXPECT_EQ(HeaderOf(request, "Authorization"),
            "Signature version=\"1\",headers=\"date (request-target) host\",keyId=\"t/u/f\","
            "algorithm=\"rsa-sha256\",signature=\"" +
                net::Base64Encode(*signature) + "\"");
}

TEST_F(OciTest, OpensAnEncryptedKey) {
  BIO* plain = BIO_new_mem_buf(PrivateKeyPem().data(), static_cast<int>(PrivateKeyPem().size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(plain, nullptr, nullptr, nullptr);
  BIO* memory = BIO_new(BIO_s_mem());
  std::string passphrase = "open sesame";
  PEM_write_bio_PrivateKey(memory, key, EVP_aes_256_cbc(),
                           reinterpret_cast<unsigned char*>(passphrase.data()),
                           static_cast<int>(passphrase.size()), nullptr, nullptr);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(memory, &bytes);
  const std::string file = Write("locked.pem", {bytes, static_cast<size_t>(size)});
  BIO_free(plain);
  BIO_free(memory);
  EVP_PKEY_free(key);
  api.Serve(Instances("x"), "[]");
  const auto entry = [&](std::string_view secret) {
    return fmt::format(
        "oci_sd_configs:\n- {{region: r, tenancy: t, user: u, fingerprint: f, key_file: {},"
        " compartments: [x], {}}}",
        file, secret);
  };
  Start(entry("key_passphrase_file: " + Write("passphrase", passphrase + "\r\n")));
  EXPECT_EQ(RefreshFailures("oci"), 0);
  Start(entry("key_passphrase: wrong"));
  EXPECT_EQ(RefreshFailures("oci"), 1);
}

TEST_F(OciTest, ACompartmentThatCannotBeListedKeepsTheTargets) {
  api.Serve(Instances("x"), "[]");
  Start(Entry("compartments: [x]"));
  EXPECT_EQ(updates, 1);
  api.ServeStatus(Instances("x"), 500, "oops");
  AdvanceSeconds(60);
  EXPECT_EQ(RefreshFailures("oci"), 1);
}

}  // namespace
}  // namespace narthex
