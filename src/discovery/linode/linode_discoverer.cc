#include "discovery/linode/linode_discoverer.h"

#include <ctime>

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"
#include "util/log.h"
#include "util/time.h"

namespace narthex {

namespace {

constexpr std::string_view kApi = "https://api.linode.com/v4";
constexpr int kPagesMax = 10'000;
// After so many intervals without a change everything is asked anew, for what no event tells.
constexpr int kPollsMax = 10;

// What is known of an address beside the instance that has it.
struct Address {
  std::string text;
  std::string rdns;
  bool is_public = false;
};

struct Lists {
  json::array instances;
  std::multimap<std::string, Address> addresses;
  std::multimap<std::string, std::string> ipv6_ranges;  // By the address they are routed to.
};

// "2006-01-02T15:04:05" in UTC, as the filter of events wants it.
std::string EventTime(int64_t nanos) {
  const auto seconds = static_cast<time_t>(nanos / kNanosPerSecond);
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts)};
}

Lists Index(json::array instances, const json::array& addresses, const json::array& ranges) {
  Lists lists;
  lists.instances = std::move(instances);
  for (const json::value& address : addresses) {
    std::string rdns = Text(address, "rdns");
    if (rdns == "null") rdns.clear();
    const std::string text = Text(address, "address");
    lists.addresses.emplace(text, Address{text, std::move(rdns), Bool(address, "public")});
  }
  for (const json::value& range : ranges) {
    lists.ipv6_ranges.emplace(Text(range, "route_target"),
                              fmt::format("{}/{}", Text(range, "range"), Int(range, "prefix")));
  }
  return lists;
}

TargetLabels InstanceTarget(const json::value& instance, const Lists& lists,
                            const LinodeSdConfig& config) {
  Address public_ipv4;
  Address private_ipv4;
  Address public_ipv6;
  std::vector<std::string> extra_ips;
  std::vector<std::string> ipv6_ranges;
  for (const std::string& ip : Texts(Array(instance, "ipv4"))) {
    const auto [begin, end] = lists.addresses.equal_range(ip);
    for (auto found = begin; found != end; ++found) {
      Address& slot = found->second.is_public ? public_ipv4 : private_ipv4;
      if (slot.text.empty()) {
        slot = found->second;
      } else {
        extra_ips.push_back(ip);
      }
    }
  }
  if (const std::string ipv6 = Text(instance, "ipv6"); !ipv6.empty()) {
    const std::string own = ipv6.substr(0, ipv6.find('/'));
    const auto [begin, end] = lists.addresses.equal_range(own);
    for (auto found = begin; found != end; ++found) {
      public_ipv6.text = own;
      if (!found->second.rdns.empty()) public_ipv6.rdns = found->second.rdns;
    }
    const auto [first, last] = lists.ipv6_ranges.equal_range(own);
    for (auto range = first; range != last; ++range) ipv6_ranges.push_back(range->second);
  }
  const json::value& specs = Member(instance, "specs");
  const auto mebibytes = [&](std::string_view name) {
    return std::to_string(Int(specs, name) << 20);
  };
  TextMap labels = {
      {std::string(kAddressLabel), JoinHostPort(public_ipv4.text, config.port)},
      {"__meta_linode_backups",
       Bool(Member(instance, "backups"), "enabled") ? "enabled" : "disabled"},
      {"__meta_linode_gpus", std::to_string(Int(specs, "gpus"))},
      {"__meta_linode_group", Text(instance, "group")},
      {"__meta_linode_hypervisor", Text(instance, "hypervisor")},
      {"__meta_linode_image", Text(instance, "image")},
      {"__meta_linode_instance_id", std::to_string(Int(instance, "id"))},
      {"__meta_linode_instance_label", Text(instance, "label")},
      {"__meta_linode_private_ipv4", private_ipv4.text},
      {"__meta_linode_private_ipv4_rdns", private_ipv4.rdns},
      {"__meta_linode_public_ipv4", public_ipv4.text},
      {"__meta_linode_public_ipv4_rdns", public_ipv4.rdns},
      {"__meta_linode_public_ipv6", public_ipv6.text},
      {"__meta_linode_public_ipv6_rdns", public_ipv6.rdns},
      {"__meta_linode_region", Text(instance, "region")},
      {"__meta_linode_specs_disk_bytes", mebibytes("disk")},
      {"__meta_linode_specs_memory_bytes", mebibytes("memory")},
      {"__meta_linode_specs_transfer_bytes", mebibytes("transfer")},
      {"__meta_linode_specs_vcpus", std::to_string(Int(specs, "vcpus"))},
      {"__meta_linode_status", Text(instance, "status")},
      {"__meta_linode_type", Text(instance, "type")},
  };
  SetList("__meta_linode_tags", Texts(Array(instance, "tags")), config.tag_separator, &labels);
  SetList("__meta_linode_extra_ips", extra_ips, config.tag_separator, &labels);
  SetList("__meta_linode_ipv6_ranges", ipv6_ranges, config.tag_separator, &labels);
  return ToTarget(std::move(labels));
}

class LinodeDiscoverer : public ApiDiscoverer {
 public:
  LinodeDiscoverer(const LinodeSdConfig& config, std::string set_name,
                   DiscoveryEnvironment& environment)
      : ApiDiscoverer("linode", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config) {
    if (!config_.region.empty()) filter_ = fmt::format(R"({{"region": "{}"}})", config_.region);
  }

 private:
  Async<Groups> FetchGroups() override {
    const int64_t asked_nanos = Clock::System().NowNanos();
    if (last_asked_nanos_ != 0 && polls_events_) {
      NARTHEX_CO_TRY(const bool changed, co_await PollEvents());
      if (!changed) {
        last_asked_nanos_ = asked_nanos;
        co_return std::vector<TargetGroup>();  // Everything stays as it is.
      }
    }
    Groups groups = co_await FetchAll();
    if (groups.ok()) {
      polls_ = 0;
      last_asked_nanos_ = asked_nanos;
    } else {
      Count("prometheus_sd_linode_failures_total");
    }
    co_return groups;
  }

  // Whether something may have happened since the last look.
  Async<Result<bool>> PollEvents() {
    FetchRequest request = api().Get(std::string(kApi) + "/account/events?page=1&page_size=25");
    request.headers.emplace_back("X-Filter", fmt::format(R"({{"created": {{"+gte": "{}"}}}})",
                                                         EventTime(last_asked_nanos_)));
    NARTHEX_CO_TRY(const FetchResponse answer, co_await api().Send(std::move(request)));
    if (answer.status_code == 401) {
      // The token may not read events: from now on everything is asked every time.
      polls_events_ = false;
      co_return true;
    }
    if (answer.status_code / 100 != 2) {
      co_return MakeError(ErrorCode::kUnavailable, "[{}] {}", answer.status_code,
                          answer.body.substr(0, 512));
    }
    NARTHEX_CO_TRY(const json::object events, ParseJsonObject(answer.body));
    ++polls_;
    co_return !Array(events, "data").empty() || polls_ >= kPollsMax;
  }

  Async<Groups> FetchAll() {
    NARTHEX_CO_TRY(json::array instances, co_await FetchList("/linode/instances"));
    NARTHEX_CO_TRY(const json::array addresses, co_await FetchList("/networking/ips"));
    NARTHEX_CO_TRY(const json::array ranges, co_await FetchList("/networking/ipv6/ranges"));
    const Lists lists = Index(std::move(instances), addresses, ranges);
    std::vector<TargetGroup> groups(1);
    groups[0].source = "Linode";
    for (const json::value& instance : lists.instances) {
      if (Array(instance, "ipv4").empty()) continue;
      groups[0].targets.push_back(InstanceTarget(instance, lists, config_));
    }
    co_return groups;
  }

  Async<Result<json::array>> FetchList(std::string path) {
    json::array all;
    int64_t pages = 1;
    for (int64_t page = 1; page <= std::min<int64_t>(pages, kPagesMax); ++page) {
      FetchRequest request = api().Get(fmt::format("{}{}?page={}&page_size=500", kApi, path, page));
      if (!filter_.empty()) request.headers.emplace_back("X-Filter", filter_);
      NARTHEX_CO_TRY(const json::value answer, co_await FetchJson(api(), std::move(request)));
      for (const json::value& item : Array(answer, "data")) all.push_back(item);
      pages = Int(answer, "pages");
    }
    co_return all;
  }

  const LinodeSdConfig config_;
  std::string filter_;
  int64_t last_asked_nanos_ = 0;  // 0: never with success.
  int polls_ = 0;
  bool polls_events_ = true;
};

}  // namespace

void RegisterLinodeDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<LinodeDiscoverer, LinodeSdConfig>(registry, "linode");
}

}  // namespace narthex
