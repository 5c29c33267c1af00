// Mechanisms whose APIs take several calls that build on each other: Kuma, OpenStack, Uyuni.
#include <fmt/format.h>

#include "discovery/mechanisms/mechanisms.h"
#include "testing/fake_api.h"

namespace narthex {
namespace {

using testing::Answer;
using ::testing::Contains;
using testing::DiscoveryTest;
using testing::FakeApi;
using ::testing::HasSubstr;
using ::testing::Pair;

class PlatformsTest : public DiscoveryTest {
 protected:
  PlatformsTest() { RegisterBuiltinMechanisms(registry); }
};

constexpr std::string_view kKuma =
    "POST http://cp:5676/v3/discovery:monitoringassignments?fetch-timeout=2m";

std::string Assignments(std::string_view version, std::string_view resources) {
  return fmt::format(
      R"({{"version_info": "{}", "nonce": "n-{}", "resources": [{}],
          "type_url": "type.googleapis.com/kuma.observability.v1.MonitoringAssignment"}})",
      version, version, resources);
}

TEST_F(PlatformsTest, KumaIsToldOfNewVersions) {
  api.Serve(std::string(kKuma), Assignments("v1", R"({
    "@type": "type.googleapis.com/kuma.observability.v1.MonitoringAssignment",
    "mesh": "default", "service": "web", "labels": {"team-x": "a", "both": "assignment"},
    "targets": [{"name": "web-1", "scheme": "http", "address": "10.0.0.1:5670",
                 "metrics_path": "/metrics", "labels": {"both": "target", "own": "b"}},
                {"name": "web-2", "scheme": "https", "address": "10.0.0.2:5670",
                 "metricsPath": "/m"}]})"));
  Start("kuma_sd_configs:\n- server: http://cp:5676/\n  client_id: me");
  constexpr std::string_view kWeb =
      "kuma {}\n"
      "  10.0.0.1:5670 kuma_dataplane=web-1 kuma_label_both=assignment kuma_label_own=b"
      " kuma_label_team_x=a kuma_mesh=default kuma_service=web __metrics_path__=/metrics"
      " __scheme__=http instance=web-1\n"
      "  10.0.0.2:5670 kuma_dataplane=web-2 kuma_label_both=assignment kuma_label_team_x=a"
      " kuma_mesh=default kuma_service=web __metrics_path__=/m __scheme__=https instance=web-2\n";
  EXPECT_EQ(Seen(), kWeb);
  EXPECT_EQ(api.requests[0].body,
            R"({"node":{"id":"me"},"type_url":)"
            R"("type.googleapis.com/kuma.observability.v1.MonitoringAssignment"})");
  // Nothing new, after the server's own time.
  api.ServeStatus(std::string(kKuma), 304);
  AdvanceSeconds(15);
  EXPECT_EQ(api.requests[1].body,
            R"({"version_info":"v1","node":{"id":"me"},"type_url":)"
            R"("type.googleapis.com/kuma.observability.v1.MonitoringAssignment",)"
            R"("response_nonce":"n-v1"})");
  EXPECT_EQ(metrics.Get("prometheus_sd_kuma_fetch_skipped_updates_total", {}), 1);
  EXPECT_EQ(metrics.Get("prometheus_sd_kuma_fetch_failures_total", {}), 0);
  double failures = 0;
  for (const std::string& bad : {std::string("{"), std::string(R"({"type_url": "other"})"),
                                 Assignments("v2", R"({"@type": "other"})")}) {
    api.Serve(std::string(kKuma), bad);
    AdvanceSeconds(15);
    EXPECT_EQ(metrics.Get("prometheus_sd_kuma_fetch_failures_total", {}), ++failures);
  }
  api.ServeStatus(std::string(kKuma), 500);
  AdvanceSeconds(15);
  EXPECT_EQ(metrics.Get("prometheus_sd_kuma_fetch_failures_total", {}), ++failures);
  EXPECT_EQ(Seen(), kWeb) << "errors take no targets";
  api.Serve(std::string(kKuma), Assignments("v3", ""));
  AdvanceSeconds(15);
  EXPECT_EQ(Seen(), "");
  api.Hold(std::string(kKuma));
  AdvanceSeconds(15);
  ASSERT_EQ(api.open.size(), 1U);
  EXPECT_EQ(api.open[0].request.timeout_nanos, 135 * kNanosPerSecond);
  Stop();
  EXPECT_TRUE(api.open.empty());
}

// Keystone with a catalog of the services, each at http://<type>/.
class OpenstackTest : public PlatformsTest {
 protected:
  void SetUp() override {
    std::string services;
    for (const std::string_view type : {"compute", "network", "load-balancer"}) {
      services += fmt::format(
          R"({}{{"type": "{}", "endpoints": [
              {{"interface": "public", "region": "other", "url": "http://wrong"}},
              {{"interface": "admin", "region": "R1", "url": "http://wrong"}},
              {{"interface": "public", "region": "R1", "url": "http://{}"}}]}})",
          services.empty() ? "" : ",", type, type);
    }
    api.Serve("POST http://k:5000/v3/auth/tokens",
              [services](const FetchRequest&) -> FakeApi::Reply {
                return Answer(fmt::format(R"({{"token": {{"catalog": [{}]}}}})", services), 201,
                              {{"X-Subject-Token", "tok"}});
              });
  }
  static std::string Entry(std::string_view role) {
    return fmt::format(
        "openstack_sd_configs:\n- role: {}\n  region: R1\n  identity_endpoint: http://k:5000\n"
        "  username: u\n  password: p\n  domain_name: D\n  project_name: P\n",
        role);
  }
};

TEST_F(OpenstackTest, FindsHypervisors) {
  api.Serve("GET http://compute/os-hypervisors/detail", R"({"hypervisors": [
    {"id": 7, "host_ip": "10.0.0.1", "hypervisor_hostname": "h", "state": "up",
     "status": "enabled", "hypervisor_type": "QEMU"}],
    "hypervisors_links": [{"rel": "next", "href": "http://compute/page2"}]})");
  api.Serve("GET http://compute/page2",
            R"({"hypervisors": [{"id": "uuid", "host_ip": "10.0.0.2"}]})");
  Start(Entry("hypervisor"));
  EXPECT_THAT(Seen(), HasSubstr("OS_R1 {}\n"
                                "  10.0.0.1:80 openstack_hypervisor_host_ip=10.0.0.1"
                                " openstack_hypervisor_hostname=h openstack_hypervisor_id=7"
                                " openstack_hypervisor_state=up openstack_hypervisor_status=enabled"
                                " openstack_hypervisor_type=QEMU\n"
                                "  10.0.0.2:80 "));
  EXPECT_EQ(api.requests[0].body,
            R"({"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"u",)"
            R"("domain":{"name":"D"},"password":"p"}}},"scope":{"project":{"name":"P",)"
            R"("domain":{"name":"D"}}}}})");
  EXPECT_THAT(api.requests[1].headers, Contains(Pair("X-Auth-Token", "tok")));
}

TEST_F(OpenstackTest, FindsInstancesAndTheirFloatingAddresses) {
  api.Serve("GET http://network/v2.0/ports", R"({"ports": [{"id": "p1", "device_id": "i1"}]})");
  api.Serve("GET http://network/v2.0/floatingips", R"({"floatingips": [
    {"port_id": "p1", "fixed_ip_address": "10.0.0.1", "floating_ip_address": "1.1.1.1"},
    {"port_id": "unknown", "fixed_ip_address": "10.9.9.9", "floating_ip_address": "9.9.9.9"},
    {"port_id": null, "floating_ip_address": "8.8.8.8"}]})");
  api.Serve("GET http://compute/servers/detail?all_tenants=true", R"({"servers": [
    {"id": "i1", "name": "n", "status": "ACTIVE", "tenant_id": "t", "user_id": "us",
     "flavor": {"original_name": "m1"}, "image": {"id": "im"}, "metadata": {"a b": "c"},
     "addresses": {"private": [{"addr": "10.0.0.1"}, {"addr": "1.1.1.1"}]}},
    {"id": "i2", "flavor": {"id": "1"}, "image": "", "addresses": {"x": [{"addr": "fd00::2"}]}},
    {"id": "no flavor", "addresses": {"x": [{"addr": "10.0.0.3"}]}}]})");
  Start(Entry("instance") + "  all_tenants: true\n");
  EXPECT_EQ(Seen(),
            "OS_R1 {}\n"
            "  10.0.0.1:80 openstack_address_pool=private openstack_instance_flavor=m1"
            " openstack_instance_id=i1 openstack_instance_image=im openstack_instance_name=n"
            " openstack_instance_status=ACTIVE openstack_private_ip=10.0.0.1"
            " openstack_project_id=t openstack_public_ip=1.1.1.1 openstack_tag_a_b=c"
            " openstack_user_id=us\n"
            "  [fd00::2]:80 openstack_address_pool=x openstack_instance_flavor=1"
            " openstack_instance_id=i2 openstack_instance_name= openstack_instance_status="
            " openstack_private_ip=fd00::2 openstack_project_id= openstack_user_id=\n");
}

TEST_F(OpenstackTest, FindsLoadBalancersThatShowMetrics) {
  const std::string octavia = "GET http://load-balancer/v2.0/lbaas/";
  api.Serve(octavia + "loadbalancers", R"({"loadbalancers": [
    {"id": "l1", "name": "n", "vip_address": "10.0.0.1", "vip_port_id": "p1", "provider": "amphora",
     "operating_status": "ONLINE", "provisioning_status": "ACTIVE", "availability_zone": "az",
     "project_id": "pr", "tags": ["a", "b"]},
    {"id": "l2", "vip_address": "10.0.0.2"}]})");
  api.Serve(octavia + "listeners", R"({"listeners": [
    {"protocol": "HTTP", "protocol_port": 80, "loadbalancers": [{"id": "l1"}, {"id": "l2"}]},
    {"protocol": "PROMETHEUS", "protocol_port": 9100, "loadbalancers": [{"id": "l1"}]}]})");
  api.Serve("GET http://network/v2.0/floatingips",
            R"({"floatingips": [{"port_id": "p1", "floating_ip_address": "1.1.1.1"}]})");
  Start(Entry("loadbalancer"));
  EXPECT_EQ(Seen(),
            "OS_R1 {}\n"
            "  10.0.0.1:9100 openstack_loadbalancer_availability_zone=az"
            " openstack_loadbalancer_floating_ip=1.1.1.1 openstack_loadbalancer_id=l1"
            " openstack_loadbalancer_name=n openstack_loadbalancer_operating_status=ONLINE"
            " openstack_loadbalancer_provider=amphora"
            " openstack_loadbalancer_provisioning_status=ACTIVE openstack_loadbalancer_tags=a,b"
            " openstack_loadbalancer_vip=10.0.0.1 openstack_project_id=pr\n");
  // Any refusal on the way keeps what was found.
  for (const std::string& route :
       {octavia + "listeners", std::string("GET http://network/v2.0/floatingips"),
        std::string("POST http://k:5000/v3/auth/tokens")}) {
    api.ServeStatus(route, 403);
    const double failures = RefreshFailures("openstack");
    AdvanceSeconds(60);
    EXPECT_EQ(RefreshFailures("openstack"), failures + 1) << route;
    EXPECT_EQ(groups.size(), 1U);
  }
}

TEST_F(OpenstackTest, ApplicationCredentialsNeedNoPassword) {
  Start(
      "openstack_sd_configs:\n- role: instance\n  region: nowhere\n"
      "  identity_endpoint: http://k:5000/v3/\n  application_credential_id: id\n"
      "  application_credential_secret: s");
  EXPECT_EQ(api.requests[0].body, R"({"auth":{"identity":{"methods":["application_credential"],)"
                                  R"("application_credential":{"secret":"s","id":"id"}}}})");
  EXPECT_EQ(api.requests.size(), 1U);
  EXPECT_EQ(RefreshFailures("openstack"), 1) << "no service in that region";
}

TEST_F(PlatformsTest, UyuniJoinsEndpointsWithSystems) {
  const auto answer = [](std::string_view value) {
    return fmt::format(
        "<?xml version=\"1.0\"?><methodResponse><params><param><value>{}</value></param></params>"
        "</methodResponse>",
        value);
  };
  const auto structs = [&](std::string_view members) {
    return answer(
        fmt::format("<array><data><value><struct>{}</struct></value></data></array>", members));
  };
  const auto member = [](std::string_view name, std::string_view value) {
    return fmt::format("<member><name>{}</name><value>{}</value></member>", name, value);
  };
  bool refuse_token = false;
  api.Serve("POST http://u/sub/rpc/api", [&](const FetchRequest& request) -> FakeApi::Reply {
    const auto is = [&](std::string_view method) {
      return request.body.find("<methodName>" + std::string(method) + "<") != std::string::npos;
    };
    if (is("auth.login")) return Answer(answer("<string>a &amp; b</string>"));
    EXPECT_THAT(request.body, HasSubstr("<string>a &amp; b</string>"));
    if (refuse_token) {
      return Answer("<methodResponse><fault><value><struct>" +
                    member("faultCode", "<int>-1</int>") +
                    member("faultString", "<string>expired</string>") +
                    "</struct></value></fault></methodResponse>");
    }
    if (is("system.listSystemGroupsForSystemsWithEntitlement")) {
      return Answer(structs(
          member("id", "<i4>42</i4>") +
          member("system_groups", "<array><data><value><struct>" + member("name", "g1") +
                                      "</struct></value><value><struct>" + member("name", "g2") +
                                      "</struct></value></data></array>")));
    }
    if (is("system.monitoring.listEndpoints")) {
      EXPECT_THAT(request.body,
                  HasSubstr("<array><data><value><int>42</int></value></data></array>"));
      return Answer(structs(member("system_id", "<int>42</int>") + member("endpoint_name", "node") +
                            member("port", "<int>9100</int>") + member("path", "/metrics") +
                            member("module", "") + member("exporter_name", "node_exporter") +
                            member("tls_enabled", "<boolean>1</boolean>")));
    }
    return Answer(structs(member("system_id", "<int>42</int>") + member("hostname", "h") +
                          member("primary_fqdn", "h.example")));
  });
  Start("uyuni_sd_configs:\n- {server: 'http://u/sub/', username: x, password: y}");
  constexpr std::string_view kFound =
      "http://u/sub/rpc/api {}\n"
      "  h:9100 uyuni_endpoint_name=node uyuni_exporter=node_exporter uyuni_groups=g1,g2"
      " uyuni_metrics_path=/metrics uyuni_minion_hostname=h uyuni_primary_fqdn=h.example"
      " uyuni_proxy_module= uyuni_scheme=https uyuni_system_id=42\n";
  EXPECT_EQ(Seen(), kFound);
  EXPECT_EQ(api.requests.size(), 4U);
  AdvanceSeconds(60);
  EXPECT_EQ(api.requests.size(), 7U) << "the session goes on";
  AdvanceSeconds(240);
  EXPECT_EQ(api.requests.size(), 20U) << "and is renewed at half of its time";
  refuse_token = true;
  AdvanceSeconds(60);
  EXPECT_EQ(RefreshFailures("uyuni"), 1);
  EXPECT_EQ(Seen(), kFound);
  refuse_token = false;
  const size_t before = api.requests.size();
  AdvanceSeconds(60);
  EXPECT_EQ(api.requests.size(), before + 4) << "with a new session";
}

}  // namespace
}  // namespace narthex
