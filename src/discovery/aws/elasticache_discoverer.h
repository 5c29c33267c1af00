// Nodes of ElastiCache clusters, and serverless caches. Labels: parity/discovery.md, elasticache.
#pragma once

#include <memory>
#include <string>

#include "config/sd_mechanisms.h"
#include "discovery/discoverer.h"

namespace narthex {

std::unique_ptr<Discoverer> MakeElasticacheDiscoverer(const ElasticacheSdConfig& config,
                                                      std::string set_name,
                                                      DiscoveryEnvironment& environment);

}  // namespace narthex
