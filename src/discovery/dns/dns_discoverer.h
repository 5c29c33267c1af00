// dns_sd_configs: targets from SRV, A, AAAA, MX and NS records.
//
// Each name is a group of its own. A name whose look-up fails keeps its targets; one that does not
// exist loses them. The __meta_dns_* labels are always there, empty where they do not apply.
#pragma once

#include "discovery/discoverer.h"
#include "discovery/dns/resolver.h"

namespace narthex {

void RegisterDnsDiscovery(DiscoveryRegistry& registry);

// The group of one name. `port` counts for all types but SRV.
TargetGroup MakeDnsGroup(const std::string& name, const std::vector<DnsRecord>& records,
                         int64_t port);

}  // namespace narthex
