#include "discovery/dns/dns_discoverer.h"

#include <mutex>

#include "util/log.h"
#include "util/strings.h"

namespace narthex {

namespace {

DnsRecordType TypeOf(std::string_view text) {
  const std::string upper = ToUpper(text);
  if (upper == "A") return DnsRecordType::kA;
  if (upper == "AAAA") return DnsRecordType::kAaaa;
  if (upper == "MX") return DnsRecordType::kMx;
  if (upper == "NS") return DnsRecordType::kNs;
  return DnsRecordType::kSrv;
}

// The answers of one refresh, which arrive from the resolver's thread in any order.
struct Round {
  std::mutex mutex;
  size_t waiting = 0;
  std::vector<TargetGroup> groups;
};

class DnsDiscoverer : public RefreshDiscoverer {
 public:
  DnsDiscoverer(const DnsSdConfig& config, std::string set_name, DiscoveryEnvironment& environment)
      : RefreshDiscoverer("dns", std::move(set_name), config.refresh_interval.nanos, environment),
        config_(config) {}

 private:
  void Refresh(Done done) override {
    auto round = std::make_shared<Round>();
    round->waiting = config_.names.size();
    for (const std::string& name : config_.names) {
      environment().dns->Resolve(
          name, TypeOf(config_.type),
          [round, done, name, port = config_.port,
           metrics = environment().metrics](Result<std::vector<DnsRecord>> records) {
            if (metrics != nullptr) {
              metrics->Add("prometheus_sd_dns_lookups_total", {});
              metrics->Add("prometheus_sd_dns_lookup_failures_total", {}, records.ok() ? 0 : 1);
            }
            const std::lock_guard lock(round->mutex);
            if (records.ok()) {
              round->groups.push_back(MakeDnsGroup(name, *records, port));
            } else if (records.status().code() != ErrorCode::kCanceled) {
              LOG_ERROR("Error refreshing DNS targets", {"err", records.status().message()});
            }
            if (--round->waiting == 0) done(std::move(round->groups));
          });
    }
  }

  const DnsSdConfig config_;
};

}  // namespace

TargetGroup MakeDnsGroup(const std::string& name, const std::vector<DnsRecord>& records,
                         int64_t port) {
  TargetGroup group;
  group.source = name;
  for (const DnsRecord& record : records) {
    const auto label_of = [&](DnsRecordType type) {
      return record.type == type ? record.target : std::string();
    };
    const bool is_srv = record.type == DnsRecordType::kSrv;
    std::string_view host = record.target;
    while (host.ends_with('.')) host.remove_suffix(1);
    group.targets.push_back(
        {{std::string(kAddressLabel), JoinHostPort(host, is_srv ? record.port : port)},
         {"__meta_dns_mx_record_target", label_of(DnsRecordType::kMx)},
         {"__meta_dns_name", name},
         {"__meta_dns_ns_record_target", label_of(DnsRecordType::kNs)},
         {"__meta_dns_srv_record_port", is_srv ? std::to_string(record.port) : ""},
         {"__meta_dns_srv_record_target", label_of(DnsRecordType::kSrv)}});
  }
  return group;
}

void RegisterDnsDiscovery(DiscoveryRegistry& registry) {
  registry.Register("dns",
                    [](const SdConfig& config, const std::string& set_name,
                       DiscoveryEnvironment& environment) -> Result<std::unique_ptr<Discoverer>> {
                      if (environment.dns == nullptr) {
                        return MakeError(ErrorCode::kUnsupported, "there is no DNS resolver");
                      }
                      return std::unique_ptr<Discoverer>(
                          new DnsDiscoverer(*config.As<DnsSdConfig>(), set_name, environment));
                    });
}

}  // namespace narthex
