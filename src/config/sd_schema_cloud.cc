// Tables of the discovery of clouds.
#include "config/sd_mechanisms.h"
#include "config/sd_schema.h"
#include "util/strings.h"

namespace narthex {

namespace {

Status Invalid(std::string text) {
  return Status(ErrorCode::kInvalidInput, std::move(text));
}

}  // namespace

template <>
struct Codec<IgnoredValue> {
  static constexpr std::string_view kGoType = "http.Client";
  static bool Read(YamlDecoder&, const YamlNode&, std::string_view, IgnoredValue&) { return true; }
  static YamlValue Print(IgnoredValue, SecretPrint) { return YamlValue::Null(); }
  static bool IsZero(IgnoredValue) { return true; }
  static void SetZero(IgnoredValue&) {}
};

template <>
struct Schema<AzureSdConfig> {
  static constexpr std::string_view kMechanism = "azure";
  static constexpr std::string_view kGoType = "azure.plain";
  static constexpr std::string_view kGoListType = "[]*azure.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&AzureSdConfig::environment>("environment", kOmitEmpty),
                  Field<&AzureSdConfig::port>("port"),
                  Field<&AzureSdConfig::subscription_id>("subscription_id"),
                  Field<&AzureSdConfig::tenant_id>("tenant_id", kOmitEmpty),
                  Field<&AzureSdConfig::client_id>("client_id", kOmitEmpty),
                  Field<&AzureSdConfig::client_secret>("client_secret", kOmitEmpty),
                  Field<&AzureSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
                  Field<&AzureSdConfig::authentication_method>("authentication_method", kOmitEmpty),
                  Field<&AzureSdConfig::resource_group>("resource_group", kOmitEmpty),
                  Inline<&AzureSdConfig::http_client>());
  }
  static Status Check(AzureSdConfig& config) {
    const auto missing = [](std::string_view key) {
      return Invalid(fmt::format("azure SD configuration requires a {}", key));
    };
    if (config.subscription_id.empty()) return missing("subscription_id");
    if (config.authentication_method == "OAuth") {
      if (config.tenant_id.empty()) return missing("tenant_id");
      if (config.client_id.empty()) return missing("client_id");
      if (config.client_secret.empty()) return missing("client_secret");
    } else if (config.authentication_method != "ManagedIdentity" &&
               config.authentication_method != "SDK" &&
               config.authentication_method != "WorkloadIdentity") {
      return Invalid(fmt::format(
          "unknown authentication_type {}. Supported types are \"OAuth\", \"ManagedIdentity\", "
          "\"SDK\" or \"WorkloadIdentity\"",
          GoQuote(config.authentication_method)));
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<GceSdConfig> {
  static constexpr std::string_view kMechanism = "gce";
  static constexpr std::string_view kGoType = "gce.plain";
  static constexpr std::string_view kGoListType = "[]*gce.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return {Field<&GceSdConfig::project>("project"),
            Field<&GceSdConfig::zone>("zone"),
            Field<&GceSdConfig::filter>("filter", kOmitEmpty),
            Field<&GceSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
            Field<&GceSdConfig::port>("port"),
            Field<&GceSdConfig::tag_separator>("tag_separator", kOmitEmpty)};
  }
  static Status Check(GceSdConfig& config) {
    if (config.project.empty()) return Invalid("GCE SD configuration requires a project");
    if (config.zone.empty()) return Invalid("GCE SD configuration requires a zone");
    return {};
  }
};

template <>
struct Schema<DigitalOceanSdConfig> {
  static constexpr std::string_view kMechanism = "digitalocean";
  static constexpr std::string_view kGoType = "digitalocean.plain";
  static constexpr std::string_view kGoListType = "[]*digitalocean.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Inline<&DigitalOceanSdConfig::http_client>(),
                  Field<&DigitalOceanSdConfig::refresh_interval>("refresh_interval"),
                  Field<&DigitalOceanSdConfig::port>("port"),
                  Field<&DigitalOceanSdConfig::role>("role"),
                  Field<&DigitalOceanSdConfig::httpclient>("httpclient"));
  }
  static Status Check(DigitalOceanSdConfig& config) {
    if (config.role.empty()) return Invalid("role missing (one of: droplets, databases)");
    if (config.role != "droplets" && config.role != "databases") {
      return Invalid("unknown DigitalOcean SD role " + GoQuote(config.role));
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<HetznerSdConfig> {
  static constexpr std::string_view kMechanism = "hetzner";
  static constexpr std::string_view kGoType = "hetzner.plain";
  static constexpr std::string_view kGoListType = "[]*hetzner.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Inline<&HetznerSdConfig::http_client>(),
                  Field<&HetznerSdConfig::refresh_interval>("refresh_interval"),
                  Field<&HetznerSdConfig::port>("port"), Field<&HetznerSdConfig::role>("role"),
                  Field<&HetznerSdConfig::label_selector>("label_selector", kOmitEmpty));
  }
  static Status Check(HetznerSdConfig& config) {
    if (config.role.empty()) return Invalid("role missing (one of: robot, hcloud)");
    if (config.role != "robot" && config.role != "hcloud") {
      return Invalid("unknown role " + GoQuote(config.role));
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<IonosSdConfig> {
  static constexpr std::string_view kMechanism = "ionos";
  static constexpr std::string_view kGoType = "ionos.plain";
  static constexpr std::string_view kGoListType = "[]*ionos.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&IonosSdConfig::datacenter_id>("datacenter_id"),
                  Inline<&IonosSdConfig::http_client>(),
                  Field<&IonosSdConfig::refresh_interval>("refresh_interval"),
                  Field<&IonosSdConfig::port>("port"));
  }
  static Status Check(IonosSdConfig& config) {
    if (config.datacenter_id.empty()) return Invalid("datacenter id can't be empty");
    return config.http_client.Validate();
  }
};

template <>
struct Schema<LinodeSdConfig> {
  static constexpr std::string_view kMechanism = "linode";
  static constexpr std::string_view kGoType = "linode.plain";
  static constexpr std::string_view kGoListType = "[]*linode.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Inline<&LinodeSdConfig::http_client>(),
                  Field<&LinodeSdConfig::refresh_interval>("refresh_interval"),
                  Field<&LinodeSdConfig::port>("port"),
                  Field<&LinodeSdConfig::tag_separator>("tag_separator", kOmitEmpty),
                  Field<&LinodeSdConfig::region>("region", kOmitEmpty));
  }
  static Status Check(LinodeSdConfig& config) { return config.http_client.Validate(); }
};

template <>
struct Schema<OciSdConfig> {
  static constexpr std::string_view kMechanism = "oci";
  static constexpr std::string_view kGoType = "oci.plain";
  static constexpr std::string_view kGoListType = "[]*oci.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(
        Field<&OciSdConfig::auth>("auth", kOmitEmpty),
        Field<&OciSdConfig::tenancy>("tenancy", kOmitEmpty),
        Field<&OciSdConfig::user>("user", kOmitEmpty),
        Field<&OciSdConfig::fingerprint>("fingerprint", kOmitEmpty),
        Field<&OciSdConfig::key_file>("key_file", kOmitEmpty | kPath),
        Field<&OciSdConfig::key_passphrase>("key_passphrase", kOmitEmpty),
        Field<&OciSdConfig::key_passphrase_file>("key_passphrase_file", kOmitEmpty | kPath),
        Field<&OciSdConfig::region>("region"),
        Field<&OciSdConfig::compartments>("compartments", kOmitEmpty),
        Inline<&OciSdConfig::http_client>(), Field<&OciSdConfig::port>("port"),
        Field<&OciSdConfig::refresh_interval>("refresh_interval"));
  }
  static Status Check(OciSdConfig& config) {
    if (config.region.empty()) return Invalid("oci_sd: region is required");
    if (config.auth == "api_key") {
      if (config.tenancy.empty()) return Invalid("oci_sd: api_key auth requires tenancy");
      if (config.user.empty()) return Invalid("oci_sd: api_key auth requires user");
      if (config.fingerprint.empty()) return Invalid("oci_sd: api_key auth requires fingerprint");
      if (config.key_file.empty()) return Invalid("oci_sd: api_key auth requires key_file");
      if (!config.key_passphrase.empty() && !config.key_passphrase_file.empty()) {
        return Invalid(
            "oci_sd: at most one of key_passphrase and key_passphrase_file must be configured");
      }
    } else if (config.auth == "instance_principal") {
      if (!config.tenancy.empty() || !config.user.empty() || !config.fingerprint.empty() ||
          !config.key_file.empty() || !config.key_passphrase.empty() ||
          !config.key_passphrase_file.empty()) {
        return Invalid(
            "oci_sd: instance_principal auth must not have tenancy, user, fingerprint, key_file, "
            "key_passphrase, or key_passphrase_file set");
      }
    } else {
      return Invalid(fmt::format(
          "oci_sd: unknown auth method {}, expected \"api_key\" or \"instance_principal\"",
          GoQuote(config.auth)));
    }
    for (size_t i = 0; i < config.compartments.size(); ++i) {
      if (config.compartments[i].empty()) {
        return Invalid(fmt::format("oci_sd: compartments[{}] must not be empty", i));
      }
    }
    if (config.refresh_interval.nanos <= 0) {
      return Invalid("oci_sd: refresh_interval must be positive, got " +
                     config.refresh_interval.ToString());
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<OutscaleSdConfig> {
  static constexpr std::string_view kMechanism = "outscale";
  static constexpr std::string_view kGoType = "outscale.plain";
  static constexpr std::string_view kGoListType = "[]*outscale.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&OutscaleSdConfig::endpoint>("endpoint", kOmitEmpty),
                  Field<&OutscaleSdConfig::region>("region"),
                  Field<&OutscaleSdConfig::access_key>("access_key"),
                  Field<&OutscaleSdConfig::secret_key>("secret_key"),
                  Field<&OutscaleSdConfig::secret_key_file>("secret_key_file", kPath),
                  Field<&OutscaleSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
                  Field<&OutscaleSdConfig::port>("port"), Inline<&OutscaleSdConfig::http_client>());
  }
  static Status Check(OutscaleSdConfig& config) {
    if (config.region.empty()) return Invalid("outscale SD configuration requires a region");
    if (config.access_key.empty()) return Invalid("outscale SD configuration requires access_key");
    if (config.secret_key.empty() && config.secret_key_file.empty()) {
      return Invalid("one of secret_key & secret_key_file must be configured");
    }
    if (!config.secret_key.empty() && !config.secret_key_file.empty()) {
      return Invalid("at most one of secret_key & secret_key_file must be configured");
    }
    if (config.endpoint.empty()) {
      config.endpoint = "https://api." + config.region + ".outscale.com/api/v1";
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<OvhcloudSdConfig> {
  static constexpr std::string_view kMechanism = "ovhcloud";
  static constexpr std::string_view kGoType = "ovhcloud.plain";
  static constexpr std::string_view kGoListType = "[]*ovhcloud.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return {Field<&OvhcloudSdConfig::endpoint>("endpoint"),
            Field<&OvhcloudSdConfig::application_key>("application_key"),
            Field<&OvhcloudSdConfig::application_secret>("application_secret"),
            Field<&OvhcloudSdConfig::consumer_key>("consumer_key"),
            Field<&OvhcloudSdConfig::refresh_interval>("refresh_interval"),
            Field<&OvhcloudSdConfig::service>("service")};
  }
  static Status Check(OvhcloudSdConfig& config) {
    if (config.endpoint.empty()) return Invalid("endpoint can not be empty");
    if (config.application_key.empty()) return Invalid("application key can not be empty");
    if (config.application_secret.empty()) return Invalid("application secret can not be empty");
    if (config.consumer_key.empty()) return Invalid("consumer key can not be empty");
    if (config.service != "dedicated_server" && config.service != "vps") {
      return Invalid("unknown service: " + config.service);
    }
    return {};
  }
};

template <>
struct Schema<ScalewaySdConfig> {
  static constexpr std::string_view kMechanism = "scaleway";
  static constexpr std::string_view kGoType = "scaleway.plain";
  static constexpr std::string_view kGoListType = "[]*scaleway.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&ScalewaySdConfig::project_id>("project_id"),
                  Field<&ScalewaySdConfig::api_url>("api_url", kOmitEmpty),
                  Field<&ScalewaySdConfig::zone>("zone"),
                  Field<&ScalewaySdConfig::access_key>("access_key"),
                  Field<&ScalewaySdConfig::secret_key>("secret_key"),
                  Field<&ScalewaySdConfig::secret_key_file>("secret_key_file", kPath),
                  Field<&ScalewaySdConfig::name_filter>("name_filter", kOmitEmpty),
                  Field<&ScalewaySdConfig::tags_filter>("tags_filter", kOmitEmpty),
                  Inline<&ScalewaySdConfig::http_client>(),
                  Field<&ScalewaySdConfig::refresh_interval>("refresh_interval"),
                  Field<&ScalewaySdConfig::port>("port"), Field<&ScalewaySdConfig::role>("role"));
  }
  static Status Check(ScalewaySdConfig& config) {
    if (config.role.empty()) return Invalid("role missing (one of: instance, baremetal)");
    if (config.role != "instance" && config.role != "baremetal") {
      return Invalid("unknown role " + GoQuote(config.role));
    }
    if (config.project_id.empty()) return Invalid("project_id is mandatory");
    if (config.secret_key.empty() && config.secret_key_file.empty()) {
      return Invalid("one of secret_key & secret_key_file must be configured");
    }
    if (!config.secret_key.empty() && !config.secret_key_file.empty()) {
      return Invalid("at most one of secret_key & secret_key_file must be configured");
    }
    if (config.access_key.empty()) return Invalid("access_key is mandatory");
    return config.http_client.Validate();
  }
};

template <>
struct Schema<StackitSdConfig> {
  static constexpr std::string_view kMechanism = "stackit";
  static constexpr std::string_view kGoType = "stackit.plain";
  static constexpr std::string_view kGoListType = "[]*stackit.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(
        Inline<&StackitSdConfig::http_client>(), Field<&StackitSdConfig::project>("project"),
        Field<&StackitSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
        Field<&StackitSdConfig::port>("port", kOmitEmpty),
        Field<&StackitSdConfig::region>("region", kOmitEmpty),
        Field<&StackitSdConfig::endpoint>("endpoint", kOmitEmpty),
        Field<&StackitSdConfig::service_account_key>("service_account_key", kOmitEmpty),
        Field<&StackitSdConfig::private_key>("private_key", kOmitEmpty),
        Field<&StackitSdConfig::service_account_key_path>("service_account_key_path", kOmitEmpty),
        Field<&StackitSdConfig::private_key_path>("private_key_path", kOmitEmpty),
        Field<&StackitSdConfig::credentials_file_path>("credentials_file_path", kOmitEmpty));
  }
  static Status Check(StackitSdConfig& config) {
    if (config.endpoint.empty() && config.region.empty()) {
      return Invalid("stackit_sd: endpoint and region missing");
    }
    if (const auto url = Url::Parse(config.endpoint); !url.ok()) {
      return url.status().WithPrefix(
          fmt::format("stackit_sd: invalid endpoint {}: ", GoQuote(config.endpoint)));
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<VultrSdConfig> {
  static constexpr std::string_view kMechanism = "vultr";
  static constexpr std::string_view kGoType = "vultr.plain";
  static constexpr std::string_view kGoListType = "[]*vultr.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Inline<&VultrSdConfig::http_client>(),
                  Field<&VultrSdConfig::refresh_interval>("refresh_interval"),
                  Field<&VultrSdConfig::port>("port"));
  }
  static Status Check(VultrSdConfig& config) { return config.http_client.Validate(); }
};

template <>
struct Schema<OpenstackSdConfig> {
  static constexpr std::string_view kMechanism = "openstack";
  static constexpr std::string_view kGoType = "openstack.plain";
  static constexpr std::string_view kGoListType = "[]*openstack.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return {
        Field<&OpenstackSdConfig::identity_endpoint>("identity_endpoint"),
        Field<&OpenstackSdConfig::username>("username"),
        Field<&OpenstackSdConfig::userid>("userid"),
        Field<&OpenstackSdConfig::password>("password"),
        Field<&OpenstackSdConfig::project_name>("project_name"),
        Field<&OpenstackSdConfig::project_id>("project_id"),
        Field<&OpenstackSdConfig::domain_name>("domain_name"),
        Field<&OpenstackSdConfig::domain_id>("domain_id"),
        Field<&OpenstackSdConfig::application_credential_name>("application_credential_name"),
        Field<&OpenstackSdConfig::application_credential_id>("application_credential_id"),
        Field<&OpenstackSdConfig::application_credential_secret>("application_credential_secret"),
        Field<&OpenstackSdConfig::role>("role"),
        Field<&OpenstackSdConfig::region>("region"),
        Field<&OpenstackSdConfig::refresh_interval>("refresh_interval"),
        Field<&OpenstackSdConfig::port>("port"),
        Field<&OpenstackSdConfig::all_tenants>("all_tenants", kOmitEmpty),
        Field<&OpenstackSdConfig::tls_config>("tls_config", kOmitEmpty),
        Field<&OpenstackSdConfig::availability>("availability", kOmitEmpty)};
  }
  static Status Check(OpenstackSdConfig& config) {
    if (!config.role.empty() && config.role != "hypervisor" && config.role != "instance" &&
        config.role != "loadbalancer") {
      return Invalid("unknown OpenStack SD role " + GoQuote(config.role));
    }
    if (config.availability != "public" && config.availability != "internal" &&
        config.availability != "admin") {
      return Invalid(
          fmt::format("unknown availability {}, must be one of admin, internal or public",
                      config.availability));
    }
    if (config.role.empty()) {
      return Invalid("role missing (one of: instance, hypervisor, loadbalancer)");
    }
    if (config.region.empty()) return Invalid("openstack SD configuration requires a region");
    return {};
  }
};

std::vector<SdMechanism> CloudSdMechanisms() {
  return {MakeSdMechanism<AzureSdConfig>(),        MakeSdMechanism<GceSdConfig>(),
          MakeSdMechanism<DigitalOceanSdConfig>(), MakeSdMechanism<HetznerSdConfig>(),
          MakeSdMechanism<IonosSdConfig>(),        MakeSdMechanism<LinodeSdConfig>(),
          MakeSdMechanism<OciSdConfig>(),          MakeSdMechanism<OutscaleSdConfig>(),
          MakeSdMechanism<OvhcloudSdConfig>(),     MakeSdMechanism<ScalewaySdConfig>(),
          MakeSdMechanism<StackitSdConfig>(),      MakeSdMechanism<VultrSdConfig>(),
          MakeSdMechanism<OpenstackSdConfig>()};
}

}  // namespace narthex
