#include "discovery/oci/oci_discoverer.h"

#include <algorithm>
#include <deque>
#include <set>

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"
#include "discovery/oci/oci_signer.h"
#include "net/url.h"
#include "util/file.h"
#include "util/log.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex {

namespace {

constexpr int kPagesMax = 10'000;
constexpr std::string_view kApiVersion = "/20160918/";

// Tags may be texts, numbers or booleans; others have no place in a label.
std::optional<std::string> TagText(const json::value& value) {
  if (value.is_string()) return std::string(AsText(value));
  if (value.is_bool()) return value.get_bool() ? "true" : "false";
  if (value.is_number()) return FormatFloatF(value.to_number<double>());
  return std::nullopt;
}

struct NetworkCard {
  std::string id, private_ip, public_ip, hostname;
  std::vector<std::string> ipv6;  // Sorted.

  std::string Address() const {
    if (!private_ip.empty()) return private_ip;
    if (!public_ip.empty()) return public_ip;
    return ipv6.empty() ? "" : ipv6.front();
  }
};

class OciDiscoverer : public ApiDiscoverer {
 public:
  OciDiscoverer(const OciSdConfig& config, std::string set_name, DiscoveryEnvironment& environment,
                OciKey key)
      : ApiDiscoverer("oci", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config),
        key_(std::move(key)),
        compute_("https://iaas." + config.region + ".oraclecloud.com" + std::string(kApiVersion)),
        identity_("https://identity." + config.region + ".oci.oraclecloud.com" +
                  std::string(kApiVersion)) {}

 private:
  struct Page {
    json::value body;
    std::string next;  // Empty: this was the last.
  };

  Async<Groups> FetchGroups() override {
    std::vector<TargetGroup> groups(1);
    groups[0].source = "OCI";
    std::vector<std::string> compartments = config_.compartments;
    if (compartments.empty()) compartments = co_await FindCompartments();
    for (const std::string& compartment : compartments) {
      net::FormValues query;
      query.Add("compartmentId", compartment);
      const Result<std::vector<json::value>> instances =
          co_await List(compute_ + "instances", std::move(query));
      if (!instances.ok()) {
        co_return instances.status().WithPrefix("listing OCI instances in compartment " +
                                                compartment + ": ");
      }
      for (const json::value& instance : *instances) {
        if (!Member(instance, "id").is_string() || !Member(instance, "compartmentId").is_string()) {
          LOG_WARN("OCI SD skipping instance with missing OCID fields", {"discovery", "oci"},
                   {"compartment_id", compartment});
          continue;
        }
        const Result<NetworkCard> card = co_await PrimaryCard(instance);
        if (!card.ok()) {
          LOG_WARN("OCI SD failed to resolve VNIC IPs, skipping instance", {"discovery", "oci"},
                   {"instance_id", Text(instance, "id")}, {"err", card.status().message()});
          continue;
        }
        if (card->Address().empty()) continue;
        groups[0].targets.push_back(InstanceTarget(instance, *card));
      }
    }
    co_return groups;
  }

  // The tenancy and every active compartment below it that may be seen.
  Async<std::vector<std::string>> FindCompartments() {
    std::vector<std::string> all;
    std::set<std::string> seen{config_.tenancy};
    std::deque<std::string> waiting{config_.tenancy};
    while (!waiting.empty()) {
      const std::string parent = std::move(waiting.front());
      waiting.pop_front();
      all.push_back(parent);
      net::FormValues query;
      query.Add("accessLevel", "ACCESSIBLE");
      query.Add("compartmentId", parent);
      query.Add("compartmentIdInSubtree", "false");
      const Result<std::vector<json::value>> children =
          co_await List(identity_ + "compartments", std::move(query));
      if (!children.ok()) {
        LOG_WARN("OCI SD failed to list child compartments, skipping subtree", {"discovery", "oci"},
                 {"compartment_id", parent}, {"err", children.status().message()});
        continue;
      }
      for (const json::value& child : *children) {
        const std::string id = Text(child, "id");
        if (id.empty() || Text(child, "lifecycleState") != "ACTIVE") continue;
        if (seen.insert(id).second) waiting.push_back(id);
      }
    }
    co_return all;
  }

  Async<Result<NetworkCard>> PrimaryCard(json::value instance) {
    net::FormValues query;
    query.Add("compartmentId", Text(instance, "compartmentId"));
    query.Add("instanceId", Text(instance, "id"));
    NARTHEX_CO_TRY(const std::vector<json::value> attachments,
                   co_await List(compute_ + "vnicAttachments", std::move(query)));
    for (const json::value& attachment : attachments) {
      const std::string id = Text(attachment, "vnicId");
      if (id.empty() || Text(attachment, "lifecycleState") != "ATTACHED") continue;
      const Result<Page> page = co_await Ask(compute_ + "vnics/" + net::PathEscape(id));
      if (!page.ok()) co_return page.status().WithPrefix("fetching VNIC " + id + ": ");
      const json::value& card = page->body;
      const json::value& primary = Member(card, "isPrimary");
      if (!primary.is_bool() || !primary.get_bool()) continue;
      NetworkCard found{Text(card, "id"), Text(card, "privateIp"), Text(card, "publicIp"),
                        Text(card, "hostnameLabel"), Texts(Array(card, "ipv6Addresses"))};
      std::sort(found.ipv6.begin(), found.ipv6.end());
      co_return found;
    }
    co_return NetworkCard();
  }

  // The elements of all pages of a list.
  Async<Result<std::vector<json::value>>> List(std::string url, net::FormValues query) {
    std::vector<json::value> all;
    query.Add("limit", "100");
    std::string next;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      net::FormValues with_page = query;
      if (!next.empty()) with_page.Add("page", next);
      NARTHEX_CO_TRY(const Page page, co_await Ask(url + "?" + with_page.Encode()));
      if (page.body.is_array()) {
        for (const json::value& element : page.body.get_array()) all.push_back(element);
      }
      next = page.next;
      if (next.empty()) break;
    }
    co_return all;
  }

  Async<Result<Page>> Ask(std::string url) {
    FetchRequest request = api().Get(url);
    NARTHEX_CO_TRY(net::HeaderFields signature,
                   SignOciGet(url, key_, Clock::System().NowNanos() / kNanosPerSecond));
    for (auto& field : signature) request.headers.push_back(std::move(field));
    NARTHEX_CO_TRY(const FetchResponse answer, co_await api().Send(std::move(request)));
    boost::system::error_code error;
    Page page{json::parse(answer.body, error), std::string(answer.Header("opc-next-page"))};
    if (answer.status_code / 100 != 2) {
      co_return MakeError(ErrorCode::kUnavailable,
                          "Error returned by Service. Http Status Code: {}. Error Code: {}. "
                          "Message: {}",
                          answer.status_code, error ? "" : Text(page.body, "code"),
                          error ? answer.status : Text(page.body, "message"));
    }
    if (error) co_return MakeError(ErrorCode::kInvalidInput, "{}", error.message());
    co_return page;
  }

  TargetLabels InstanceTarget(const json::value& instance, const NetworkCard& card) const {
    std::string ipv6;
    if (!card.ipv6.empty()) ipv6 = "," + Join(card.ipv6, ",") + ",";
    TextMap labels = {
        {std::string(kAddressLabel), JoinHostPort(card.Address(), config_.port)},
        {"__meta_oci_instance_id", Text(instance, "id")},
        {"__meta_oci_instance_name", Text(instance, "displayName")},
        {"__meta_oci_instance_state", Text(instance, "lifecycleState")},
        {"__meta_oci_instance_shape", Text(instance, "shape")},
        {"__meta_oci_availability_domain", Text(instance, "availabilityDomain")},
        {"__meta_oci_fault_domain", Text(instance, "faultDomain")},
        {"__meta_oci_region", Text(instance, "region")},
        {"__meta_oci_tenancy_id", config_.tenancy},
        {"__meta_oci_compartment_id", Text(instance, "compartmentId")},
        {"__meta_oci_image_id", Text(instance, "imageId")},
        {"__meta_oci_vnic_id", card.id},
        {"__meta_oci_private_ip", card.private_ip},
        {"__meta_oci_public_ip", card.public_ip},
        {"__meta_oci_hostname_label", card.hostname},
        {"__meta_oci_ipv6_addresses", ipv6},
    };
    const auto set_tags = [&](const json::value& tags, const std::string& prefix) {
      if (!tags.is_object()) return;
      for (const auto& tag : tags.get_object()) {
        if (std::optional<std::string> text = TagText(tag.value())) {
          labels[prefix + SanitizeLabelName({tag.key().data(), tag.key().size()})] = *text;
        }
      }
    };
    set_tags(Member(instance, "freeformTags"), "__meta_oci_tag_");
    if (const json::value& spaces = Member(instance, "definedTags"); spaces.is_object()) {
      for (const auto& space : spaces.get_object()) {
        set_tags(space.value(), "__meta_oci_defined_tag_" +
                                    SanitizeLabelName({space.key().data(), space.key().size()}) +
                                    "_");
      }
    }
    return ToTarget(std::move(labels));
  }

  const OciSdConfig config_;
  const OciKey key_;
  const std::string compute_;
  const std::string identity_;
};

// Key and passphrase are read once, when the entry is loaded, as upstream does.
Result<OciKey> ReadKey(const OciSdConfig& config) {
  const std::string failed = "oci_sd: failed to build configuration provider: ";
  if (config.auth == "instance_principal") {
    return MakeError(ErrorCode::kUnsupported,
                     "{}authentication by instance_principal is not supported yet", failed);
  }
  OciKey key;
  key.id = fmt::format("{}/{}/{}", config.tenancy, config.user, config.fingerprint);
  Result<std::string> pem = FileSystem::Posix().ReadAll(config.key_file);
  if (!pem.ok()) {
    return pem.status().WithPrefix(
        fmt::format("{}reading OCI key file {}: ", failed, GoQuote(config.key_file)));
  }
  key.private_key_pem = *std::move(pem);
  key.passphrase = config.key_passphrase.value;
  if (!config.key_passphrase_file.empty()) {
    Result<std::string> text = FileSystem::Posix().ReadAll(config.key_passphrase_file);
    if (!text.ok()) {
      return text.status().WithPrefix(fmt::format("{}reading OCI key passphrase file {}: ", failed,
                                                  GoQuote(config.key_passphrase_file)));
    }
    key.passphrase = *std::move(text);
    while (key.passphrase.ends_with('\n') || key.passphrase.ends_with('\r')) {
      key.passphrase.pop_back();
    }
  }
  return key;
}

Result<std::unique_ptr<Discoverer>> MakeOciDiscoverer(const OciSdConfig& config,
                                                      const std::string& set_name,
                                                      DiscoveryEnvironment& environment) {
  NARTHEX_TRY(OciKey key, ReadKey(config));
  return std::unique_ptr<Discoverer>(
      new OciDiscoverer(config, set_name, environment, std::move(key)));
}

}  // namespace

void RegisterOciDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<OciSdConfig>(registry, "oci", MakeOciDiscoverer);
}

}  // namespace narthex
