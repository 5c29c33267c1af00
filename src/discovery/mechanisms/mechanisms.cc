#include "discovery/mechanisms/mechanisms.h"

#include "discovery/dns/dns_discoverer.h"
#include "discovery/file/file_discoverer.h"
#include "discovery/http/http_discoverer.h"
#include "discovery/kubernetes/kubernetes_discoverer.h"
#include "discovery/nomad/nomad_discoverer.h"
#include "discovery/static/static_discoverer.h"

namespace narthex {

void RegisterBuiltinMechanisms(DiscoveryRegistry& registry) {
  RegisterStaticDiscovery(registry);
  RegisterFileDiscovery(registry);
  RegisterHttpDiscovery(registry);
  RegisterDnsDiscovery(registry);
  RegisterKubernetesDiscovery(registry);
  RegisterNomadDiscovery(registry);
}

}  // namespace narthex
