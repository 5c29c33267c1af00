// What must hold within each section of prometheus.yml, in upstream's words and order.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>

#include "config/config_schema.h"

namespace narthex {

namespace {

Status Invalid(std::string text) {
  return Status(ErrorCode::kInvalidInput, std::move(text));
}

struct Protocol {
  std::string_view name;
  std::string_view media_type;
};
// Sorted by name, as messages list them.
constexpr Protocol kProtocolTable[] = {
    {kOpenMetricsText001, "application/openmetrics-text;version=0.0.1"},
    {kOpenMetricsText100, "application/openmetrics-text;version=1.0.0"},
    {kOpenMetricsText200, "application/openmetrics-text;version=2.0.0"},
    {kPrometheusProto,
     "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"},
    {kPrometheusText004, "text/plain;version=0.0.4"},
    {kPrometheusText100, "text/plain;version=1.0.0"},
};

constexpr std::array<std::string_view, 4> kEscapings = {"allow-utf-8", "underscores", "dots",
                                                        "values"};

// Stands in a list of protocols that was written and empty.
constexpr std::string_view kWrittenEmpty = "\n";

Status ValidateProtocol(const ScrapeProtocol& protocol) {
  if (!ScrapeProtocolMediaType(protocol).empty()) return {};
  std::vector<std::string> known;
  for (const Protocol& entry : kProtocolTable) known.emplace_back(entry.name);
  return Invalid(
      fmt::format("unknown scrape protocol {}, supported: [{}]", protocol, Join(known, " ")));
}

bool IsEscaping(std::string_view text) {
  return std::find(kEscapings.begin(), kEscapings.end(), text) != kEscapings.end();
}

Status UnknownEscaping(std::string_view where, std::string_view got) {
  return Invalid(fmt::format(
      "unknown {} name escaping method specified, must be one of 'allow-utf-8', 'underscores', "
      "'dots', or 'values', got {}",
      where, GoQuote(got)));
}

// People like to write URLs where an address belongs.
Status CheckStaticTargets(const std::vector<SdConfig>& configs) {
  for (const SdConfig& entry : configs) {
    const auto* config = entry.As<StaticSdConfig>();
    if (config == nullptr) continue;
    for (const StaticGroup& group : config->groups) {
      for (const std::string& target : group.targets) {
        if (target.find('/') != std::string::npos) {
          return Invalid(GoQuote(target) + " is not a valid hostname");
        }
      }
    }
  }
  return {};
}

bool IsReservedHeader(std::string_view lower) {
  static const std::set<std::string_view> reserved = {
      "host",
      "content-encoding",
      "content-length",
      "content-type",
      "user-agent",
      "connection",
      "keep-alive",
      "proxy-authenticate",
      "proxy-authorization",
      "www-authenticate",
      "accept-encoding",
      "x-prometheus-remote-write-version",
      "x-prometheus-remote-read-version",
      "x-amz-date",
      "x-amz-security-token",
      "x-amz-content-sha256",
  };
  return reserved.contains(lower);
}

Status CheckHeaders(const TextMap& headers, std::string_view authorization_error) {
  for (const auto& [name, value] : headers) {
    const std::string lower = ToLower(name);
    if (lower == "authorization") return Invalid(std::string(authorization_error));
    if (IsReservedHeader(lower)) {
      return Invalid(name + " is a reserved header. It must not be changed");
    }
  }
  return {};
}
constexpr std::string_view kRemoteAuthorizationError =
    "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, "
    "azuread or google_iam parameter";

Status CheckLabelSetNames(const TextMap& labels) {
  for (const auto& [name, value] : labels) {
    if (!IsValidLabelName(NameValidation::kUtf8, name)) {
      return Invalid(GoQuote(name) + " is not a valid label name");
    }
  }
  return {};
}

// The forms that upstream's UUID library takes: plain, urn:uuid:…, {…}, and bare digits.
bool IsUuid(std::string_view text) {
  if (text.size() == 45 && ToLower(text.substr(0, 9)) == "urn:uuid:") text.remove_prefix(9);
  if (text.size() == 38 && text.front() == '{' && text.back() == '}') {
    text = text.substr(1, 36);
  }
  const bool bare = text.size() == 32;
  if (!bare && text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = !bare && (i == 8 || i == 13 || i == 18 || i == 23);
    const char c = text[i];
    const char lower = static_cast<char>(c | 0x20);
    const bool hex = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'f');
    if (dash ? c != '-' : !hex) return false;
  }
  return true;
}

Status AzureMissing(std::string_view what) {
  return Invalid(fmt::format("must provide an Azure {} in the Azure AD config", what));
}
Status AzureInvalid(std::string_view what) {
  return Invalid(fmt::format("the provided Azure {} is invalid", what));
}

Status CheckAzureMethods(AzureAdConfig& config) {
  if (config.managed_identity && !config.managed_identity->client_id.empty() &&
      !IsUuid(config.managed_identity->client_id)) {
    return AzureInvalid("Managed Identity client_id");
  }
  if (auto& workload = config.workload_identity) {
    if (workload->client_id.empty()) return AzureMissing("Workload Identity client_id");
    if (workload->tenant_id.empty()) return AzureMissing("Workload Identity tenant_id");
    if (!IsUuid(workload->client_id)) return AzureInvalid("Workload Identity client_id");
    if (!IsUuid(workload->tenant_id)) return AzureInvalid("Workload Identity tenant_id");
    if (workload->token_file_path.empty()) {
      const char* projected = std::getenv("AZURE_FEDERATED_TOKEN_FILE");
      workload->token_file_path = projected != nullptr && *projected != '\0'
                                      ? projected
                                      : "/var/run/secrets/azure/tokens/azure-identity-token";
    }
  }
  if (config.oauth) {
    if (config.oauth->client_id.empty()) return AzureMissing("OAuth client_id");
    if (config.oauth->client_secret.empty()) return AzureMissing("OAuth client_secret");
    if (config.oauth->tenant_id.empty()) return AzureMissing("OAuth tenant_id");
    if (!IsUuid(config.oauth->client_id)) return AzureInvalid("OAuth client_id");
  }
  if (config.certificate) {
    if (config.certificate->client_id.empty()) return AzureMissing("Certificate client_id");
    if (config.certificate->tenant_id.empty()) return AzureMissing("Certificate tenant_id");
    if (config.certificate->certificate_path.empty()) {
      return AzureMissing("Certificate certificate_path");
    }
    if (!IsUuid(config.certificate->client_id)) return AzureInvalid("Certificate client_id");
  }
  return {};
}

// Trims the names in place; every complaint is a line of the error.
Status CleanAttributes(std::vector<std::string>& attributes, std::string_view adjective) {
  std::set<std::string> seen;
  std::vector<std::string> errors;
  for (std::string& attribute : attributes) {
    const std::string trimmed(TrimSpace(attribute));
    if (trimmed.empty()) {
      errors.push_back(fmt::format("empty {} OTel resource attribute", adjective));
    } else if (!seen.insert(trimmed).second) {
      errors.push_back(
          fmt::format("duplicated {} OTel resource attribute {}", adjective, GoQuote(trimmed)));
    } else {
      attribute = trimmed;
    }
  }
  return errors.empty() ? Status() : Invalid(Join(errors, "\n"));
}

}  // namespace

std::string_view ScrapeProtocolMediaType(std::string_view protocol) {
  for (const Protocol& entry : kProtocolTable) {
    if (entry.name == protocol) return entry.media_type;
  }
  return "";
}

Status ValidateScrapeProtocols(const std::vector<ScrapeProtocol>& protocols) {
  if (protocols.empty() || protocols.front() == kWrittenEmpty) {
    return Invalid("scrape_protocols cannot be empty");
  }
  std::set<std::string> seen;
  for (const ScrapeProtocol& protocol : protocols) {
    if (!seen.insert(ToLower(protocol)).second) {
      return Invalid(
          fmt::format("duplicated protocol in scrape_protocols, got [{}]", Join(protocols, " ")));
    }
    NARTHEX_RETURN_IF_ERROR(ValidateProtocol(protocol).WithPrefix("scrape_protocols: "));
  }
  return {};
}

void Schema<GlobalConfig>::AfterRead(YamlDecoder&, const YamlNode& node, GlobalConfig& out) {
  if (HasEmptyList(node, "scrape_protocols")) out.scrape_protocols = {std::string(kWrittenEmpty)};
}

Status Schema<GlobalConfig>::Check(GlobalConfig& config) {
  const GlobalConfig defaults;
  if (config.metric_name_validation_scheme == NameValidation::kUnset) {
    config.metric_name_validation_scheme = defaults.metric_name_validation_scheme;
  }
  for (const auto& [name, value] : config.external_labels) {
    if (!IsValidLabelName(config.metric_name_validation_scheme, name)) {
      return Invalid(GoQuote(name) + " is not a valid label name");
    }
    if (!IsValidUtf8(value)) return Invalid(GoQuote(value) + " is not a valid label value");
  }
  // The interval first: an inferred timeout must fit into it.
  if (config.scrape_interval.nanos == 0) config.scrape_interval = defaults.scrape_interval;
  if (config.scrape_timeout > config.scrape_interval) {
    return Invalid("global scrape timeout greater than scrape interval");
  }
  if (config.scrape_timeout.nanos == 0) {
    config.scrape_timeout = std::min(defaults.scrape_timeout, config.scrape_interval);
  }
  if (config.evaluation_interval.nanos == 0) {
    config.evaluation_interval = defaults.evaluation_interval;
  }
  if (!config.scrape_protocols.empty()) {
    Status status = ValidateScrapeProtocols(config.scrape_protocols);
    if (!status.ok()) return Invalid(status.message() + " for global config");
  }
  return {};
}

Status Schema<RuntimeConfig>::Check(RuntimeConfig& config) {
  const std::string lower = ToLower(config.log_level);
  if (!lower.empty() && lower != "debug" && lower != "info" && lower != "warn" &&
      lower != "error") {
    return Invalid("unrecognized log level " + config.log_level);
  }
  config.log_level = lower;
  return {};
}

void Schema<ScrapeConfig>::AfterRead(YamlDecoder&, const YamlNode& node, ScrapeConfig& out) {
  if (HasEmptyList(node, "scrape_protocols")) out.scrape_protocols = {std::string(kWrittenEmpty)};
}

Status Schema<ScrapeConfig>::Check(ScrapeConfig& config) {
  NARTHEX_RETURN_IF_ERROR(FinishSdConfigs(config.service_discovery));
  if (config.job_name.empty()) return Invalid("job_name is empty");
  NARTHEX_RETURN_IF_ERROR(config.http_client.Validate());
  if (config.relabel_configs.empty()) {
    NARTHEX_RETURN_IF_ERROR(CheckStaticTargets(config.service_discovery));
  }
  NARTHEX_RETURN_IF_ERROR(RefuseNullRules(config.relabel_configs,
                                          "empty or null target relabeling rule in scrape config"));
  return RefuseNullRules(config.metric_relabel_configs,
                         "empty or null metric relabeling rule in scrape config");
}

namespace {

// The names that the job accepts and how it asks targets to escape others.
Status CompleteNameSchemes(ScrapeConfig& config, const GlobalConfig& global) {
  const bool inherits_validation = config.metric_name_validation_scheme == NameValidation::kUnset;
  if (inherits_validation) {
    config.metric_name_validation_scheme = global.metric_name_validation_scheme;
  }
  std::string global_escaping = global.metric_name_escaping_scheme;
  if (global_escaping.empty()) {
    global_escaping = global.metric_name_validation_scheme == NameValidation::kLegacy
                          ? "underscores"
                          : "allow-utf-8";
  }
  if (!IsEscaping(global_escaping)) return UnknownEscaping("global", global_escaping);
  if (config.metric_name_escaping_scheme.empty()) {
    if (inherits_validation) {
      config.metric_name_escaping_scheme = global_escaping;
    } else if (config.metric_name_validation_scheme == NameValidation::kLegacy) {
      config.metric_name_escaping_scheme = "underscores";
    } else {
      config.metric_name_escaping_scheme = "allow-utf-8";
    }
  }
  if (!IsEscaping(config.metric_name_escaping_scheme)) {
    return UnknownEscaping("scrape config", config.metric_name_escaping_scheme);
  }
  if (config.metric_name_escaping_scheme == "allow-utf-8" &&
      config.metric_name_validation_scheme != NameValidation::kUtf8) {
    return Invalid("utf8 metric names requested but validation scheme is not set to UTF8");
  }
  return {};
}

void InheritLimits(ScrapeConfig& config, const GlobalConfig& global) {
  const auto inherit = [](auto& own, const auto& inherited) {
    if (own == std::remove_cvref_t<decltype(own)>{}) own = inherited;
  };
  inherit(config.body_size_limit, global.body_size_limit);
  inherit(config.sample_limit, global.sample_limit);
  inherit(config.target_limit, global.target_limit);
  inherit(config.label_limit, global.label_limit);
  inherit(config.label_name_length_limit, global.label_name_length_limit);
  inherit(config.label_value_length_limit, global.label_value_length_limit);
  inherit(config.keep_dropped_targets, global.keep_dropped_targets);
  inherit(config.scrape_failure_log_file, global.scrape_failure_log_file);
  inherit(config.scrape_native_histograms, global.scrape_native_histograms);
  inherit(config.extra_scrape_metrics, global.extra_scrape_metrics);
}

}  // namespace

Status CompleteScrapeConfig(ScrapeConfig& config, const GlobalConfig& global) {
  if (config.job_name.empty()) return Invalid("empty or null scrape config section");
  const std::string where = " for scrape config with job name " + GoQuote(config.job_name);
  if (config.scrape_interval.nanos == 0) config.scrape_interval = global.scrape_interval;
  if (config.scrape_timeout > config.scrape_interval) {
    return Invalid("scrape timeout greater than scrape interval" + where);
  }
  if (config.scrape_timeout.nanos == 0) {
    config.scrape_timeout = std::min(global.scrape_timeout, config.scrape_interval);
  }
  InheritLimits(config, global);
  if (config.scrape_protocols.empty()) {
    if (!global.scrape_protocols.empty()) {
      config.scrape_protocols = global.scrape_protocols;
    } else {
      if (config.scrape_native_histograms.value_or(false)) {
        config.scrape_protocols.emplace_back(kPrometheusProto);
      }
      for (const std::string_view protocol :
           {kOpenMetricsText100, kOpenMetricsText001, kPrometheusText100, kPrometheusText004}) {
        config.scrape_protocols.emplace_back(protocol);
      }
    }
  }
  if (Status status = ValidateScrapeProtocols(config.scrape_protocols); !status.ok()) {
    return Invalid(status.message() + where);
  }
  if (!config.fallback_scrape_protocol.empty()) {
    NARTHEX_RETURN_IF_ERROR(ValidateProtocol(config.fallback_scrape_protocol)
                                .WithPrefix("invalid fallback_scrape_protocol" + where + ": "));
  }
  NARTHEX_RETURN_IF_ERROR(CompleteNameSchemes(config, global));
  if (!config.convert_classic_histograms_to_nhcb) {
    config.convert_classic_histograms_to_nhcb = global.convert_classic_histograms_to_nhcb;
  }
  if (!config.always_scrape_classic_histograms) {
    config.always_scrape_classic_histograms = global.always_scrape_classic_histograms;
  }
  const NameValidation scheme = config.metric_name_validation_scheme;
  NARTHEX_RETURN_IF_ERROR(ValidateRules(config.relabel_configs, scheme));
  return ValidateRules(config.metric_relabel_configs, scheme);
}

Status Schema<SigV4Config>::Check(SigV4Config& config) {
  if (config.access_key.empty() != config.secret_key.empty()) {
    return Invalid(
        "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the "
        "SigV4 config");
  }
  const bool has_role = !config.role_arn.empty();
  if (!config.external_id.empty() && !has_role) {
    return Invalid("external_id can only be used with role_arn");
  }
  if (!config.session_name.empty()) {
    if (!has_role) return Invalid("session_name can only be used with role_arn");
    const std::string& name = config.session_name;
    const bool good_characters = std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             std::string_view("_+=,.@-").find(c) != std::string_view::npos;
    });
    if (!good_characters || name.size() < 2 || name.size() > 64) {
      return Invalid(
          "session_name must match ^[\\w+=,.@-]{2,64}$ (2-64 alphanumeric and +=,.@- characters)");
    }
  }
  if (!config.tags.empty() && !has_role) return Invalid("tags can only be used with role_arn");
  for (const auto& [key, value] : config.tags) {
    if (key.empty()) return Invalid("tag key must not be empty");
    if (key.size() > 128) {
      return Invalid(fmt::format("tag key {} exceeds maximum length of 128", GoQuote(key)));
    }
    if (value.size() > 256) {
      return Invalid(
          fmt::format("tag value for key {} exceeds maximum length of 256", GoQuote(key)));
    }
  }
  return {};
}

Status Schema<AlertmanagerConfig>::Check(AlertmanagerConfig& config) {
  if (config.api_version != "v2") {
    return Invalid("expected Alertmanager api version to be one of [v2] but got " +
                   config.api_version);
  }
  NARTHEX_RETURN_IF_ERROR(FinishSdConfigs(config.service_discovery));
  NARTHEX_RETURN_IF_ERROR(config.http_client.Validate());
  const HttpClientConfig& http = config.http_client;
  if (config.sigv4 && (http.basic_auth || http.authorization || http.oauth2)) {
    return Invalid("at most one of basic_auth, authorization, oauth2, & sigv4 must be configured");
  }
  if (config.relabel_configs.empty()) {
    NARTHEX_RETURN_IF_ERROR(CheckStaticTargets(config.service_discovery));
  }
  NARTHEX_RETURN_IF_ERROR(
      RefuseNullRules(config.relabel_configs, "empty or null Alertmanager target relabeling rule"));
  return RefuseNullRules(config.alert_relabel_configs,
                         "empty or null Alertmanager alert relabeling rule");
}

Status Schema<AlertingConfig>::Check(AlertingConfig& config) {
  for (const AlertmanagerConfig& alertmanager : config.alertmanagers) {
    if (alertmanager.api_version.empty()) {
      return Invalid("empty or null alertmanager config section");
    }
  }
  return RefuseNullRules(config.alert_relabel_configs, "empty or null alert relabeling rule");
}

Status Schema<RetentionConfig>::Check(RetentionConfig& config) {
  if (config.size.bytes < 0) {
    return Invalid("'storage.tsdb.retention.size' must be greater than or equal to 0, got " +
                   config.size.ToString());
  }
  if (!(config.percentage >= 0 && config.percentage <= 100)) {
    return Invalid("'storage.tsdb.retention.percentage' must be in the range [0, 100], got " +
                   FormatFloatG(config.percentage));
  }
  return {};
}

Status Schema<TsdbConfig>::Check(TsdbConfig& config) {
  config.out_of_order_time_window_ms = config.out_of_order_time_window.millis();
  const std::string& floats = config.chunk_encoding.floats;
  if (!floats.empty() && floats != "xor" && floats != "xor2") {
    return Invalid(fmt::format(
        "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be "
        "omitted entirely, got {}",
        GoQuote(floats)));
  }
  return {};
}

// A section that does not say otherwise is for gRPC; without a section there is no type at all.
void Schema<TracingConfig>::AfterRead(YamlDecoder&, const YamlNode&, TracingConfig& out) {
  if (out.client_type.empty()) out.client_type = "grpc";
}

Status Schema<TracingConfig>::Check(TracingConfig& config) {
  if (config.client_type != "grpc" && config.client_type != "http") {
    return Invalid("expected tracing client type to be to be http or grpc, but got " +
                   config.client_type);
  }
  NARTHEX_RETURN_IF_ERROR(CheckHeaders(
      config.headers, "custom authorization header configuration is not yet supported"));
  if (config.endpoint.empty()) return Invalid("tracing endpoint must be set");
  if (!config.compression.empty() && config.compression != "gzip") {
    return Invalid(fmt::format("invalid compression type {} provided, valid options: gzip",
                               config.compression));
  }
  return {};
}

Status Schema<AzureAdConfig>::Check(AzureAdConfig& config) {
  if (config.cloud.empty()) config.cloud = "AzurePublic";
  if (config.cloud != "AzureChina" && config.cloud != "AzureGovernment" &&
      config.cloud != "AzurePublic") {
    return Invalid("must provide a cloud in the Azure AD config");
  }
  const int methods = config.managed_identity.has_value() + config.workload_identity.has_value() +
                      config.oauth.has_value() + config.sdk.has_value() +
                      config.certificate.has_value();
  if (methods == 0) {
    return Invalid(
        "must provide an Azure Managed Identity, Azure Workload Identity, Azure OAuth, Azure "
        "Certificate or Azure SDK in the Azure AD config");
  }
  if (methods > 1) {
    return Invalid("cannot provide multiple authentication methods in the Azure AD config");
  }
  NARTHEX_RETURN_IF_ERROR(CheckAzureMethods(config));
  for (const char c : config.scope) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && std::string_view("_ \t\n\r\f:/.-").find(c) == std::string_view::npos) {
      return Invalid("the provided scope contains invalid characters");
    }
  }
  return {};
}

namespace {

Status CheckQueue(const QueueConfig& queue) {
  const auto must = [](std::string_view text) {
    return Invalid(fmt::format("remote write queue {}", text));
  };
  if (queue.max_shards <= 0) return must("max_shards must be positive");
  if (queue.min_shards <= 0) return must("min_shards must be positive");
  if (queue.min_shards > queue.max_shards) {
    return must("min_shards must not be greater than max_shards");
  }
  if (queue.max_samples_per_send <= 0) return must("max_samples_per_send must be positive");
  if (queue.capacity <= 0) return must("capacity must be positive");
  if (queue.max_backoff < queue.min_backoff) {
    return must("max_backoff must not be less than min_backoff");
  }
  return {};
}

Status CheckOneAuthentication(const RemoteWriteConfig& config) {
  std::vector<std::string> found;
  if (config.http_client.basic_auth) found.emplace_back("basic_auth");
  if (config.http_client.authorization) found.emplace_back("authorization");
  if (config.http_client.oauth2) found.emplace_back("oauth2");
  if (config.sigv4) found.emplace_back("sigv4");
  if (config.azuread) found.emplace_back("azuread");
  if (config.google_iam) found.emplace_back("google_iam");
  if (found.size() <= 1) return {};
  return Invalid(fmt::format(
      "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be "
      "configured. Currently configured: [{}]",
      Join(found, " ")));
}

}  // namespace

Status Schema<RemoteWriteConfig>::Check(RemoteWriteConfig& config) {
  if (!config.url) return Invalid("url for remote_write is empty");
  NARTHEX_RETURN_IF_ERROR(RefuseNullRules(config.write_relabel_configs,
                                          "empty or null relabeling rule in remote write config"));
  NARTHEX_RETURN_IF_ERROR(CheckHeaders(config.headers, kRemoteAuthorizationError));
  if (config.protobuf_message != kRemoteWriteV1 && config.protobuf_message != kRemoteWriteV2) {
    return Invalid(fmt::format(
        "invalid protobuf_message value: unknown type for remote write protobuf message {}, "
        "supported: {}, {}",
        config.protobuf_message, kRemoteWriteV1, kRemoteWriteV2));
  }
  NARTHEX_RETURN_IF_ERROR(config.http_client.Validate());
  NARTHEX_RETURN_IF_ERROR(CheckQueue(config.queue_config));
  return CheckOneAuthentication(config);
}

Status Schema<RemoteReadConfig>::Check(RemoteReadConfig& config) {
  NARTHEX_RETURN_IF_ERROR(CheckLabelSetNames(config.required_matchers));
  if (!config.url) return Invalid("url for remote_read is empty");
  NARTHEX_RETURN_IF_ERROR(CheckHeaders(config.headers, kRemoteAuthorizationError));
  return config.http_client.Validate();
}

Status Schema<OtlpConfig>::Check(OtlpConfig& config) {
  if (config.promote_all_resource_attributes) {
    if (!config.promote_resource_attributes.empty()) {
      return Invalid(
          "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be "
          "configured simultaneously");
    }
    return CleanAttributes(config.ignore_resource_attributes, "ignored")
        .WithPrefix("invalid 'ignore_resource_attributes': ");
  }
  if (!config.ignore_resource_attributes.empty()) {
    return Invalid(
        "'ignore_resource_attributes' cannot be configured unless "
        "'promote_all_resource_attributes' is true");
  }
  return CleanAttributes(config.promote_resource_attributes, "promoted")
      .WithPrefix("invalid 'promote_resource_attributes': ");
}

}  // namespace narthex
