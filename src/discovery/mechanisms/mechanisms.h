// The mechanisms that are built in. One line a mechanism in mechanisms.cc.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterBuiltinMechanisms(DiscoveryRegistry& registry);

}  // namespace narthex
