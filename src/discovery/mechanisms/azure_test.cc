// Azure: ways to a token, machines of their own and of scale sets, network cards one by one.
#include <fmt/format.h>

#include <cstdlib>

#include "discovery/mechanisms/mechanisms.h"
#include "testing/fake_api.h"
#include "util/file.h"
#include "util/time.h"

namespace narthex {
namespace {

using testing::Answer;
using ::testing::Contains;
using testing::DiscoveryTest;
using testing::FakeApi;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr std::string_view kOAuth =
    "azure_sd_configs:\n- {subscription_id: S, tenant_id: T, client_id: C, client_secret: X}";
const std::string kToken = "POST https://login.microsoftonline.com/T/oauth2/v2.0/token";
const std::string kBase = "GET https://management.azure.com/subscriptions/S";
const std::string kMachines =
    kBase + "/providers/Microsoft.Compute/virtualMachines?api-version=2026-04-01";
const std::string kSets =
    kBase + "/providers/Microsoft.Compute/virtualMachineScaleSets?api-version=2026-04-01";
const std::string kSetMachines =
    kBase +
    "/resourceGroups/G/providers/Microsoft.Compute/virtualMachineScaleSets/set/"
    "virtualMachines?api-version=2026-04-01";
const std::string kExpand = "?%24expand=IPConfigurations%2FPublicIPAddress&api-version=";
const std::string kNic = kBase + "/resourceGroups/G/providers/Microsoft.Network/networkInterfaces/";
const std::string kSetNic =
    kBase +
    "/resourceGroups/G/providers/microsoft.Compute/virtualMachineScaleSets/set/virtualMachines/7/"
    "networkInterfaces/nic7" +
    kExpand + "2018-10-01";

std::string MachineJson(std::string_view name, std::string_view nic, std::string_view more = "") {
  return fmt::format(
      R"({{"id": "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/virtualMachines/{0}",
          "name": "{0}", "type": "t", "location": "westeurope", "instanceId": "7", {2}
          "properties": {{
            "osProfile": {{"computerName": "host-{0}"}},
            "storageProfile": {{"osDisk": {{"osType": "Linux"}}}},
            "hardwareProfile": {{"vmSize": "D2"}},
            "networkProfile": {{"networkInterfaces": [{{"id":
              "/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/networkInterfaces/{1}"
            }}]}}}}}})",
      name, nic, more);
}

std::string NicJson(std::string_view ip) {
  return fmt::format(
      R"({{"properties": {{"primary": true, "ipConfigurations": [
          {{"properties": {{"privateIPAddress": "{}"}}}}]}}}})",
      ip);
}

class AzureTest : public DiscoveryTest {
 protected:
  AzureTest() { RegisterBuiltinMechanisms(registry); }
  void SetUp() override {
    for (const char* name :
         {"AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE",
          "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_TOKEN_CREDENTIALS"}) {
      unsetenv(name);
    }
    api.Serve(kToken, R"({"access_token": "A", "expires_in": 3600})");
    api.Serve(kMachines, R"({"value": []})");
    api.Serve(kSets, R"({"value": []})");
  }
  // What a method asks for its token with; Azure itself answers nothing.
  FetchRequest TokenRequestOf(const std::string& method) {
    api.log.clear();
    api.requests.clear();
    Start("azure_sd_configs:\n- {subscription_id: S, authentication_method: " + method + "}");
    return api.requests.empty() ? FetchRequest() : api.requests[0];
  }
  double Failures() const { return metrics.Get("prometheus_sd_azure_failures_total", {}); }
};

TEST_F(AzureTest, FindsMachinesAndThoseOfScaleSets) {
  api.Serve(kMachines,
            fmt::format(R"({{"value": [{}], "nextLink": "https://next/?skip=1"}})",
                        MachineJson("one", "nic1", R"("tags": {"a-b": "c", "n": null},)")));
  api.Serve("GET https://next/?skip=1",
            fmt::format(R"({{"value": [{}, {}, {}]}})", MachineJson("off", "nic2"),
                        MachineJson("gone", "nic3"), MachineJson("side", "nic4")));
  api.Serve(kSets, R"({"value": [{"name": "set",
    "id": "/subscriptions/S/resourceGroups/G/providers/M/virtualMachineScaleSets/set"}]})");
  api.Serve(kSetMachines, fmt::format(R"({{"value": [{}]}})", MachineJson("set_7", "nic7")));
  api.Serve(kNic + "nic1" + kExpand + "2025-03-01",
            R"({"properties": {"primary": true, "ipConfigurations": [
      {"properties": {"privateIPAddress": "10.0.0.1",
                      "publicIPAddress": {"properties": {"ipAddress": "1.2.3.4"}}}},
      {"properties": {"privateIPAddress": "10.0.0.9"}}]}})");
  api.Serve(kNic + "nic2", R"({"properties": {"ipConfigurations": []}})");
  api.Serve(kNic + "nic4", R"({"properties": {"primary": false}})");
  api.Serve(kSetNic, NicJson("10.0.0.7"));
  Start(kOAuth);
  const std::string common = " azure_machine_location=westeurope azure_machine_name=";
  const std::string id =
      " azure_machine_id=/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/"
      "virtualMachines/";
  const std::string end = " azure_subscription_id=S azure_tenant_id=T\n";
  EXPECT_EQ(Seen(), " {}\n  10.0.0.1:80 azure_machine_computer_name=host-one" + id + "one" +
                        common +
                        "one azure_machine_os_type=Linux azure_machine_private_ip=10.0.0.1"
                        " azure_machine_public_ip=1.2.3.4 azure_machine_resource_group=G"
                        " azure_machine_size=D2 azure_machine_tag_a_b=c" +
                        end + "  10.0.0.7:80 azure_machine_computer_name=host-set_7" + id +
                        "set_7" + common +
                        "set_7 azure_machine_os_type=Linux azure_machine_private_ip=10.0.0.7"
                        " azure_machine_resource_group=G azure_machine_scale_set=set"
                        " azure_machine_size=D2" +
                        end);
  EXPECT_EQ(api.requests[0].body,
            "client_id=C&client_secret=X&grant_type=client_credentials&scope="
            "https%3A%2F%2Fmanagement.core.windows.net%2F%2F.default");
  EXPECT_THAT(api.requests[1].headers, Contains(Pair("Authorization", "Bearer A")));
  // The card that is gone is asked for again, the others are not.
  AdvanceSeconds(300);
  EXPECT_EQ(metrics.Get("prometheus_sd_azure_cache_hit_total", {}), 4);
  EXPECT_EQ(api.CountOf(kNic + "nic1"), 1U);
  EXPECT_EQ(api.CountOf(kNic + "nic3"), 2U);
  EXPECT_EQ(api.CountOf("POST"), 1U) << "a token is kept";
  AdvanceSeconds(13 * 300);
  AdvanceSeconds(300);
  EXPECT_EQ(api.CountOf(kNic + "nic1"), 2U) << "cards are kept for a while only";
  EXPECT_EQ(api.CountOf("POST"), 2U) << "and so are tokens";
}

TEST_F(AzureTest, RetriesWhenBusyAndKeepsTargetsWhenRefused) {
  api.Serve(kMachines, fmt::format(R"({{"value": [{}]}})", MachineJson("one", "nic1")));
  api.Serve(kNic + "nic1", NicJson("10.0.0.1"));
  int asked = 0;
  api.Serve(kSets, [&](const FetchRequest&) -> FakeApi::Reply {
    if (++asked == 1) return Answer("busy", 429, {{"Retry-After", "7"}});
    if (asked == 2) return Answer("down", 503);
    return Answer(R"({"value": []})");
  });
  Start(kOAuth);
  EXPECT_EQ(asked, 1);
  AdvanceSeconds(6.9);
  EXPECT_EQ(asked, 1);
  AdvanceSeconds(0.2);
  EXPECT_EQ(asked, 2);
  AdvanceSeconds(1.6);
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(groups.size(), 1U);

  api.ServeStatus(kMachines, 403, R"({"error": {"code": "AuthorizationFailed"}})");
  AdvanceSeconds(300);
  EXPECT_EQ(Failures(), 1);
  EXPECT_EQ(RefreshFailures("azure"), 1);
  api.ServeStatus(kMachines, 401, "expired");
  AdvanceSeconds(300);
  EXPECT_EQ(Failures(), 2);
  AdvanceSeconds(300);
  EXPECT_EQ(api.CountOf("POST"), 2U) << "a token that was refused is not used again";
  api.ServeStatus(kMachines, 500, "no");
  AdvanceSeconds(293.3);  // Two seconds into the refresh; its retries take 5.6.
  EXPECT_EQ(Failures(), 3) << "still retrying";
  AdvanceSeconds(10);
  EXPECT_EQ(Failures(), 4);
  EXPECT_EQ(groups.size(), 1U);
  // A machine whose card has no private address spoils all.
  api.Serve(kMachines, fmt::format(R"({{"value": [{}]}})", MachineJson("two", "nic2")));
  api.Serve(kNic + "nic2", R"({"properties": {"primary": true, "ipConfigurations": [{}]}})");
  AdvanceSeconds(300);
  EXPECT_EQ(Failures(), 5);
  EXPECT_EQ(groups.size(), 1U);
}

TEST_F(AzureTest, FindsItsTokenByEveryMethod) {
  // ManagedIdentity: the machine's, or the App Service's.
  FetchRequest request = TokenRequestOf("ManagedIdentity");
  EXPECT_EQ(request.url,
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&"
            "resource=https%3A%2F%2Fmanagement.core.windows.net%2F");
  EXPECT_THAT(request.headers, Contains(Pair("Metadata", "true")));
  setenv("IDENTITY_ENDPOINT", "http://app", 1);
  setenv("IDENTITY_HEADER", "secret", 1);
  request = TokenRequestOf("ManagedIdentity, client_id: C");
  EXPECT_EQ(request.url,
            "http://app?api-version=2019-08-01&client_id=C&"
            "resource=https%3A%2F%2Fmanagement.core.windows.net%2F");
  EXPECT_THAT(request.headers, Contains(Pair("X-IDENTITY-HEADER", "secret")));
  unsetenv("IDENTITY_ENDPOINT");

  // WorkloadIdentity.
  double failures = Failures();
  EXPECT_EQ(TokenRequestOf("WorkloadIdentity").url, "");
  EXPECT_EQ(Failures(), failures + 1);
  const TemporaryDirectory folder;
  const std::string path = JoinPath(folder.path(), "token");
  ASSERT_TRUE(FileSystem::Posix().WriteAtomically(path, "J").ok());
  setenv("AZURE_CLIENT_ID", "C", 1);
  setenv("AZURE_TENANT_ID", "T", 1);
  setenv("AZURE_FEDERATED_TOKEN_FILE", path.c_str(), 1);
  request = TokenRequestOf("WorkloadIdentity, environment: AzureUSGovernment");
  EXPECT_EQ(request.url, "https://login.microsoftonline.us/T/oauth2/v2.0/token");
  EXPECT_EQ(request.body,
            "client_assertion=J&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
            "client-assertion-type%3Ajwt-bearer&client_id=C&grant_type=client_credentials&scope="
            "https%3A%2F%2Fmanagement.core.usgovcloudapi.net%2F%2F.default");

  // SDK: the environment first, then a workload's identity, then the machine's.
  setenv("AZURE_CLIENT_SECRET", "X", 1);
  EXPECT_THAT(TokenRequestOf("SDK").body, HasSubstr("client_secret=X"));
  setenv("AZURE_TOKEN_CREDENTIALS", "WorkloadIdentityCredential", 1);
  EXPECT_THAT(TokenRequestOf("SDK, tenant_id: U").url, HasSubstr("/U/oauth2"));
  unsetenv("AZURE_TOKEN_CREDENTIALS");
  unsetenv("AZURE_CLIENT_SECRET");
  unsetenv("AZURE_FEDERATED_TOKEN_FILE");
  EXPECT_THAT(TokenRequestOf("SDK").url, HasSubstr("http://169.254.169.254/"));
  setenv("AZURE_TOKEN_CREDENTIALS", "dev", 1);
  failures = Failures();
  EXPECT_EQ(TokenRequestOf("SDK").url, "");
  EXPECT_EQ(Failures(), failures + 1);

  failures = Failures();
  Start("azure_sd_configs:\n- {subscription_id: S, authentication_method: SDK, environment: Mars}");
  EXPECT_EQ(Failures(), failures + 1);
}

TEST_F(AzureTest, ReadsTheEndOfATokenAsATimeToo) {
  const std::string imds = "GET http://169.254.169.254/metadata/identity/oauth2/token";
  api.Serve(imds, fmt::format(R"({{"access_token": "A", "expires_on": "{}"}})",
                              Clock::System().NowNanos() / kNanosPerSecond + 1000));
  Start("azure_sd_configs:\n- {subscription_id: S, authentication_method: ManagedIdentity}");
  AdvanceSeconds(300);
  EXPECT_EQ(api.CountOf(imds), 1U);
  AdvanceSeconds(600);
  EXPECT_EQ(api.CountOf(imds), 2U);
}

}  // namespace
}  // namespace narthex
