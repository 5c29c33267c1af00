#include "discovery/consul/consul_discoverer.h"
#include "testing/fake_api.h"

namespace narthex {
namespace {

using testing::Answer;
using testing::DiscoveryTest;
using testing::FakeApi;

constexpr std::string_view kCatalog = "GET http://localhost:8500/v1/catalog/services";
constexpr std::string_view kHealth = "GET http://localhost:8500/v1/health/service/";

class ConsulTest : public DiscoveryTest {
 protected:
  ConsulTest() { RegisterConsulDiscovery(registry); }

  // Answers once for the first index, then holds the request open.
  void ServeIndexed(const std::string& route, uint64_t index, std::string body) {
    api.Serve(route,
              [index, body = std::move(body)](const FetchRequest& request) -> FakeApi::Reply {
                const std::string known = "index=" + std::to_string(index);
                if (request.url.find(known) != std::string::npos) return std::nullopt;
                return Answer(body, 200, {{"X-Consul-Index", std::to_string(index)}});
              });
  }
  double Failures() { return metrics.Get("prometheus_sd_consul_rpc_failures_total", {}); }
};

constexpr std::string_view kWeb = R"([
  {"Node": {"Node": "n1", "Address": "10.0.0.1", "Meta": {"rack-row": "7"},
            "TaggedAddresses": {"lan": "10.0.0.1", "wan": "1.2.3.4"}},
   "Service": {"ID": "web-1", "Service": "web", "Tags": ["a", "b"], "Address": "", "Port": 80,
               "Meta": {"version": "3"}, "Namespace": "team", "Partition": "p"},
   "Checks": [{"CheckID": "c", "Status": "passing"}, {"CheckID": "d", "Status": "warning"}]},
  {"Node": {"Node": "n2", "Address": "10.0.0.2"},
   "Service": {"ID": "web-2", "Tags": null, "Address": "2001:db8::1", "Port": 81},
   "Checks": [{"CheckID": "_service_maintenance:web-2", "Status": "critical"}]}])";

constexpr std::string_view kWebGroup =
    "web {consul_dc=dc1 consul_service=web}\n"
    "  10.0.0.1:80 consul_address=10.0.0.1 consul_health=warning consul_metadata_rack_row=7"
    " consul_namespace=team consul_node=n1 consul_partition=p consul_service_address="
    " consul_service_id=web-1 consul_service_metadata_version=3 consul_service_port=80"
    " consul_tagged_address_lan=10.0.0.1 consul_tagged_address_wan=1.2.3.4 consul_tags=,a,b,\n"
    "  [2001:db8::1]:81 consul_address=10.0.0.2 consul_health=maintenance consul_namespace="
    " consul_node=n2 consul_partition= consul_service_address=2001:db8::1"
    " consul_service_id=web-2 consul_service_port=81 consul_tags=,,\n";

TEST_F(ConsulTest, WatchesTheCatalogAndEachService) {
  api.Serve("GET http://localhost:8500/v1/agent/self", R"({"Config": {"Datacenter": "dc1"}})");
  ServeIndexed(std::string(kCatalog), 5, R"({"web": ["a"], "db": []})");
  ServeIndexed(std::string(kHealth) + "web", 9, std::string(kWeb));
  ServeIndexed(std::string(kHealth) + "db", 3, "[]");
  Start("consul_sd_configs:\n- {}");
  EXPECT_EQ(Seen(), kWebGroup);
  EXPECT_EQ(api.requests[1].url, "http://localhost:8500/v1/catalog/services?stale=&wait=120000ms");
  AdvanceSeconds(30);
  ASSERT_NE(api.FindOpen(std::string(kCatalog) + "?index=5&stale=&wait=120000ms"), nullptr);
  ASSERT_NE(api.FindOpen(std::string(kHealth) + "web?index=9"), nullptr);
  // A change comes as soon as the agent tells, and the next watch starts with its index.
  api.Complete(std::string(kHealth) + "web", Answer("[]", 200, {{"X-Consul-Index", "12"}}));
  loop.RunDue();
  EXPECT_EQ(Seen(), "");
  AdvanceSeconds(30);
  EXPECT_GT(api.CountOf(std::string(kHealth) + "web?index=12"), 0U);
  // A service that leaves the catalog takes its watch along.
  api.Complete(std::string(kCatalog), Answer(R"({"db": []})", 200, {{"X-Consul-Index", "6"}}));
  loop.RunDue();
  EXPECT_EQ(api.FindOpen(std::string(kHealth) + "web"), nullptr);
  ASSERT_NE(api.FindOpen(std::string(kHealth) + "db"), nullptr);
  EXPECT_EQ(Failures(), 0);
  EXPECT_GT(metrics.Get("prometheus_sd_consul_rpc_duration_seconds",
                        {{"endpoint", "health"}, {"call", "service"}}),
            1);
}

TEST_F(ConsulTest, AnUnchangedIndexChangesNothing) {
  ServeIndexed(std::string(kHealth) + "web", 9, std::string(kWeb));
  Start("consul_sd_configs:\n- services: [web]\n  datacenter: dc1");
  const int before = updates;
  AdvanceSeconds(30);
  api.Complete(std::string(kHealth) + "web", Answer("[]", 200, {{"X-Consul-Index", "9"}}));
  AdvanceSeconds(31);
  EXPECT_EQ(updates, before);
  EXPECT_EQ(Seen(), kWebGroup);
  EXPECT_EQ(api.CountOf(std::string(kCatalog)), 0U) << "named services need no catalog";
  // An index that went backwards (a restored server) is taken as it is.
  api.Complete(std::string(kHealth) + "web", Answer("[]", 200, {{"X-Consul-Index", "2"}}));
  loop.RunDue();
  EXPECT_EQ(Seen(), "");
}

TEST_F(ConsulTest, AsksWithEveryOption) {
  ServeIndexed("GET https://c:1/consul/v1/catalog/services", 5, R"({"web": ["a"], "no": ["b"]})");
  ServeIndexed("GET https://c:1/consul/v1/health/service/web", 9, "[]");
  Start(
      "consul_sd_configs:\n- server: c:1\n  scheme: https\n  path_prefix: /consul/\n  token: t\n"
      "  datacenter: dc2\n  namespace: ns1\n  partition: p1\n  allow_stale: false\n"
      "  tags: [a]\n  node_meta: {rack: '7'}\n  filter: F == 1\n  health_filter: H == 1");
  ASSERT_EQ(api.requests.size(), 2U);
  EXPECT_EQ(api.requests[0].url,
            "https://c:1/consul/v1/catalog/services?dc=dc2&filter=F+%3D%3D+1&node-meta=rack%3A7"
            "&ns=ns1&partition=p1&wait=120000ms");
  EXPECT_EQ(api.requests[1].url,
            "https://c:1/consul/v1/health/service/web?dc=dc2&filter=H+%3D%3D+1&node-meta=rack%3A7"
            "&ns=ns1&partition=p1&tag=a&wait=120000ms");
  EXPECT_THAT(api.requests[0].headers, ::testing::Contains(::testing::Pair("X-Consul-Token", "t")));
}

TEST_F(ConsulTest, KeepsTargetsAndTriesAgainOnErrors) {
  const std::string self = "GET http://localhost:8500/v1/agent/self";
  api.ServeStatus(self, 500, "no leader");
  Start("consul_sd_configs:\n- refresh_interval: 1s\n  services: [web]");
  EXPECT_EQ(Failures(), 1);
  api.Serve(self, R"({"Config": {"Datacenter": 7}})");
  AdvanceSeconds(15);
  EXPECT_TRUE(groups.empty());
  api.Serve(self, R"({"Config": {"Datacenter": "dc1"}})");
  ServeIndexed(std::string(kHealth) + "web", 9, std::string(kWeb));
  AdvanceSeconds(15);
  EXPECT_EQ(Seen(), kWebGroup);
  AdvanceSeconds(1);
  double failures = Failures();
  for (const Result<FetchResponse>& bad :
       {Result<FetchResponse>(Answer("x", 500)), Result<FetchResponse>(Answer("{", 200)),
        Result<FetchResponse>(Answer("[]", 200, {{"X-Consul-Index", "-1"}})),
        Result<FetchResponse>(Status(ErrorCode::kTimeout, "context deadline exceeded"))}) {
    api.Complete(std::string(kHealth) + "web", bad);
    loop.RunDue();
    EXPECT_EQ(Failures(), ++failures);
    EXPECT_EQ(Seen(), kWebGroup);
    EXPECT_EQ(api.FindOpen(std::string(kHealth)), nullptr) << "waits before it asks again";
    AdvanceSeconds(15);
    ASSERT_NE(api.FindOpen(std::string(kHealth)), nullptr);
  }
}

TEST_F(ConsulTest, StopsInTheMiddle) {
  api.Hold("GET http://localhost:8500/v1/agent/self");
  Start("consul_sd_configs:\n- {}");
  Stop();
  EXPECT_TRUE(api.open.empty());
}

}  // namespace
}  // namespace narthex
