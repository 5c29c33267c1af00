// Tables of the sections of prometheus.yml.
#pragma once

#include "config/config.h"
#include "config/fields.h"
#include "config/http_client_schema.h"
#include "config/relabel_schema.h"
#include "config/sd_schema.h"

namespace narthex {

// A file of scrape_config_files.
struct ScrapeConfigFile {
  std::vector<ScrapeConfig> scrape_configs;
};

#define NARTHEX_DECLARE_SCHEMA(type, go_type, reset)     \
  template <>                                            \
  struct Schema<type> {                                  \
    static constexpr std::string_view kGoType = go_type; \
    static constexpr Reset kReset = Reset::reset;        \
    static FieldList Fields();                           \
  }
// NOLINTBEGIN(bugprone-macro-parentheses): `type&` is a parameter's type.
#define NARTHEX_DECLARE_CHECKED_SCHEMA(type, go_type, reset) \
  template <>                                                \
  struct Schema<type> {                                      \
    static constexpr std::string_view kGoType = go_type;     \
    static constexpr Reset kReset = Reset::reset;            \
    static FieldList Fields();                               \
    static Status Check(type& config);                       \
  }
// NOLINTEND(bugprone-macro-parentheses)

template <>
struct Schema<GlobalConfig> {
  static constexpr std::string_view kGoType = "config.plain";
  static constexpr Reset kReset = Reset::kZero;
  static FieldList Fields();
  static void AfterRead(YamlDecoder& decoder, const YamlNode& node, GlobalConfig& out);
  static Status Check(GlobalConfig& config);
};
template <>
struct Schema<ScrapeConfig> {
  static constexpr std::string_view kGoType = "config.ScrapeConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields();
  static void AfterRead(YamlDecoder& decoder, const YamlNode& node, ScrapeConfig& out);
  static Status Check(ScrapeConfig& config);
};
template <>
struct Schema<RuntimeConfig> {
  static constexpr std::string_view kGoType = "config.RuntimeConfig";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields();
  static Status Check(RuntimeConfig& config);
};
NARTHEX_DECLARE_CHECKED_SCHEMA(SigV4Config, "sigv4.plain", kZero);
NARTHEX_DECLARE_CHECKED_SCHEMA(AlertmanagerConfig, "config.AlertmanagerConfig", kDefaults);
NARTHEX_DECLARE_CHECKED_SCHEMA(AlertingConfig, "config.plain", kZero);
NARTHEX_DECLARE_CHECKED_SCHEMA(RetentionConfig, "config.plain", kZero);
NARTHEX_DECLARE_SCHEMA(ChunkEncodingConfig, "config.ChunkEncodingConfig", kKeep);
NARTHEX_DECLARE_CHECKED_SCHEMA(TsdbConfig, "config.plain", kZero);
NARTHEX_DECLARE_SCHEMA(ExemplarsConfig, "config.ExemplarsConfig", kKeep);
NARTHEX_DECLARE_SCHEMA(StorageConfig, "config.StorageConfig", kKeep);
template <>
struct Schema<TracingConfig> {
  static constexpr std::string_view kGoType = "config.plain";
  static constexpr Reset kReset = Reset::kZero;
  static FieldList Fields();
  static void AfterRead(YamlDecoder& decoder, const YamlNode& node, TracingConfig& out);
  static Status Check(TracingConfig& config);
};
NARTHEX_DECLARE_SCHEMA(QueueConfig, "config.QueueConfig", kKeep);
NARTHEX_DECLARE_SCHEMA(MetadataConfig, "config.MetadataConfig", kKeep);
NARTHEX_DECLARE_SCHEMA(AzureManagedIdentity, "azuread.ManagedIdentityConfig", kKeep);
NARTHEX_DECLARE_SCHEMA(AzureWorkloadIdentity, "azuread.WorkloadIdentityConfig", kKeep);
NARTHEX_DECLARE_SCHEMA(AzureOAuth, "azuread.OAuthConfig", kKeep);
NARTHEX_DECLARE_SCHEMA(AzureSdk, "azuread.SDKConfig", kKeep);
NARTHEX_DECLARE_SCHEMA(AzureCertificate, "azuread.CertificateConfig", kKeep);
NARTHEX_DECLARE_CHECKED_SCHEMA(AzureAdConfig, "azuread.plain", kZero);
NARTHEX_DECLARE_SCHEMA(GoogleIamConfig, "googleiam.Config", kKeep);
NARTHEX_DECLARE_CHECKED_SCHEMA(RemoteWriteConfig, "config.plain", kDefaults);
NARTHEX_DECLARE_CHECKED_SCHEMA(RemoteReadConfig, "config.plain", kDefaults);
NARTHEX_DECLARE_CHECKED_SCHEMA(OtlpConfig, "config.plain", kDefaults);
// Checked as a whole by ParseConfig, which knows the flags.
NARTHEX_DECLARE_SCHEMA(Config, "config.plain", kKeep);
NARTHEX_DECLARE_SCHEMA(ScrapeConfigFile, "config.ScrapeConfigs", kKeep);

#undef NARTHEX_DECLARE_SCHEMA
#undef NARTHEX_DECLARE_CHECKED_SCHEMA

// Checks of a list of protocols; the error goes without saying where the list stands.
Status ValidateScrapeProtocols(const std::vector<ScrapeProtocol>& protocols);
// Fills in what a job inherits and checks the whole.
Status CompleteScrapeConfig(ScrapeConfig& config, const GlobalConfig& global);

}  // namespace narthex
