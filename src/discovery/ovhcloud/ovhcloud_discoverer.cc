#include "discovery/ovhcloud/ovhcloud_discoverer.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"
#include "net/crypto.h"
#include "net/url.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex {

namespace {

constexpr int64_t kTimeoutNanos = 180 * kNanosPerSecond;

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kEndpoints = {{
    {"ovh-eu", "https://eu.api.ovh.com/1.0"},
    {"ovh-ca", "https://ca.api.ovh.com/1.0"},
    {"ovh-us", "https://api.us.ovhcloud.com/1.0"},
    {"kimsufi-eu", "https://eu.api.kimsufi.com/1.0"},
    {"kimsufi-ca", "https://ca.api.kimsufi.com/1.0"},
    {"soyoustart-eu", "https://eu.api.soyoustart.com/1.0"},
    {"soyoustart-ca", "https://ca.api.soyoustart.com/1.0"},
}};

// Anything with a slash is taken as an address.
Result<std::string> EndpointOf(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  for (const auto& [known, url] : kEndpoints) {
    if (known == name) return std::string(url);
  }
  return MakeError(ErrorCode::kInvalidInput,
                   "unknown endpoint '{}', consider checking 'Endpoints' list or using an URL",
                   name);
}

Status RefusalOf(const FetchResponse& answer) {
  std::string text = fmt::format("OVHcloud API error (status code {}): ", answer.status_code);
  std::string message = answer.body;
  if (const Result<json::object> said = ParseJsonObject(answer.body); said.ok()) {
    message = Text(*said, "message");
    if (const std::string kind = Text(*said, "class"); !kind.empty()) text += kind + ": ";
    std::vector<std::string> missing;
    for (const char* name : {"unauthorizedActionsByAuthentication", "unauthorizedActionsByIAM"}) {
      std::string actions = Text(Member(*said, "details"), name);
      if (!actions.empty()) missing.push_back(std::move(actions));
    }
    if (!missing.empty()) {
      message += fmt::format(" (missing IAM permissions: {})", Join(missing, ", "));
    }
  }
  text += GoQuote(message);
  if (const std::string_view id = answer.Header("X-Ovh-QueryID"); !id.empty()) {
    text += fmt::format(" (X-OVH-Query-Id: {})", id);
  }
  return Status(ErrorCode::kUnavailable, text);
}

struct Addresses {
  std::string ipv4;
  std::string ipv6;
  const std::string& preferred() const { return ipv4.empty() ? ipv6 : ipv4; }
};

// The last address of each family. Networks count only with 32 bits, whatever their family.
Result<Addresses> ReadAddresses(const json::array& list) {
  const Status unreadable(ErrorCode::kInvalidInput, "could not parse IP addresses from list");
  Addresses found;
  for (const json::value& item : list) {
    std::string text(AsText(item));
    int bits = 32;
    if (const size_t slash = text.find('/'); slash != std::string::npos) {
      const std::string_view digits = std::string_view(text).substr(slash + 1);
      const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
      if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || bits < 0) {
        return unreadable;
      }
      text.resize(slash);
    }
    std::array<unsigned char, 16> bytes{};
    const bool is_ipv4 = inet_pton(AF_INET, text.c_str(), bytes.data()) == 1;
    if (!is_ipv4 && inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return unreadable;
    if (bits > (is_ipv4 ? 32 : 128)) return unreadable;
    if (bits != 32 || bytes == std::array<unsigned char, 16>{}) continue;
    std::array<char, INET6_ADDRSTRLEN> printed{};
    inet_ntop(is_ipv4 ? AF_INET : AF_INET6, bytes.data(), printed.data(), printed.size());
    (is_ipv4 ? found.ipv4 : found.ipv6) = printed.data();
  }
  if (found.preferred().empty()) return unreadable;
  return found;
}

TextMap CommonLabels(const json::value& server, const Addresses& addresses,
                     const std::string& prefix) {
  const std::string name = Text(server, "name");
  return {{std::string(kAddressLabel), addresses.preferred()},
          {"instance", name},
          {prefix + "name", name},
          {prefix + "state", Text(server, "state")},
          {prefix + "ipv4", addresses.ipv4},
          {prefix + "ipv6", addresses.ipv6}};
}

TargetLabels VpsTarget(const json::value& server, const Addresses& addresses) {
  const std::string prefix = "__meta_ovhcloud_vps_";
  TextMap labels = CommonLabels(server, addresses, prefix);
  const json::value& model = Member(server, "model");
  labels[prefix + "offer"] = Text(model, "offer");
  labels[prefix + "datacenter"] = "[" + Join(Texts(Array(model, "datacenter")), " ") + "]";
  labels[prefix + "model_vcore"] = std::to_string(Int(model, "vcore"));
  // The API spells it so.
  labels[prefix + "maximum_additional_ip"] = std::to_string(Int(model, "maximumAdditionnalIp"));
  labels[prefix + "version"] = Text(model, "version");
  labels[prefix + "model_name"] = Text(model, "name");
  labels[prefix + "disk"] = std::to_string(Int(model, "disk"));
  labels[prefix + "memory"] = std::to_string(Int(model, "memory"));
  labels[prefix + "zone"] = Text(server, "zone");
  labels[prefix + "display_name"] = Text(server, "displayName");
  labels[prefix + "cluster"] = Text(server, "cluster");
  labels[prefix + "netboot_mode"] = Text(server, "netbootMode");
  labels[prefix + "memory_limit"] = std::to_string(Int(server, "memoryLimit"));
  labels[prefix + "offer_type"] = Text(server, "offerType");
  labels[prefix + "vcore"] = std::to_string(Int(server, "vcore"));
  return ToTarget(std::move(labels));
}

TargetLabels DedicatedTarget(const json::value& server, const Addresses& addresses) {
  const std::string prefix = "__meta_ovhcloud_dedicated_server_";
  TextMap labels = CommonLabels(server, addresses, prefix);
  labels[prefix + "commercial_range"] = Text(server, "commercialRange");
  labels[prefix + "link_speed"] = std::to_string(Int(server, "linkSpeed"));
  labels[prefix + "rack"] = Text(server, "rack");
  labels[prefix + "no_intervention"] = Bool(server, "noIntervention") ? "true" : "false";
  labels[prefix + "os"] = Text(server, "os");
  labels[prefix + "support_level"] = Text(server, "supportLevel");
  labels[prefix + "server_id"] = std::to_string(Int(server, "serverId"));
  labels[prefix + "reverse"] = Text(server, "reverse");
  labels[prefix + "datacenter"] = Text(server, "datacenter");
  return ToTarget(std::move(labels));
}

class OvhcloudDiscoverer : public ApiDiscoverer {
 public:
  OvhcloudDiscoverer(const OvhcloudSdConfig& config, std::string set_name,
                     DiscoveryEnvironment& environment)
      : ApiDiscoverer("ovhcloud", std::move(set_name), config.refresh_interval.nanos, environment,
                      HttpClientConfig()),
        config_(config) {}

 private:
  Async<Groups> FetchGroups() override {
    NARTHEX_CO_TRY(endpoint_, EndpointOf(config_.endpoint));
    // Requests are signed with the server's time.
    const int64_t now = Clock::System().NowNanos() / kNanosPerSecond;
    NARTHEX_CO_TRY(const json::value time, co_await Get("/auth/time", Signing::kNo));
    clock_offset_seconds_ = AsInt(time) - now;

    const bool is_vps = config_.service == "vps";
    const std::string base = is_vps ? "/vps" : "/dedicated/server";
    NARTHEX_CO_TRY(const json::value names, co_await Get(base, Signing::kYes));
    std::vector<TargetGroup> groups(1);
    groups[0].source = "ovhcloud_" + config_.service;
    for (const json::value& name : AsArray(names)) {
      const std::string path = base + "/" + net::QueryEscape(AsText(name));
      const Result<TargetLabels> target = co_await FetchServer(path, is_vps);
      if (target.ok()) {
        groups[0].targets.push_back(*target);
      } else {
        LOG_WARN(groups[0].source + ": Could not get details of " + std::string(AsText(name)),
                 {"discovery", "ovhcloud"}, {"err", target.status().message()});
      }
    }
    co_return groups;
  }

  Async<Result<TargetLabels>> FetchServer(std::string path, bool is_vps) {
    NARTHEX_CO_TRY(const json::value server, co_await Get(path, Signing::kYes));
    NARTHEX_CO_TRY(const json::value ips, co_await Get(path + "/ips", Signing::kYes));
    NARTHEX_CO_TRY(const Addresses addresses, ReadAddresses(AsArray(ips)));
    co_return is_vps ? VpsTarget(server, addresses) : DedicatedTarget(server, addresses);
  }

  enum class Signing { kNo, kYes };

  Async<Result<json::value>> Get(std::string path, Signing signing) {
    FetchRequest request = api().Get(endpoint_ + path);
    request.timeout_nanos = kTimeoutNanos;
    request.headers.emplace_back("X-Ovh-Application", config_.application_key);
    request.headers.emplace_back("Accept", "application/json");
    if (signing == Signing::kYes) {
      const std::string timestamp =
          std::to_string(Clock::System().NowNanos() / kNanosPerSecond + clock_offset_seconds_);
      const std::string text = fmt::format("{}+{}+GET+{}++{}", config_.application_secret.value,
                                           config_.consumer_key.value, request.url, timestamp);
      request.headers.emplace_back("X-Ovh-Timestamp", timestamp);
      request.headers.emplace_back("X-Ovh-Consumer", config_.consumer_key.value);
      request.headers.emplace_back("X-Ovh-Signature", "$1$" + net::HexEncode(net::Sha1(text)));
    }
    NARTHEX_CO_TRY(const FetchResponse answer, co_await api().Send(std::move(request)));
    if (answer.status_code / 100 != 2) co_return RefusalOf(answer);
    co_return ParseJson(answer.body);
  }

  const OvhcloudSdConfig config_;
  std::string endpoint_;
  int64_t clock_offset_seconds_ = 0;
};

}  // namespace

void RegisterOvhcloudDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<OvhcloudDiscoverer, OvhcloudSdConfig>(registry, "ovhcloud");
}

}  // namespace narthex
