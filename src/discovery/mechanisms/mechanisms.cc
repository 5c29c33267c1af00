#include "discovery/mechanisms/mechanisms.h"

#include "discovery/aws/aws_discovery.h"
#include "discovery/azure/azure_discoverer.h"
#include "discovery/consul/consul_discoverer.h"
#include "discovery/digitalocean/digitalocean_discoverer.h"
#include "discovery/dns/dns_discoverer.h"
#include "discovery/eureka/eureka_discoverer.h"
#include "discovery/file/file_discoverer.h"
#include "discovery/gce/gce_discoverer.h"
#include "discovery/hetzner/hetzner_discoverer.h"
#include "discovery/http/http_discoverer.h"
#include "discovery/ionos/ionos_discoverer.h"
#include "discovery/kubernetes/kubernetes_discoverer.h"
#include "discovery/kuma/kuma_discoverer.h"
#include "discovery/linode/linode_discoverer.h"
#include "discovery/marathon/marathon_discoverer.h"
#include "discovery/moby/docker_discoverer.h"
#include "discovery/moby/swarm_discoverer.h"
#include "discovery/nomad/nomad_discoverer.h"
#include "discovery/oci/oci_discoverer.h"
#include "discovery/openstack/openstack_discoverer.h"
#include "discovery/outscale/outscale_discoverer.h"
#include "discovery/ovhcloud/ovhcloud_discoverer.h"
#include "discovery/puppetdb/puppetdb_discoverer.h"
#include "discovery/scaleway/scaleway_discoverer.h"
#include "discovery/stackit/stackit_discoverer.h"
#include "discovery/static/static_discoverer.h"
#include "discovery/triton/triton_discoverer.h"
#include "discovery/uyuni/uyuni_discoverer.h"
#include "discovery/vultr/vultr_discoverer.h"
#include "discovery/zookeeper/zookeeper_discoverer.h"

namespace narthex {

void RegisterBuiltinMechanisms(DiscoveryRegistry& registry) {
  RegisterStaticDiscovery(registry);
  RegisterFileDiscovery(registry);
  RegisterHttpDiscovery(registry);
  RegisterDnsDiscovery(registry);
  RegisterKubernetesDiscovery(registry);
  RegisterNomadDiscovery(registry);
  RegisterAwsDiscovery(registry);
  RegisterConsulDiscovery(registry);
  RegisterDigitaloceanDiscovery(registry);
  RegisterDockerDiscovery(registry);
  RegisterDockerSwarmDiscovery(registry);
  RegisterEurekaDiscovery(registry);
  RegisterGceDiscovery(registry);
  RegisterHetznerDiscovery(registry);
  RegisterIonosDiscovery(registry);
  RegisterLinodeDiscovery(registry);
  RegisterMarathonDiscovery(registry);
  RegisterPuppetdbDiscovery(registry);
  RegisterAzureDiscovery(registry);
  RegisterOvhcloudDiscovery(registry);
  RegisterScalewayDiscovery(registry);
  RegisterStackitDiscovery(registry);
  RegisterTritonDiscovery(registry);
  RegisterKumaDiscovery(registry);
  RegisterOciDiscovery(registry);
  RegisterOpenstackDiscovery(registry);
  RegisterOutscaleDiscovery(registry);
  RegisterUyuniDiscovery(registry);
  RegisterVultrDiscovery(registry);
  RegisterZookeeperDiscovery(registry);
}

}  // namespace narthex
