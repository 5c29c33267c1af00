#include "discovery/azure/azure_discoverer.h"

#include <list>
#include <unordered_map>

#include "discovery/azure/azure_token.h"
#include "discovery/http/json_api.h"
#include "util/log.h"
#include "util/strings.h"

namespace narthex {

namespace {

constexpr std::string_view kComputeVersion = "2026-04-01";
constexpr std::string_view kNicVersion = "2025-03-01";
constexpr std::string_view kScaleSetNicVersion = "2018-10-01";
constexpr int kPagesMax = 10'000;
constexpr size_t kNicsMax = 5000;    // In the cache.
constexpr size_t kLooksAtOnce = 32;  // Network cards asked for at the same time.

struct ResourceId {
  std::string group;
  std::string name;
};

// "/subscriptions/S/resourceGroups/G/providers/N/T/NAME", with names in any case.
Result<ResourceId> ParseResourceId(const std::string& id) {
  const auto bad = [&](std::string_view why) {
    return MakeError(ErrorCode::kInvalidInput, "invalid ID '{}': invalid resource ID: {}", id, why);
  };
  if (id.empty()) return bad("id cannot be empty");
  if (id[0] != '/') return bad(fmt::format("resource id '{}' must start with '/'", id));
  std::vector<std::string_view> parts;
  for (const std::string_view part : Split(id, '/')) {
    if (!part.empty()) parts.push_back(part);
  }
  if (parts.size() < 2) return bad(id);
  const std::string kind = ToLower(parts[0]);
  if (kind != "subscriptions" && kind != "providers") return bad(id);
  ResourceId found;
  found.name = std::string(parts.back());
  if (parts.size() >= 4 && ToLower(parts[2]) == "resourcegroups") found.group = parts[3];
  return found;
}

struct Machine {
  std::string id;
  std::string name;
  std::string computer_name;
  std::string location;
  std::string os_type;
  std::string size;
  std::string scale_set;
  std::string instance_id;
  TextMap tags;
  std::vector<std::string> nics;
};

Machine ReadMachine(const json::value& vm, std::string scale_set) {
  Machine machine;
  machine.id = Text(vm, "id");
  machine.name = Text(vm, "name");
  machine.location = Text(vm, "location");
  machine.scale_set = std::move(scale_set);
  machine.instance_id = Text(vm, "instanceId");
  const json::value& properties = Member(vm, "properties");
  machine.computer_name = Text(Member(properties, "osProfile"), "computerName");
  machine.os_type = Text(Member(Member(properties, "storageProfile"), "osDisk"), "osType");
  machine.size = Text(Member(properties, "hardwareProfile"), "vmSize");
  for (const auto& [key, value] : Object(vm, "tags")) {
    if (!value.is_string()) continue;
    machine.tags["__meta_azure_machine_tag_" + SanitizeLabelName(key)] = AsText(value);
  }
  for (const json::value& nic : Array(Member(properties, "networkProfile"), "networkInterfaces")) {
    machine.nics.push_back(Text(nic, "id"));
  }
  return machine;
}

// What is looked at of a network card: of its addresses only the first.
struct Nic {
  bool has_properties = false;
  std::optional<bool> is_primary;  // Nothing: the machine is deallocated.
  bool has_address = false;
  std::optional<std::string> public_ip;
  std::optional<std::string> private_ip;
};

std::optional<std::string> TextIfAny(const json::value& value) {
  if (!value.is_string()) return std::nullopt;
  return std::string(AsText(value));
}

Nic ReadNic(const json::value& card) {
  Nic nic;
  const json::value& properties = Member(card, "properties");
  nic.has_properties = properties.is_object();
  if (Member(properties, "primary").is_bool()) nic.is_primary = Bool(properties, "primary");
  const json::array& addresses = Array(properties, "ipConfigurations");
  if (addresses.empty()) return nic;
  nic.has_address = true;
  const json::value& first = Member(addresses[0], "properties");
  nic.private_ip = TextIfAny(Member(first, "privateIPAddress"));
  nic.public_ip =
      TextIfAny(Member(Member(Member(first, "publicIPAddress"), "properties"), "ipAddress"));
  return nic;
}

// The network cards that were asked for last; each is good for a while.
class NicCache {
 public:
  const Nic* Find(const std::string& id, int64_t now_nanos) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return nullptr;
    if (now_nanos >= found->second->good_until_nanos) {
      entries_.erase(found->second);
      by_id_.erase(found);
      return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->nic;
  }
  void Put(const std::string& id, Nic nic, int64_t good_until_nanos) {
    if (const auto found = by_id_.find(id); found != by_id_.end()) {
      entries_.erase(found->second);
      by_id_.erase(found);
    }
    entries_.push_front({id, std::move(nic), good_until_nanos});
    by_id_[id] = entries_.begin();
    if (entries_.size() <= kNicsMax) return;
    by_id_.erase(entries_.back().id);
    entries_.pop_back();
  }

 private:
  struct Entry {
    std::string id;
    Nic nic;
    int64_t good_until_nanos;
  };
  std::list<Entry> entries_;  // The one used last comes first.
  std::unordered_map<std::string, std::list<Entry>::iterator> by_id_;
};

class AzureDiscoverer : public ApiDiscoverer {
 public:
  AzureDiscoverer(const AzureSdConfig& config, std::string set_name,
                  DiscoveryEnvironment& environment)
      : ApiDiscoverer("azure", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config),
        token_(api(), config_) {}

 private:
  using MaybeTarget = std::optional<TargetLabels>;

  Async<Groups> FetchGroups() override {
    Groups groups = co_await FetchAll();
    if (!groups.ok()) Count("prometheus_sd_azure_failures_total");
    co_return groups;
  }

  Async<Groups> FetchAll() {
    Result<AzureCloud> cloud = AzureCloudOf(config_.environment);
    if (!cloud.ok()) co_return cloud.status().WithPrefix("could not create Azure client: ");
    cloud_ = *std::move(cloud);
    std::vector<Machine> machines;
    if (const Status status = co_await FetchMachines(&machines); !status.ok()) co_return status;

    std::vector<Async<Result<MaybeTarget>>> looks;
    looks.reserve(machines.size());
    for (const Machine& machine : machines) looks.push_back(FetchTarget(machine));
    std::vector<Result<MaybeTarget>> targets =
        co_await AllOf<Result<MaybeTarget>>(std::move(looks), kLooksAtOnce);
    std::vector<TargetGroup> groups(1);
    for (Result<MaybeTarget>& target : targets) {
      if (!target.ok()) {
        co_return target.status().WithPrefix("unable to complete Azure service discovery: ");
      }
      if (*target) groups[0].targets.push_back(**std::move(target));
    }
    co_return groups;
  }

  // Machines of their own, then those of scale sets.
  Async<Status> FetchMachines(std::vector<Machine>* machines) {
    const Result<json::array> own = co_await FetchList(
        GroupPath(config_.resource_group) + "/providers/Microsoft.Compute/virtualMachines");
    if (!own.ok()) {
      co_return own.status().WithPrefix(
          "could not get virtual machines: could not list virtual machines: ");
    }
    for (const json::value& vm : *own) machines->push_back(ReadMachine(vm, ""));

    const std::string sets = "/providers/Microsoft.Compute/virtualMachineScaleSets";
    const Result<json::array> scale_sets =
        co_await FetchList(GroupPath(config_.resource_group) + sets);
    if (!scale_sets.ok()) {
      co_return scale_sets.status().WithPrefix(
          "could not get virtual machine scale sets: could not list virtual machine scale sets: ");
    }
    const std::string what = "could not get virtual machine scale set vms: ";
    for (const json::value& scale_set : *scale_sets) {
      const Result<ResourceId> id = ParseResourceId(Text(scale_set, "id"));
      if (!id.ok()) {
        co_return id.status().WithPrefix(what + "could not parse scale set ID: ");
      }
      const std::string name = Text(scale_set, "name");
      const Result<json::array> members = co_await FetchList(
          GroupPath(id->group) + sets + "/" + net::PathEscape(name) + "/virtualMachines");
      if (!members.ok()) {
        co_return members.status().WithPrefix(what +
                                              "could not list virtual machine scale set vms: ");
      }
      for (const json::value& vm : *members) machines->push_back(ReadMachine(vm, name));
    }
    co_return Status();
  }

  // The target; nothing for machines that are off or have no network card.
  Async<Result<MaybeTarget>> FetchTarget(const Machine& machine) {
    NARTHEX_CO_TRY(const ResourceId id, ParseResourceId(machine.id));
    TextMap labels = machine.tags;
    const std::string prefix = "__meta_azure_";
    labels[prefix + "subscription_id"] = config_.subscription_id;
    labels[prefix + "tenant_id"] = config_.tenant_id;
    labels[prefix + "machine_id"] = machine.id;
    labels[prefix + "machine_name"] = machine.name;
    labels[prefix + "machine_computer_name"] = machine.computer_name;
    labels[prefix + "machine_os_type"] = machine.os_type;
    labels[prefix + "machine_location"] = machine.location;
    labels[prefix + "machine_resource_group"] = id.group;
    labels[prefix + "machine_size"] = machine.size;
    if (!machine.scale_set.empty()) labels[prefix + "machine_scale_set"] = machine.scale_set;

    for (const std::string& nic_id : machine.nics) {
      NARTHEX_CO_TRY(const std::optional<Nic> nic, co_await FindNic(nic_id, machine));
      if (!nic) co_return MaybeTarget();
      if (!nic->has_properties) continue;
      if (!nic->is_primary) co_return MaybeTarget();
      if (!*nic->is_primary || !nic->has_address) continue;
      if (nic->public_ip) labels[prefix + "machine_public_ip"] = *nic->public_ip;
      if (!nic->private_ip) {
        co_return MakeError(ErrorCode::kInvalidInput, "unable to find a private IP for VM {}",
                            machine.name);
      }
      labels[prefix + "machine_private_ip"] = *nic->private_ip;
      labels[std::string(kAddressLabel)] = JoinHostPort(*nic->private_ip, config_.port);
      co_return MaybeTarget(ToTarget(std::move(labels)));
    }
    co_return MaybeTarget();
  }

  // From the cache or the API; nothing if it does not exist.
  Async<Result<std::optional<Nic>>> FindNic(const std::string& nic_id, const Machine& machine) {
    const int64_t now_nanos = environment().loop->NowNanos();
    if (const Nic* cached = nics_.Find(nic_id, now_nanos)) {
      Count("prometheus_sd_azure_cache_hit_total");
      co_return std::optional(*cached);
    }
    const Result<ResourceId> id = ParseResourceId(nic_id);
    if (!id.ok()) co_return id.status().WithPrefix("could not parse network interface ID: ");
    std::string path = GroupPath(id->group);
    std::string_view version = kNicVersion;
    if (machine.scale_set.empty()) {
      path += "/providers/Microsoft.Network";
    } else {
      path +=
          fmt::format("/providers/microsoft.Compute/virtualMachineScaleSets/{}/virtualMachines/{}",
                      net::PathEscape(machine.scale_set), net::PathEscape(machine.instance_id));
      version = kScaleSetNicVersion;
    }
    path += "/networkInterfaces/" + net::PathEscape(id->name) +
            "?%24expand=IPConfigurations%2FPublicIPAddress&api-version=" + std::string(version);
    int status_code = 0;
    const Result<json::object> card = co_await Get(cloud_.endpoint + path, &status_code);
    if (status_code == 404) {
      LOG_WARN("Network interface does not exist", {"discovery", "azure"}, {"name", nic_id});
      co_return std::optional<Nic>();
    }
    if (!card.ok()) {
      co_return card.status().WithPrefix(
          fmt::format("failed to retrieve Interface {} with error: ", nic_id));
    }
    Nic nic = ReadNic(json::value(*card));
    // Cards that were found together are not asked for together again.
    const int64_t interval_nanos = config_.refresh_interval.nanos;
    const auto spread = static_cast<int64_t>(std::hash<std::string>()(nic_id) >> 1) %
                        std::max<int64_t>(interval_nanos * 3, 1);
    nics_.Put(nic_id, nic, now_nanos + interval_nanos * 10 + spread);
    co_return std::optional(std::move(nic));
  }

  std::string GroupPath(const std::string& group) const {
    std::string path = "/subscriptions/" + net::PathEscape(config_.subscription_id);
    if (!group.empty()) path += "/resourceGroups/" + net::PathEscape(group);
    return path;
  }

  // All pages of a list.
  Async<Result<json::array>> FetchList(std::string path) {
    json::array all;
    std::string url = cloud_.endpoint + path + "?api-version=" + std::string(kComputeVersion);
    for (int pages = 0; !url.empty() && pages < kPagesMax; ++pages) {
      NARTHEX_CO_TRY(const json::object page, co_await Get(url, nullptr));
      for (const json::value& item : Array(page, "value")) all.push_back(item);
      url = Text(page, "nextLink");
    }
    co_return all;
  }

  Async<Result<json::object>> Get(std::string url, int* status_code) {
    NARTHEX_CO_TRY(const std::string token, co_await token_.Get(cloud_));
    FetchRequest request = WithHeader(api().Get(url), "Authorization", "Bearer " + token);
    request.headers.emplace_back("Accept", "application/json");
    NARTHEX_CO_TRY(const FetchResponse answer, co_await SendToAzure(api(), std::move(request)));
    if (status_code != nullptr) *status_code = answer.status_code;
    if (answer.status_code == 401) token_.Drop();
    if (answer.status_code != 200) {
      constexpr size_t kShownMax = 1024;
      co_return MakeError(ErrorCode::kUnavailable, "GET {}: RESPONSE {}: {}: {}",
                          url.substr(0, url.find('?')), answer.status_code, answer.status,
                          answer.body.substr(0, kShownMax));
    }
    co_return ParseJsonObject(answer.body);
  }

  const AzureSdConfig config_;
  AzureToken token_;
  AzureCloud cloud_;
  NicCache nics_;
};

}  // namespace

void RegisterAzureDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<AzureDiscoverer, AzureSdConfig>(registry, "azure");
}

}  // namespace narthex
