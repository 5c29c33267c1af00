#include "discovery/outscale/outscale_discoverer.h"

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"
#include "discovery/json_labels.h"
#include "net/aws_signer.h"
#include "util/file.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex {

namespace {

constexpr int kPagesMax = 10'000;
// What Outscale's own client signs for, whatever the region of the entry.
constexpr char kSignedRegion[] = "eu-west-2";
constexpr char kSignedService[] = "oapi";

class OutscaleDiscoverer : public ApiDiscoverer {
 public:
  OutscaleDiscoverer(const OutscaleSdConfig& config, std::string set_name,
                     DiscoveryEnvironment& environment)
      : ApiDiscoverer("outscale", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config) {}

 private:
  Async<Groups> FetchGroups() override {
    std::vector<TargetGroup> groups(1);
    groups[0].source = config_.region;
    NARTHEX_CO_TRY(const std::string secret, SecretKey());
    json::object question;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      NARTHEX_CO_TRY(FetchRequest request, SignedRequest(json::serialize(question), secret));
      const Result<json::value> answer = co_await FetchJson(api(), std::move(request));
      if (!answer.ok()) co_return answer.status().WithPrefix("outscale ReadVms: ");
      for (const json::value& machine : Array(*answer, "Vms")) {
        AddMachine(machine, &groups[0].targets);
      }
      const std::string token = Text(*answer, "NextPageToken");
      if (token.empty()) break;
      question["NextPageToken"] = token;
    }
    co_return groups;
  }

  Result<std::string> SecretKey() const {
    if (config_.secret_key_file.empty()) return config_.secret_key.value;
    Result<std::string> text = FileSystem::Posix().ReadAll(config_.secret_key_file);
    if (!text.ok()) {
      return text.status().WithPrefix("unable to read outscale secret key file " +
                                      config_.secret_key_file + ": ");
    }
    return std::string(TrimSpace(*text));
  }

  Result<FetchRequest> SignedRequest(std::string body, const std::string& secret) const {
    FetchRequest request =
        api().Make("POST", config_.endpoint + "/ReadVms", std::move(body), "application/json");
    NARTHEX_TRY(
        net::HeaderFields signature,
        net::SignAwsRequest(request.method, request.url, request.headers, request.body,
                            {config_.access_key, secret, "", 0}, {kSignedRegion, kSignedService},
                            Clock::System().NowNanos() / kNanosPerSecond));
    for (auto& field : signature) request.headers.push_back(std::move(field));
    return request;
  }

  void AddMachine(const json::value& machine, std::vector<TargetLabels>* targets) const {
    std::string address = Text(machine, "PrivateIp");
    if (address.empty()) address = Text(machine, "PublicIp");
    if (address.empty()) return;
    TextMap labels = {{std::string(kAddressLabel), JoinHostPort(address, config_.port)},
                      {"__meta_outscale_vm_instance_id", Text(machine, "VmId")},
                      {"__meta_outscale_vm_region", config_.region},
                      {"__meta_outscale_vm_state", Text(machine, "State")}};
    SetIfText(Member(machine, "Placement"), "SubregionName", "__meta_outscale_vm_subregion",
              &labels);
    SetIfText(machine, "PrivateIp", "__meta_outscale_vm_private_ip", &labels);
    SetIfText(machine, "PublicIp", "__meta_outscale_vm_public_ip", &labels);
    for (const json::value& tag : Array(machine, "Tags")) {
      const std::string key = Text(tag, "Key");
      const std::string value = Text(tag, "Value");
      if (key.empty() || value.empty()) continue;
      labels["__meta_outscale_vm_tag_" + SanitizeLabelName(key)] = value;
    }
    targets->push_back(ToTarget(std::move(labels)));
  }

  const OutscaleSdConfig config_;
};

}  // namespace

void RegisterOutscaleDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<OutscaleDiscoverer, OutscaleSdConfig>(registry, "outscale");
}

}  // namespace narthex
