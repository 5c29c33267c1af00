// file_sd_configs: target groups from JSON and YAML files.
//
// Files are read again when something happens in their folders and, as a safety net, every refresh
// interval. A file that cannot be read or understood keeps the groups that it had; one that is gone
// loses them. Every group carries the label __meta_filepath.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterFileDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
