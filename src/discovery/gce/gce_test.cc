#include "discovery/gce/gce_discoverer.h"

#include <cstdlib>

#include "testing/fake_api.h"
#include "util/file.h"

namespace narthex {
namespace {

using ::testing::Contains;
using testing::DiscoveryTest;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr std::string_view kEntry = "gce_sd_configs:\n- {project: p, zone: z, filter: 'name=a b'}";
constexpr std::string_view kInstances =
    "GET https://compute.googleapis.com/compute/v1/projects/p/zones/z/instances";

class GceTest : public DiscoveryTest {
 protected:
  GceTest() { RegisterGceDiscovery(registry); }
  void SetUp() override {
    setenv("HOME", folder_.path().c_str(), 1);
    unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
    setenv("GCE_METADATA_HOST", "meta", 1);
  }
  void UseFile(std::string_view text) {
    const std::string path = JoinPath(folder_.path(), "credentials.json");
    ASSERT_TRUE(FileSystem::Posix().WriteAtomically(path, text).ok());
    setenv("GOOGLE_APPLICATION_CREDENTIALS", path.c_str(), 1);
  }

  TemporaryDirectory folder_;
};

constexpr std::string_view kToken = R"({"access_token": "T", "expires_in": 3600})";

TEST_F(GceTest, ListsAllPagesWithTheMachinesOwnToken) {
  api.Serve("GET http://meta/computeMetadata/v1/instance/service-accounts/default/token",
            std::string(kToken));
  api.Serve(std::string(kInstances) + "?alt=json&filter=name%3Da+b", R"({"nextPageToken": "n/2",
    "items": [
      {"id": "12345678901234567890", "name": "vm", "status": "RUNNING", "zone": "zones/z",
       "machineType": "types/n1", "tags": {"items": ["http", "web"]},
       "metadata": {"items": [{"key": "ssh-keys", "value": "k"}, {"key": "empty"}]},
       "labels": {"env-x": "prod"},
       "networkInterfaces": [
         {"name": "nic0", "network": "nets/a", "subnetwork": "subs/a", "networkIP": "10.0.0.1",
          "accessConfigs": [{"type": "ONE_TO_ONE_NAT", "natIP": "1.2.3.4"}]},
         {"name": "nic1", "networkIP": "10.1.0.1"}]},
      {"id": "2", "networkInterfaces": []}]})");
  api.Serve(
      std::string(kInstances) + "?alt=json&filter=name%3Da+b&pageToken=n%2F2",
      R"({"items": [{"id": "3", "networkInterfaces": [{"name": "n", "networkIP": "10.0.0.3"}]}]})");
  Start(kEntry);
  EXPECT_THAT(
      Seen(),
      HasSubstr(
          "GCE_p_z {}\n"
          "  10.0.0.1:80 gce_instance_id=12345678901234567890 gce_instance_name=vm"
          " gce_instance_status=RUNNING gce_interface_ipv4_nic0=10.0.0.1"
          " gce_interface_ipv4_nic1=10.1.0.1 gce_label_env_x=prod gce_machine_type=types/n1"
          " gce_metadata_ssh_keys=k gce_network=nets/a gce_private_ip=10.0.0.1 gce_project=p"
          " gce_public_ip=1.2.3.4 gce_subnetwork=subs/a gce_tags=,http,web, gce_zone=zones/z\n"
          "  10.0.0.3:80 "));
  EXPECT_THAT(api.requests[0].headers, Contains(Pair("Metadata-Flavor", "Google")));
  EXPECT_THAT(api.requests[1].headers, Contains(Pair("Authorization", "Bearer T")));
  AdvanceSeconds(60);
  EXPECT_EQ(api.CountOf("GET http://meta/"), 1U) << "a token is kept";
  AdvanceSeconds(3600);
  EXPECT_EQ(api.CountOf("GET http://meta/"), 2U) << "until shortly before its end";
}

TEST_F(GceTest, TakesTheTokenOfAUsersFile) {
  UseFile(R"({"type": "authorized_user", "client_id": "c", "client_secret": "s",
              "refresh_token": "r"})");
  api.Serve("POST https://oauth2.googleapis.com/token", std::string(kToken));
  api.Serve(std::string(kInstances), "{}");
  Start(kEntry);
  EXPECT_EQ(api.requests[0].body,
            "client_id=c&client_secret=s&grant_type=refresh_token&refresh_token=r");
  EXPECT_EQ(RefreshFailures("gce"), 0);
}

TEST_F(GceTest, RefusesWhatItCannotUse) {
  double failures = 0;
  const auto fails = [&](std::string_view file) {
    UseFile(file);
    if (failures == 0) {
      Start(kEntry);
    } else {
      AdvanceSeconds(60);
    }
    EXPECT_EQ(RefreshFailures("gce"), ++failures) << file;
  };
  fails("{");
  fails(R"({"type": "external_account"})");
  fails(R"({"type": "service_account", "private_key": "no key"})");
  fails(R"({"type": "authorized_user"})");  // The server does not know the user.
  setenv("GOOGLE_APPLICATION_CREDENTIALS", "/does/not/exist", 1);
  AdvanceSeconds(60);
  EXPECT_EQ(RefreshFailures("gce"), ++failures);
}

}  // namespace
}  // namespace narthex
