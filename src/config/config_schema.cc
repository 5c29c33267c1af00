// The tables of prometheus.yml, in the order in which its keys are printed. The checks of each
// section are in config_checks.cc.
#include "config/config_schema.h"

namespace narthex {

namespace {

constexpr std::string_view kRules = "[]*relabel.Config";
constexpr std::string_view kProtocols = "[]config.ScrapeProtocol";
constexpr std::string_view kUint = "uint";

}  // namespace

FieldList Schema<GlobalConfig>::Fields() {
  using T = GlobalConfig;
  return {
      Field<&T::scrape_interval>("scrape_interval", kOmitEmpty),
      Field<&T::scrape_timeout>("scrape_timeout", kOmitEmpty),
      Field<&T::scrape_protocols>("scrape_protocols", kOmitEmpty, kProtocols),
      Field<&T::evaluation_interval>("evaluation_interval", kOmitEmpty),
      Field<&T::rule_query_offset>("rule_query_offset", kOmitEmpty),
      Field<&T::query_log_file>("query_log_file", kOmitEmpty | kPath),
      Field<&T::query_max_series>("query_max_series", kOmitEmpty),
      Field<&T::query_max_samples_read>("query_max_samples_read", kOmitEmpty),
      Field<&T::query_max_duration>("query_max_duration", kOmitEmpty),
      Field<&T::scrape_failure_log_file>("scrape_failure_log_file", kOmitEmpty | kPath),
      Field<&T::external_labels>("external_labels", kOmitEmpty),
      Field<&T::body_size_limit>("body_size_limit", kOmitEmpty),
      Field<&T::sample_limit>("sample_limit", kOmitEmpty, kUint),
      Field<&T::target_limit>("target_limit", kOmitEmpty, kUint),
      Field<&T::label_limit>("label_limit", kOmitEmpty, kUint),
      Field<&T::label_name_length_limit>("label_name_length_limit", kOmitEmpty, kUint),
      Field<&T::label_value_length_limit>("label_value_length_limit", kOmitEmpty, kUint),
      Field<&T::keep_dropped_targets>("keep_dropped_targets", kOmitEmpty, kUint),
      Field<&T::metric_name_validation_scheme>("metric_name_validation_scheme", kOmitEmpty),
      Field<&T::metric_name_escaping_scheme>("metric_name_escaping_scheme", kOmitEmpty),
      Field<&T::scrape_native_histograms>("scrape_native_histograms", kOmitEmpty),
      Field<&T::convert_classic_histograms_to_nhcb>("convert_classic_histograms_to_nhcb",
                                                    kOmitEmpty),
      Field<&T::always_scrape_classic_histograms>("always_scrape_classic_histograms", kOmitEmpty),
      Field<&T::extra_scrape_metrics>("extra_scrape_metrics", kOmitEmpty),
  };
}

FieldList Schema<RuntimeConfig>::Fields() {
  return {Field<&RuntimeConfig::gogc>("gogc", kOmitEmpty),
          Field<&RuntimeConfig::log_level>("log_level", kOmitEmpty)};
}

FieldList Schema<ScrapeConfig>::Fields() {
  using T = ScrapeConfig;
  return Concat(
      Field<&T::job_name>("job_name"), Field<&T::honor_labels>("honor_labels", kOmitEmpty),
      Field<&T::honor_timestamps>("honor_timestamps"),
      Field<&T::track_timestamps_staleness>("track_timestamps_staleness"),
      Field<&T::params>("params", kOmitEmpty, "url.Values"),
      Field<&T::scrape_interval>("scrape_interval", kOmitEmpty),
      Field<&T::scrape_timeout>("scrape_timeout", kOmitEmpty),
      Field<&T::scrape_protocols>("scrape_protocols", kOmitEmpty, kProtocols),
      Field<&T::fallback_scrape_protocol>("fallback_scrape_protocol", kOmitEmpty,
                                          "config.ScrapeProtocol"),
      Field<&T::scrape_native_histograms>("scrape_native_histograms", kOmitEmpty),
      Field<&T::always_scrape_classic_histograms>("always_scrape_classic_histograms", kOmitEmpty),
      Field<&T::convert_classic_histograms_to_nhcb>("convert_classic_histograms_to_nhcb",
                                                    kOmitEmpty),
      Field<&T::scrape_failure_log_file>("scrape_failure_log_file", kOmitEmpty | kPath),
      Field<&T::metrics_path>("metrics_path", kOmitEmpty), Field<&T::scheme>("scheme", kOmitEmpty),
      Field<&T::enable_compression>("enable_compression"),
      Field<&T::body_size_limit>("body_size_limit", kOmitEmpty),
      Field<&T::sample_limit>("sample_limit", kOmitEmpty, kUint),
      Field<&T::target_limit>("target_limit", kOmitEmpty, kUint),
      Field<&T::label_limit>("label_limit", kOmitEmpty, kUint),
      Field<&T::label_name_length_limit>("label_name_length_limit", kOmitEmpty, kUint),
      Field<&T::label_value_length_limit>("label_value_length_limit", kOmitEmpty, kUint),
      Field<&T::native_histogram_bucket_limit>("native_histogram_bucket_limit", kOmitEmpty, kUint),
      Field<&T::native_histogram_min_bucket_factor>("native_histogram_min_bucket_factor",
                                                    kOmitEmpty),
      Field<&T::keep_dropped_targets>("keep_dropped_targets", kOmitEmpty, kUint),
      Field<&T::metric_name_validation_scheme>("metric_name_validation_scheme", kOmitEmpty),
      Field<&T::metric_name_escaping_scheme>("metric_name_escaping_scheme", kOmitEmpty),
      Field<&T::extra_scrape_metrics>("extra_scrape_metrics", kOmitEmpty),
      Inline<&T::http_client>(), Field<&T::relabel_configs>("relabel_configs", kOmitEmpty, kRules),
      Field<&T::metric_relabel_configs>("metric_relabel_configs", kOmitEmpty, kRules),
      SdFields(fields_internal::OffsetOf<&T::service_discovery>()));
}

FieldList Schema<SigV4Config>::Fields() {
  using T = SigV4Config;
  return {Field<&T::region>("region", kOmitEmpty),
          Field<&T::access_key>("access_key", kOmitEmpty),
          Field<&T::secret_key>("secret_key", kOmitEmpty),
          Field<&T::profile>("profile", kOmitEmpty),
          Field<&T::role_arn>("role_arn", kOmitEmpty),
          Field<&T::external_id>("external_id", kOmitEmpty),
          Field<&T::session_name>("session_name", kOmitEmpty),
          Field<&T::tags>("tags", kOmitEmpty),
          Field<&T::use_fips_sts_endpoint>("use_fips_sts_endpoint", kOmitEmpty),
          Field<&T::service_name>("service_name", kOmitEmpty)};
}

FieldList Schema<AlertmanagerConfig>::Fields() {
  using T = AlertmanagerConfig;
  return Concat(Inline<&T::http_client>(), Field<&T::sigv4>("sigv4", kOmitEmpty),
                Field<&T::scheme>("scheme", kOmitEmpty),
                Field<&T::path_prefix>("path_prefix", kOmitEmpty),
                Field<&T::timeout>("timeout", kOmitEmpty),
                Field<&T::api_version>("api_version", 0, "config.plain"),
                Field<&T::relabel_configs>("relabel_configs", kOmitEmpty, kRules),
                Field<&T::alert_relabel_configs>("alert_relabel_configs", kOmitEmpty, kRules),
                SdFields(fields_internal::OffsetOf<&T::service_discovery>()));
}

FieldList Schema<AlertingConfig>::Fields() {
  using T = AlertingConfig;
  return {Field<&T::alert_relabel_configs>("alert_relabel_configs", kOmitEmpty, kRules),
          Field<&T::alertmanagers>("alertmanagers", kOmitEmpty, "config.AlertmanagerConfigs")};
}

FieldList Schema<RetentionConfig>::Fields() {
  return {Field<&RetentionConfig::time>("time", kOmitEmpty),
          Field<&RetentionConfig::size>("size", kOmitEmpty),
          Field<&RetentionConfig::percentage>("percentage", kOmitEmpty)};
}

FieldList Schema<ChunkEncodingConfig>::Fields() {
  return {Field<&ChunkEncodingConfig::floats>("floats", kOmitEmpty)};
}

// The first key is there by accident upstream; people see it in /status/config.
FieldList Schema<TsdbConfig>::Fields() {
  using T = TsdbConfig;
  return {
      Field<&T::out_of_order_time_window_ms>("outofordertimewindow", 0, "int64"),
      Field<&T::out_of_order_time_window>("out_of_order_time_window", kOmitEmpty),
      Field<&T::stale_series_compaction_threshold>("stale_series_compaction_threshold", kOmitEmpty),
      Field<&T::chunk_encoding>("chunk_encoding", kOmitEmpty),
      Field<&T::retention>("retention", kOmitEmpty)};
}

FieldList Schema<ExemplarsConfig>::Fields() {
  return {Field<&ExemplarsConfig::max_exemplars>("max_exemplars", kOmitEmpty, "int64")};
}

FieldList Schema<StorageConfig>::Fields() {
  return {Field<&StorageConfig::tsdb>("tsdb", kOmitEmpty),
          Field<&StorageConfig::exemplars>("exemplars", kOmitEmpty)};
}

FieldList Schema<TracingConfig>::Fields() {
  using T = TracingConfig;
  return {Field<&T::client_type>("client_type", kOmitEmpty, "config.plain"),
          Field<&T::endpoint>("endpoint", kOmitEmpty),
          Field<&T::sampling_fraction>("sampling_fraction", kOmitEmpty),
          Field<&T::insecure>("insecure", kOmitEmpty),
          Field<&T::tls_config>("tls_config", kOmitEmpty),
          Field<&T::headers>("headers", kOmitEmpty),
          Field<&T::compression>("compression", kOmitEmpty),
          Field<&T::timeout>("timeout", kOmitEmpty)};
}

FieldList Schema<QueueConfig>::Fields() {
  using T = QueueConfig;
  return {Field<&T::capacity>("capacity", kOmitEmpty),
          Field<&T::max_shards>("max_shards", kOmitEmpty),
          Field<&T::min_shards>("min_shards", kOmitEmpty),
          Field<&T::max_samples_per_send>("max_samples_per_send", kOmitEmpty),
          Field<&T::batch_send_deadline>("batch_send_deadline", kOmitEmpty),
          Field<&T::min_backoff>("min_backoff", kOmitEmpty),
          Field<&T::max_backoff>("max_backoff", kOmitEmpty),
          Field<&T::retry_on_http_429>("retry_on_http_429", kOmitEmpty),
          Field<&T::sample_age_limit>("sample_age_limit", kOmitEmpty)};
}

FieldList Schema<MetadataConfig>::Fields() {
  using T = MetadataConfig;
  return {Field<&T::send>("send"), Field<&T::send_interval>("send_interval"),
          Field<&T::max_samples_per_send>("max_samples_per_send", kOmitEmpty)};
}

FieldList Schema<AzureManagedIdentity>::Fields() {
  return {Field<&AzureManagedIdentity::client_id>("client_id", kOmitEmpty)};
}

FieldList Schema<AzureWorkloadIdentity>::Fields() {
  using T = AzureWorkloadIdentity;
  return {Field<&T::client_id>("client_id", kOmitEmpty),
          Field<&T::tenant_id>("tenant_id", kOmitEmpty),
          Field<&T::token_file_path>("token_file_path", kOmitEmpty)};
}

FieldList Schema<AzureOAuth>::Fields() {
  using T = AzureOAuth;
  return {Field<&T::client_id>("client_id", kOmitEmpty),
          Field<&T::client_secret>("client_secret", kOmitEmpty),
          Field<&T::tenant_id>("tenant_id", kOmitEmpty)};
}

FieldList Schema<AzureSdk>::Fields() {
  return {Field<&AzureSdk::tenant_id>("tenant_id", kOmitEmpty)};
}

FieldList Schema<AzureCertificate>::Fields() {
  using T = AzureCertificate;
  return {Field<&T::client_id>("client_id", kOmitEmpty),
          Field<&T::tenant_id>("tenant_id", kOmitEmpty),
          Field<&T::certificate_path>("certificate_path", kOmitEmpty),
          Field<&T::certificate_key_path>("certificate_key_path", kOmitEmpty),
          Field<&T::certificate_password>("certificate_password", kOmitEmpty),
          Field<&T::send_certificate_chain>("send_certificate_chain", kOmitEmpty)};
}

FieldList Schema<AzureAdConfig>::Fields() {
  using T = AzureAdConfig;
  return {Field<&T::managed_identity>("managed_identity", kOmitEmpty),
          Field<&T::workload_identity>("workload_identity", kOmitEmpty),
          Field<&T::oauth>("oauth", kOmitEmpty),
          Field<&T::sdk>("sdk", kOmitEmpty),
          Field<&T::certificate>("certificate", kOmitEmpty),
          Field<&T::cloud>("cloud", kOmitEmpty),
          Field<&T::scope>("scope", kOmitEmpty)};
}

FieldList Schema<GoogleIamConfig>::Fields() {
  return {Field<&GoogleIamConfig::credentials_file>("credentials_file", kOmitEmpty)};
}

FieldList Schema<RemoteWriteConfig>::Fields() {
  using T = RemoteWriteConfig;
  return Concat(
      Field<&T::url>("url"), Field<&T::remote_timeout>("remote_timeout", kOmitEmpty),
      Field<&T::headers>("headers", kOmitEmpty),
      Field<&T::write_relabel_configs>("write_relabel_configs", kOmitEmpty, kRules),
      Field<&T::name>("name", kOmitEmpty), Field<&T::send_exemplars>("send_exemplars", kOmitEmpty),
      Field<&T::send_native_histograms>("send_native_histograms", kOmitEmpty),
      Field<&T::round_robin_dns>("round_robin_dns", kOmitEmpty),
      Field<&T::protobuf_message>("protobuf_message", kOmitEmpty, "remote.WriteMessageType"),
      Field<&T::failed_request_logging>("failed_request_logging", kOmitEmpty),
      Inline<&T::http_client>(), Field<&T::queue_config>("queue_config", kOmitEmpty),
      Field<&T::metadata_config>("metadata_config", kOmitEmpty),
      Field<&T::sigv4>("sigv4", kOmitEmpty), Field<&T::azuread>("azuread", kOmitEmpty),
      Field<&T::google_iam>("google_iam", kOmitEmpty),
      Field<&T::convert_nhcb_to_classic>("convert_nhcb_to_classic", kOmitEmpty));
}

FieldList Schema<RemoteReadConfig>::Fields() {
  using T = RemoteReadConfig;
  return Concat(Field<&T::url>("url"), Field<&T::remote_timeout>("remote_timeout", kOmitEmpty),
                Field<&T::chunked_read_limit>("chunked_read_limit", kOmitEmpty),
                Field<&T::headers>("headers", kOmitEmpty),
                Field<&T::read_recent>("read_recent", kOmitEmpty),
                Field<&T::name>("name", kOmitEmpty), Inline<&T::http_client>(),
                Field<&T::required_matchers>("required_matchers", kOmitEmpty, "model.LabelSet"),
                Field<&T::filter_external_labels>("filter_external_labels", kOmitEmpty));
}

FieldList Schema<OtlpConfig>::Fields() {
  using T = OtlpConfig;
  return {
      Field<&T::promote_all_resource_attributes>("promote_all_resource_attributes", kOmitEmpty),
      Field<&T::promote_resource_attributes>("promote_resource_attributes", kOmitEmpty),
      Field<&T::ignore_resource_attributes>("ignore_resource_attributes", kOmitEmpty),
      Field<&T::translation_strategy>("translation_strategy", kOmitEmpty,
                                      "otlptranslator.TranslationStrategyOption"),
      Field<&T::keep_identifying_resource_attributes>("keep_identifying_resource_attributes",
                                                      kOmitEmpty),
      Field<&T::convert_histograms_to_nhcb>("convert_histograms_to_nhcb", kOmitEmpty),
      Field<&T::promote_scope_metadata>("promote_scope_metadata", kOmitEmpty),
      Field<&T::label_name_underscore_sanitization>("label_name_underscore_sanitization",
                                                    kOmitEmpty),
      Field<&T::label_name_preserve_multiple_underscores>(
          "label_name_preserve_multiple_underscores", kOmitEmpty),
  };
}

FieldList Schema<Config>::Fields() {
  using T = Config;
  return {Field<&T::global>("global"),
          Field<&T::runtime>("runtime", kOmitEmpty),
          Field<&T::alerting>("alerting", kOmitEmpty),
          Field<&T::rule_files>("rule_files", kOmitEmpty | kPath),
          Field<&T::scrape_config_files>("scrape_config_files", kOmitEmpty | kPath),
          Field<&T::scrape_configs>("scrape_configs", kOmitEmpty, "[]*config.ScrapeConfig"),
          Field<&T::storage>("storage", kOmitEmpty),
          Field<&T::tracing>("tracing", kOmitEmpty),
          Field<&T::remote_write>("remote_write", kOmitEmpty, "[]*config.RemoteWriteConfig"),
          Field<&T::remote_read>("remote_read", kOmitEmpty, "[]*config.RemoteReadConfig"),
          Field<&T::otlp>("otlp", kOmitEmpty)};
}

FieldList Schema<ScrapeConfigFile>::Fields() {
  return {Field<&ScrapeConfigFile::scrape_configs>("scrape_configs", kOmitEmpty,
                                                   "[]*config.ScrapeConfig")};
}

}  // namespace narthex
