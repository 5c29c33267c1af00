#include "discovery/aws/aws_discovery.h"

#include "discovery/aws/ec2_discoverer.h"
#include "discovery/aws/ecs_discoverer.h"
#include "discovery/aws/elasticache_discoverer.h"
#include "discovery/aws/lightsail_discoverer.h"
#include "discovery/aws/msk_discoverer.h"
#include "discovery/aws/rds_discoverer.h"
#include "discovery/http/api_client.h"
#include "util/strings.h"

namespace narthex {

namespace {

// The role's own entry with what the common one sets.
template <typename Config>
Config RoleConfig(const AwsSdConfig& common) {
  Config config;
  config.region = common.region;
  config.endpoint = common.endpoint;
  config.access_key = common.access_key;
  config.secret_key = common.secret_key;
  config.profile = common.profile;
  config.role_arn = common.role_arn;
  config.external_id = common.external_id;
  config.http_client = common.http_client;
  if (common.port != 0) config.port = common.port;
  if (common.refresh_interval.nanos != 0) config.refresh_interval = common.refresh_interval;
  return config;
}

template <typename Config>
Config WithClusters(const AwsSdConfig& common) {
  Config config = RoleConfig<Config>(common);
  config.clusters = common.clusters;
  return config;
}

Result<std::unique_ptr<Discoverer>> MakeByRole(const AwsSdConfig& common,
                                               const std::string& set_name,
                                               DiscoveryEnvironment& environment) {
  if (common.role == "ec2") {
    Ec2SdConfig config = RoleConfig<Ec2SdConfig>(common);
    config.filters = common.filters;
    return MakeEc2Discoverer(config, set_name, environment);
  }
  if (common.role == "lightsail") {
    return MakeLightsailDiscoverer(RoleConfig<LightsailSdConfig>(common), set_name, environment);
  }
  if (common.role == "ecs") {
    return MakeEcsDiscoverer(WithClusters<EcsSdConfig>(common), set_name, environment);
  }
  if (common.role == "elasticache") {
    return MakeElasticacheDiscoverer(WithClusters<ElasticacheSdConfig>(common), set_name,
                                     environment);
  }
  if (common.role == "msk") {
    return MakeMskDiscoverer(WithClusters<MskSdConfig>(common), set_name, environment);
  }
  if (common.role == "rds") {
    RdsSdConfig config = WithClusters<RdsSdConfig>(common);
    config.filters = common.filters;
    return MakeRdsDiscoverer(config, set_name, environment);
  }
  return MakeError(ErrorCode::kInvalidInput, "unknown AWS SD role {}", GoQuote(common.role));
}

}  // namespace

void RegisterAwsDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<AwsSdConfig>(registry, "aws", MakeByRole);
  RegisterApiMechanism<Ec2SdConfig>(registry, "ec2", MakeEc2Discoverer);
  RegisterApiMechanism<EcsSdConfig>(registry, "ecs", MakeEcsDiscoverer);
  RegisterApiMechanism<ElasticacheSdConfig>(registry, "elasticache", MakeElasticacheDiscoverer);
  RegisterApiMechanism<LightsailSdConfig>(registry, "lightsail", MakeLightsailDiscoverer);
  RegisterApiMechanism<MskSdConfig>(registry, "msk", MakeMskDiscoverer);
  RegisterApiMechanism<RdsSdConfig>(registry, "rds", MakeRdsDiscoverer);
}

}  // namespace narthex
