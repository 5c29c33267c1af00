// The server's configuration (prometheus.yml) in its parsed, checked and completed form.
//
//   prometheus.yml ──LoadConfigFile──▶ Config ──PrintConfig──▶ /api/v1/status/config
//                                        │
//                                        └─ ResolveScrapeConfigs: + scrape_config_files
//
// Everything here has its effective value: jobs carry the global defaults that they inherit, and
// relative file names are joined to the folder of the file that names them. A Config never changes
// after loading; share it as shared_ptr<const Config>.
//
// Keys, defaults, checks and error texts follow Prometheus 3.16: parity/config.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/http_client_config.h"
#include "config/sd_config.h"
#include "config/url.h"
#include "config/values.h"
#include "model/labels.h"
#include "model/relabel.h"
#include "util/file.h"
#include "util/log.h"
#include "util/status.h"

namespace narthex {

// What a target may be asked for, best first.
using ScrapeProtocol = std::string;
inline constexpr std::string_view kPrometheusProto = "PrometheusProto";
inline constexpr std::string_view kPrometheusText004 = "PrometheusText0.0.4";
inline constexpr std::string_view kPrometheusText100 = "PrometheusText1.0.0";
inline constexpr std::string_view kOpenMetricsText001 = "OpenMetricsText0.0.1";
inline constexpr std::string_view kOpenMetricsText100 = "OpenMetricsText1.0.0";
inline constexpr std::string_view kOpenMetricsText200 = "OpenMetricsText2.0.0";
// The media type with parameters that stands for a protocol in Accept; "" for an unknown one.
std::string_view ScrapeProtocolMediaType(std::string_view protocol);

struct GlobalConfig {
  Duration scrape_interval = Minutes(1);
  Duration scrape_timeout = Seconds(10);
  std::vector<ScrapeProtocol> scrape_protocols;  // Empty: see ScrapeConfig.
  Duration evaluation_interval = Minutes(1);
  Duration rule_query_offset;
  std::string query_log_file;
  // Limits of one query, applied with the feature query-cost; 0: no limit.
  uint64_t query_max_series = 0;
  uint64_t query_max_samples_read = 0;
  Duration query_max_duration;  // 0: --query.timeout.
  std::string scrape_failure_log_file;
  // After expansion of environment variables. Values may be empty here (they were set to a variable
  // that is not), which is why this is no Labels; external_label_set() is.
  TextMap external_labels;
  ByteSize body_size_limit;
  uint64_t sample_limit = 0;
  uint64_t target_limit = 0;
  uint64_t label_limit = 0;
  uint64_t label_name_length_limit = 0;
  uint64_t label_value_length_limit = 0;
  uint64_t keep_dropped_targets = 0;
  NameValidation metric_name_validation_scheme = NameValidation::kUtf8;
  std::string metric_name_escaping_scheme = "allow-utf-8";
  std::optional<bool> scrape_native_histograms;
  bool convert_classic_histograms_to_nhcb = false;
  bool always_scrape_classic_histograms = false;
  std::optional<bool> extra_scrape_metrics;

  Labels external_label_set() const;
};

struct RuntimeConfig {
  int64_t gogc = 75;  // Accepted and reported; there is no such collector here.
  std::string log_level = "info";
};

struct ScrapeConfig {
  std::string job_name;
  bool honor_labels = false;
  bool honor_timestamps = true;
  bool track_timestamps_staleness = false;
  StringListMap params;
  Duration scrape_interval;
  Duration scrape_timeout;
  std::vector<ScrapeProtocol> scrape_protocols;  // Never empty after loading.
  ScrapeProtocol fallback_scrape_protocol;       // Empty: none.
  // The optionals are all set after loading.
  std::optional<bool> scrape_native_histograms;
  std::optional<bool> always_scrape_classic_histograms;
  std::optional<bool> convert_classic_histograms_to_nhcb;
  std::string scrape_failure_log_file;
  std::string metrics_path = "/metrics";
  std::string scheme = "http";
  bool enable_compression = true;
  ByteSize body_size_limit;
  uint64_t sample_limit = 0;
  uint64_t target_limit = 0;
  uint64_t label_limit = 0;
  uint64_t label_name_length_limit = 0;
  uint64_t label_value_length_limit = 0;
  uint64_t native_histogram_bucket_limit = 0;
  double native_histogram_min_bucket_factor = 0;
  uint64_t keep_dropped_targets = 0;
  NameValidation metric_name_validation_scheme = NameValidation::kUnset;  // Set after loading.
  std::string metric_name_escaping_scheme;                                // Set after loading.
  std::optional<bool> extra_scrape_metrics;
  HttpClientConfig http_client;
  std::vector<RelabelConfig> relabel_configs;
  std::vector<RelabelConfig> metric_relabel_configs;
  // By mechanism in alphabetical order, the static groups last.
  std::vector<SdConfig> service_discovery;
};

struct SigV4Config {
  std::string region;
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  std::string session_name;
  TextMap tags;
  bool use_fips_sts_endpoint = false;
  std::string service_name;
};

struct AlertmanagerConfig {
  HttpClientConfig http_client;
  std::optional<SigV4Config> sigv4;
  std::string scheme = "http";
  std::string path_prefix;
  Duration timeout = Seconds(10);
  std::string api_version = "v2";
  std::vector<RelabelConfig> relabel_configs;
  std::vector<RelabelConfig> alert_relabel_configs;
  std::vector<SdConfig> service_discovery;
};

// Discovery sets and metrics of alertmanagers[i] carry the name "config-<i>".
struct AlertingConfig {
  std::vector<RelabelConfig> alert_relabel_configs;
  std::vector<AlertmanagerConfig> alertmanagers;
};

struct RetentionConfig {
  Duration time;  // 0 in all three: no limit of that kind.
  ByteSize size;
  double percentage = 0;
};

struct ChunkEncodingConfig {
  std::string floats;  // "", "xor" or "xor2".
};

struct TsdbConfig {
  int64_t out_of_order_time_window_ms = 0;
  Duration out_of_order_time_window;
  double stale_series_compaction_threshold = 0;
  ChunkEncodingConfig chunk_encoding;
  std::optional<RetentionConfig> retention;  // Always set after loading.
};

struct ExemplarsConfig {
  int64_t max_exemplars = 100'000;
};

struct StorageConfig {
  std::optional<TsdbConfig> tsdb;  // Always set after loading.
  std::optional<ExemplarsConfig> exemplars;
};

struct TracingConfig {
  std::string client_type;  // "grpc" or "http"; "" when there is no such section.
  std::string endpoint;     // "": tracing is off.
  double sampling_fraction = 0;
  bool insecure = false;
  TlsConfig tls_config;
  TextMap headers;
  std::string compression;
  Duration timeout;
};

struct QueueConfig {
  int64_t capacity = 10'000;
  int64_t max_shards = 50;
  int64_t min_shards = 1;
  int64_t max_samples_per_send = 2'000;
  Duration batch_send_deadline = Seconds(5);
  Duration min_backoff = Milliseconds(30);
  Duration max_backoff = Seconds(5);
  bool retry_on_http_429 = false;
  Duration sample_age_limit;
};

struct MetadataConfig {
  bool send = true;
  Duration send_interval = Minutes(1);
  int64_t max_samples_per_send = 2'000;
};

struct AzureManagedIdentity {
  std::string client_id;
};
struct AzureWorkloadIdentity {
  std::string client_id;
  std::string tenant_id;
  std::string token_file_path;
};
struct AzureOAuth {
  std::string client_id;
  Secret client_secret;
  std::string tenant_id;
};
struct AzureSdk {
  std::string tenant_id;
};
struct AzureCertificate {
  std::string client_id;
  std::string tenant_id;
  std::string certificate_path;
  std::string certificate_key_path;
  Secret certificate_password;
  bool send_certificate_chain = false;
};
struct AzureAdConfig {
  std::optional<AzureManagedIdentity> managed_identity;
  std::optional<AzureWorkloadIdentity> workload_identity;
  std::optional<AzureOAuth> oauth;
  std::optional<AzureSdk> sdk;
  std::optional<AzureCertificate> certificate;
  std::string cloud;
  std::string scope;
};

struct GoogleIamConfig {
  std::string credentials_file;
};

inline constexpr std::string_view kRemoteWriteV1 = "prometheus.WriteRequest";
inline constexpr std::string_view kRemoteWriteV2 = "io.prometheus.write.v2.Request";

struct RemoteWriteConfig {
  std::optional<Url> url;  // Always set after loading.
  Duration remote_timeout = Seconds(30);
  TextMap headers;
  std::vector<RelabelConfig> write_relabel_configs;
  std::string name;
  bool send_exemplars = false;
  bool send_native_histograms = false;
  bool round_robin_dns = false;
  std::string protobuf_message{kRemoteWriteV1};
  bool failed_request_logging = false;
  HttpClientConfig http_client{.enable_http2 = false};
  QueueConfig queue_config;
  MetadataConfig metadata_config;
  std::optional<SigV4Config> sigv4;
  std::optional<AzureAdConfig> azuread;
  std::optional<GoogleIamConfig> google_iam;
  bool convert_nhcb_to_classic = false;
};

struct RemoteReadConfig {
  std::optional<Url> url;  // Always set after loading.
  Duration remote_timeout = Minutes(1);
  uint64_t chunked_read_limit = 50'000'000;
  TextMap headers;
  bool read_recent = false;
  std::string name;
  HttpClientConfig http_client;
  TextMap required_matchers;
  bool filter_external_labels = true;
};

struct OtlpConfig {
  bool promote_all_resource_attributes = false;
  std::vector<std::string> promote_resource_attributes;
  std::vector<std::string> ignore_resource_attributes;
  std::string translation_strategy = "UnderscoreEscapingWithSuffixes";
  bool keep_identifying_resource_attributes = false;
  bool convert_histograms_to_nhcb = false;
  bool promote_scope_metadata = false;
  bool label_name_underscore_sanitization = true;
  bool label_name_preserve_multiple_underscores = true;
};

struct Config {
  GlobalConfig global;
  RuntimeConfig runtime;
  AlertingConfig alerting;
  std::vector<std::string> rule_files;
  std::vector<std::string> scrape_config_files;
  // Those of the main file; ResolveScrapeConfigs() adds those of scrape_config_files.
  std::vector<ScrapeConfig> scrape_configs;
  StorageConfig storage;
  TracingConfig tracing;
  std::vector<RemoteWriteConfig> remote_write;
  std::vector<RemoteReadConfig> remote_read;
  OtlpConfig otlp;
};

// Defaults that come from flags rather than from the file.
struct ConfigDefaults {
  // The features created-timestamp-zero-ingestion and st-storage put protobuf first, as if listed
  // in `global`.
  bool prefer_protobuf = false;
  bool extra_scrape_metrics = false;
  std::string log_level = "info";
  RetentionConfig retention;  // --storage.tsdb.retention.*; stands in when the file has none.
};

struct ConfigLoadOptions {
  bool agent_mode = false;
  ConfigDefaults defaults;
  FileSystem* files = &FileSystem::Posix();
  // Reads environment variables; tests replace it. "" when unset.
  std::function<std::string(const std::string&)> environment;
};

// Parses and validates text; relative paths stay as they are. Errors as upstream's, without the
// name of the file.
Result<Config> ParseConfig(std::string_view yaml, const ConfigLoadOptions& options = {});
// Reads a file: errors carry `parsing YAML file <path>: `, paths are joined to the file's folder.
Result<Config> LoadConfigFile(const std::string& path, const ConfigLoadOptions& options = {});

// A list of relabelling rules alone, each with `scheme` where names are checked.
Result<std::vector<RelabelConfig>> ParseRelabelConfigs(std::string_view yaml,
                                                       NameValidation scheme);

// The YAML format of file discovery. Errors: those of the reader, or `nil target group item found`.
Result<std::vector<StaticGroup>> ParseStaticGroups(std::string_view yaml);

// All scrape configs: those of the main file and, read anew, those of scrape_config_files.
Result<std::vector<ScrapeConfig>> ResolveScrapeConfigs(const Config& config,
                                                       FileSystem& files = FileSystem::Posix());

// Joins every relative file name in it with `directory`.
void SetDirectory(Config& config, std::string_view directory);

// What /api/v1/status/config shows: canonical YAML with secrets hidden.
std::string PrintConfig(const Config& config);
std::string PrintScrapeConfig(const ScrapeConfig& config);
// What upstream hashes (md5) to name queues that have no name and to see whether one changed.
std::string PrintRemoteWriteConfig(const RemoteWriteConfig& config);
std::string PrintRemoteReadConfig(const RemoteReadConfig& config);

// Everything in it, secrets too, as text: two sections are the same configuration exactly when
// these are equal. Reload keeps what did not change. Not for people's eyes.
std::string Fingerprint(const ScrapeConfig& config);
std::string Fingerprint(const AlertmanagerConfig& config);
std::string Fingerprint(const RemoteWriteConfig& config);
std::string Fingerprint(const RemoteReadConfig& config);
std::string Fingerprint(const TracingConfig& config);

// Sections that the file uses and that this build accepts but does not act on yet, for a line in
// the log at start: "remote_write", "tracing", "kubernetes_sd_configs (job "x")", ….
// `supported_mechanisms` are the discovery mechanisms that are built in.
std::vector<std::string> InactiveSections(const Config& config,
                                          const std::vector<std::string>& supported_mechanisms);

// filepath.Glob for rule_files and scrape_config_files: `*`, `?`, `[a-z]`, `\x`; sorted; a pattern
// that matches nothing gives an empty list. Error: `syntax error in pattern`.
Result<std::vector<std::string>> GlobFiles(const std::string& pattern,
                                           FileSystem& files = FileSystem::Posix());

}  // namespace narthex
