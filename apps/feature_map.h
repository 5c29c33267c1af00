// What /api/v1/features says that this server can do.
#pragma once

#include "apps/server_options.h"
#include "discovery/discoverer.h"
#include "web/api_sources.h"

namespace narthex::apps {

web::FeatureMap DescribeFeatures(const ServerOptions& options, const Features& features,
                                 const DiscoveryRegistry& discovery);

}  // namespace narthex::apps
