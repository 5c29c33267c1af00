// The entries of the `*_sd_configs` lists beyond static, file, http and dns (those are in
// sd_config.h), with upstream's keys and defaults. What the keys mean is written once, in
// parity/discovery.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/http_client_config.h"
#include "config/url.h"
#include "config/values.h"

namespace narthex {

struct AwsFilter {
  std::string name;
  std::vector<std::string> values;
};
struct DockerFilter {
  std::string name;
  std::vector<std::string> values;
};

// A key that upstream's struct has by accident: any value is accepted, and it prints as null.
struct IgnoredValue {};

struct KubernetesNamespaces {
  bool own_namespace = false;
  std::vector<std::string> names;
};
struct KubernetesSelector {
  std::string role;
  std::string label;
  std::string field;
};
struct KubernetesAttachMetadata {
  bool node = false;
  bool namespace_ = false;
  bool deployment = false;
  bool job = false;
  bool cronjob = false;
};

// ---- Amazon: `role` of aws_sd_configs chooses among the others, which also have lists of their
// own.

struct AwsSdConfig {
  std::string role;
  std::string region;
  std::string endpoint;
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  Duration refresh_interval;
  int64_t port = 0;
  HttpClientConfig http_client;
  std::vector<AwsFilter> filters;
  std::vector<std::string> clusters;
};

struct Ec2SdConfig {
  std::string endpoint;
  std::string region;
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  Duration refresh_interval = Seconds(60);
  int64_t port = 80;
  std::vector<AwsFilter> filters;
  HttpClientConfig http_client;
};

struct EcsSdConfig {
  std::string region;
  std::string endpoint;
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  std::vector<std::string> clusters;
  int64_t port = 80;
  Duration refresh_interval = Seconds(60);
  int64_t request_concurrency = 20;
  HttpClientConfig http_client;
};

struct ElasticacheSdConfig {
  std::string region;
  std::string endpoint;
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  std::vector<std::string> clusters;
  int64_t port = 80;
  Duration refresh_interval = Seconds(60);
  int64_t request_concurrency = 10;
  HttpClientConfig http_client;
};

struct LightsailSdConfig {
  std::string endpoint;
  std::string region;
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  Duration refresh_interval = Seconds(60);
  int64_t port = 80;
  HttpClientConfig http_client;
};

struct MskSdConfig {
  std::string region;
  std::string endpoint;
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  std::vector<std::string> clusters;
  int64_t port = 80;
  Duration refresh_interval = Seconds(60);
  int64_t request_concurrency = 10;
  HttpClientConfig http_client;
};

struct RdsSdConfig {
  std::string region;
  std::string endpoint;
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  std::vector<std::string> clusters;
  int64_t port = 80;
  Duration refresh_interval = Seconds(60);
  std::vector<AwsFilter> filters;
  int64_t request_concurrency = 10;
  HttpClientConfig http_client;
};

// ---- Clouds.

struct AzureSdConfig {
  std::string environment = "AzurePublicCloud";
  int64_t port = 80;
  std::string subscription_id;
  std::string tenant_id;
  std::string client_id;
  Secret client_secret;
  Duration refresh_interval = Minutes(5);
  std::string authentication_method = "OAuth";
  std::string resource_group;
  HttpClientConfig http_client;
};

struct GceSdConfig {
  std::string project;
  std::string zone;
  std::string filter;
  Duration refresh_interval = Seconds(60);
  int64_t port = 80;
  std::string tag_separator = ",";
};

struct DigitalOceanSdConfig {
  HttpClientConfig http_client;
  Duration refresh_interval = Seconds(60);
  int64_t port = 80;
  std::string role = "droplets";
  IgnoredValue httpclient;
};

struct HetznerSdConfig {
  HttpClientConfig http_client;
  Duration refresh_interval = Seconds(60);
  int64_t port = 80;
  std::string role;
  std::string label_selector;
};

struct IonosSdConfig {
  std::string datacenter_id;
  HttpClientConfig http_client;
  Duration refresh_interval = Seconds(60);
  int64_t port = 80;
};

struct LinodeSdConfig {
  HttpClientConfig http_client;
  Duration refresh_interval = Seconds(60);
  int64_t port = 80;
  std::string tag_separator = ",";
  std::string region;
};

struct OciSdConfig {
  std::string auth = "api_key";
  std::string tenancy;
  std::string user;
  std::string fingerprint;
  std::string key_file;
  Secret key_passphrase;
  std::string key_passphrase_file;
  std::string region;
  std::vector<std::string> compartments;
  HttpClientConfig http_client;
  int64_t port = 80;
  Duration refresh_interval = Seconds(60);
};

struct OutscaleSdConfig {
  std::string endpoint;
  std::string region = "eu-west-2";
  std::string access_key;
  Secret secret_key;
  std::string secret_key_file;
  Duration refresh_interval = Seconds(60);
  int64_t port = 80;
  HttpClientConfig http_client;
};

struct OvhcloudSdConfig {
  std::string endpoint = "ovh-eu";
  std::string application_key;
  Secret application_secret;
  Secret consumer_key;
  Duration refresh_interval = Seconds(60);
  std::string service;
};

struct ScalewaySdConfig {
  std::string project_id;
  std::string api_url = "https://api.scaleway.com";
  std::string zone = "fr-par-1";
  std::string access_key;
  Secret secret_key;
  std::string secret_key_file;
  std::string name_filter;
  std::vector<std::string> tags_filter;
  HttpClientConfig http_client;
  Duration refresh_interval = Seconds(60);
  int64_t port = 80;
  std::string role;
};

struct StackitSdConfig {
  HttpClientConfig http_client;
  std::string project;
  Duration refresh_interval = Seconds(60);
  int64_t port = 80;
  std::string region = "eu01";
  std::string endpoint;
  Secret service_account_key;
  Secret private_key;
  std::string service_account_key_path;
  std::string private_key_path;
  std::string credentials_file_path;
};

struct VultrSdConfig {
  HttpClientConfig http_client;
  Duration refresh_interval = Seconds(60);
  int64_t port = 80;
};

struct OpenstackSdConfig {
  std::string identity_endpoint;
  std::string username;
  std::string userid;
  Secret password;
  std::string project_name;
  std::string project_id;
  std::string domain_name;
  std::string domain_id;
  std::string application_credential_name;
  std::string application_credential_id;
  Secret application_credential_secret;
  std::string role;
  std::string region;
  Duration refresh_interval = Seconds(60);
  int64_t port = 80;
  bool all_tenants = false;
  TlsConfig tls_config;
  std::string availability = "public";
};

// ---- Registries, orchestrators and inventories.

struct ConsulSdConfig {
  std::string server = "localhost:8500";
  std::string path_prefix;
  Secret token;
  std::string datacenter;
  std::string namespace_;
  std::string partition;
  std::string tag_separator = ",";
  std::string scheme = "http";
  std::string username;
  Secret password;
  bool allow_stale = true;
  Duration refresh_interval = Seconds(30);
  std::vector<std::string> services;
  std::vector<std::string> tags;
  TextMap node_meta;
  std::string filter;
  std::string health_filter;
  HttpClientConfig http_client;
};

struct KubernetesSdConfig {
  std::optional<Url> api_server;
  std::string role;
  std::string kubeconfig_file;
  HttpClientConfig http_client;
  KubernetesNamespaces namespaces;
  std::vector<KubernetesSelector> selectors;
  KubernetesAttachMetadata attach_metadata;
};

struct DockerSdConfig {
  HttpClientConfig http_client;
  std::string host;
  int64_t port = 80;
  std::vector<DockerFilter> filters;
  std::string host_networking_host = "localhost";
  Duration refresh_interval = Seconds(60);
  bool match_first_network = true;
};

struct DockerSwarmSdConfig {
  HttpClientConfig http_client;
  std::string host;
  std::string role;
  int64_t port = 80;
  std::vector<DockerFilter> filters;
  Duration refresh_interval = Seconds(60);
};

struct NomadSdConfig {
  bool allow_stale = true;
  HttpClientConfig http_client;
  std::string namespace_ = "default";
  Duration refresh_interval = Seconds(60);
  std::string region = "global";
  std::string server = "http://localhost:4646";
  std::string tag_separator = ",";
};

struct MarathonSdConfig {
  std::vector<std::string> servers;
  Duration refresh_interval = Seconds(30);
  Secret auth_token;
  std::string auth_token_file;
  HttpClientConfig http_client;
};

struct KumaSdConfig {
  HttpClientConfig http_client;
  Duration refresh_interval = Seconds(15);
  Duration fetch_timeout = Minutes(2);
  std::string server;
  std::string client_id;
};

struct EurekaSdConfig {
  std::string server;
  HttpClientConfig http_client;
  Duration refresh_interval = Seconds(30);
};

struct ServersetSdConfig {
  std::vector<std::string> servers;
  std::vector<std::string> paths;
  Duration timeout = Seconds(10);
};

struct NerveSdConfig {
  std::vector<std::string> servers;
  std::vector<std::string> paths;
  Duration timeout = Seconds(10);
};

struct PuppetdbSdConfig {
  HttpClientConfig http_client;
  Duration refresh_interval = Seconds(60);
  std::string url;
  std::string query;
  bool include_parameters = false;
  int64_t port = 80;
};

struct TritonSdConfig {
  std::string account;
  std::string role = "container";
  std::string dns_suffix;
  std::string endpoint;
  std::vector<std::string> groups;
  int64_t port = 9163;
  Duration refresh_interval = Seconds(60);
  TlsConfig tls_config;
  int64_t version = 1;
};

struct UyuniSdConfig {
  std::string server;
  std::string username;
  Secret password;
  HttpClientConfig http_client;
  std::string entitlement = "monitoring_entitled";
  std::string separator = ",";
  Duration refresh_interval = Minutes(1);
};

}  // namespace narthex
