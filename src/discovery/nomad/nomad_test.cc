#include "discovery/nomad/nomad_discoverer.h"
#include "testing/fake_api.h"

namespace narthex {
namespace {

using testing::DiscoveryTest;

class NomadTest : public DiscoveryTest {
 protected:
  NomadTest() { RegisterNomadDiscovery(registry); }
};

constexpr std::string_view kList = "GET http://n:4646/v1/services";

TEST_F(NomadTest, GivesATargetForEachInstance) {
  api.Serve(std::string(kList) + "?namespace=web&region=eu&stale=", R"([
    {"Namespace": "web", "Services": [{"ServiceName": "shop", "Tags": ["a"]},
                                      {"ServiceName": "pay/er"}]},
    {"Namespace": "empty", "Services": null}])");
  api.Serve("GET http://n:4646/v1/service/shop", R"([
    {"Address": "10.0.0.1", "Port": 80, "ID": "i1", "NodeID": "n1", "Datacenter": "dc1",
     "Namespace": "web", "ServiceName": "shop", "Tags": ["a", "b"]},
    {"Address": "2001:db8::1", "Port": 81, "ID": "i2", "NodeID": "n2", "Datacenter": "dc1",
     "Namespace": "web", "ServiceName": "shop", "Tags": []}])");
  api.Serve("GET http://n:4646/v1/service/pay%2Fer", "[]");
  Start(
      "nomad_sd_configs:\n- server: http://n:4646/\n  namespace: web\n  region: eu\n"
      "  tag_separator: ';'");
  EXPECT_EQ(Seen(),
            "Nomad {}\n"
            "  10.0.0.1:80 nomad_address=10.0.0.1 nomad_dc=dc1 nomad_namespace=web nomad_node_id=n1"
            " nomad_service=shop nomad_service_address=10.0.0.1 nomad_service_id=i1"
            " nomad_service_port=80 nomad_tags=;a;b;\n"
            "  [2001:db8::1]:81 nomad_address=2001:db8::1 nomad_dc=dc1 nomad_namespace=web"
            " nomad_node_id=n2 nomad_service=shop nomad_service_address=2001:db8::1"
            " nomad_service_id=i2 nomad_service_port=81\n");
  EXPECT_EQ(api.CountOf("GET"), 3U);
}

TEST_F(NomadTest, KeepsTargetsWhenARequestFails) {
  api.Serve(std::string(kList), R"([{"Services": [{"ServiceName": "s"}]}])");
  api.Serve("GET http://n:4646/v1/service/s", R"([{"Address": "h", "Port": 1}])");
  Start("nomad_sd_configs:\n- server: http://n:4646");
  ASSERT_EQ(groups.size(), 1U);
  int failures = 0;
  const auto fails = [&](const std::string& what) {
    AdvanceSeconds(60);
    ++failures;
    EXPECT_EQ(groups.size(), 1U) << what;
    EXPECT_EQ(RefreshFailures("nomad"), failures) << what;
    EXPECT_EQ(metrics.Get("prometheus_sd_nomad_failures_total", {}), failures) << what;
  };
  api.ServeStatus("GET http://n:4646/v1/service/s", 500);
  fails("service refused");
  api.Serve("GET http://n:4646/v1/service/s", "{");
  fails("broken JSON");
  api.Serve(std::string(kList), "{}");
  fails("not a list");
  api.ServeError(std::string(kList), Status(ErrorCode::kTimeout, "context deadline exceeded"));
  fails("timeout");
  api.Serve(std::string(kList), std::string((256 << 20) + 1, ' '));
  fails("a list without end");
  api.Serve(std::string(kList), "[]");
  AdvanceSeconds(60);
  EXPECT_TRUE(groups.empty());
}

TEST_F(NomadTest, StopsInTheMiddle) {
  api.Hold(std::string(kList));
  Start("nomad_sd_configs:\n- server: http://n:4646");
  AdvanceSeconds(300);
  EXPECT_EQ(api.open.size(), 1U) << "one refresh at a time";
  Stop();
  EXPECT_TRUE(api.open.empty()) << "the request is cancelled";
  loop.RunDue();
  EXPECT_EQ(loop.pending(), 0U);
}

}  // namespace
}  // namespace narthex
