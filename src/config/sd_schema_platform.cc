// Tables of the discovery of registries, orchestrators and inventories.
#include <algorithm>
#include <set>

#include "config/sd_mechanisms.h"
#include "config/sd_schema.h"
#include "util/strings.h"

namespace narthex {

namespace {

Status Invalid(std::string text) {
  return Status(ErrorCode::kInvalidInput, std::move(text));
}

Status CheckUrl(std::string_view text) {
  return Url::Parse(text).status();
}

// A URL of the web with a host.
Status CheckWebUrl(std::string_view text) {
  if (text.empty()) return Invalid("URL is missing");
  NARTHEX_TRY(const Url url, Url::Parse(text));
  if (url.scheme != "http" && url.scheme != "https") {
    return Invalid("URL scheme must be 'http' or 'https'");
  }
  if (url.host.empty()) return Invalid("host is missing in URL");
  return {};
}

Status CheckZookeeper(std::string_view name, const std::vector<std::string>& servers,
                      const std::vector<std::string>& paths) {
  if (servers.empty()) {
    return Invalid(fmt::format("{} SD config must contain at least one Zookeeper server", name));
  }
  if (paths.empty()) {
    return Invalid(fmt::format("{} SD config must contain at least one path", name));
  }
  for (const std::string& path : paths) {
    if (!path.starts_with('/')) {
      return Invalid(fmt::format("{} SD config paths must begin with '/': {}", name, path));
    }
  }
  return {};
}

// A field selector: terms `a=b`, `a==b` or `a!=b`, between commas.
Status CheckFieldSelector(std::string_view selector) {
  std::string term;
  const auto check_term = [&]() -> Status {
    if (term.empty() || term.find('=') != std::string::npos) return {};
    return Invalid(fmt::format("invalid selector: '{}'; can't understand '{}'", selector, term));
  };
  for (size_t i = 0; i < selector.size(); ++i) {
    if (selector[i] == '\\' && i + 1 < selector.size()) {
      term += selector.substr(i, 2);
      ++i;
    } else if (selector[i] == ',') {
      NARTHEX_RETURN_IF_ERROR(check_term());
      term.clear();
    } else {
      term += selector[i];
    }
  }
  return check_term();
}

// Which selectors each role may use, in the order in which messages list them.
std::vector<std::string> AllowedSelectors(std::string_view role) {
  if (role == "pod") return {"pod", "node"};
  if (role == "endpoints") return {"pod", "service", "endpoints"};
  if (role == "endpointslice") return {"pod", "service", "endpointslice"};
  return {std::string(role)};
}

Status CheckKubernetesRole(const std::string& role) {
  for (const std::string_view known :
       {"node", "pod", "service", "endpoints", "endpointslice", "ingress"}) {
    if (role == known) return {};
  }
  return Invalid("unknown Kubernetes SD role " + GoQuote(role));
}

Status CheckKubernetes(KubernetesSdConfig& config) {
  if (config.role.empty()) {
    return Invalid("role missing (one of: pod, service, endpoints, endpointslice, node, ingress)");
  }
  NARTHEX_RETURN_IF_ERROR(CheckKubernetesRole(config.role));
  for (const KubernetesSelector& selector : config.selectors) {
    if (!selector.role.empty()) NARTHEX_RETURN_IF_ERROR(CheckKubernetesRole(selector.role));
  }
  NARTHEX_RETURN_IF_ERROR(config.http_client.Validate());
  const bool has_server = config.api_server.has_value();
  const bool has_kubeconfig = !config.kubeconfig_file.empty();
  const bool custom_client = config.http_client != HttpClientConfig{};
  if (has_server && has_kubeconfig) {
    return Invalid("cannot use 'kubeconfig_file' and 'api_server' simultaneously");
  }
  if (has_kubeconfig && custom_client) {
    return Invalid("cannot use a custom HTTP client configuration together with 'kubeconfig_file'");
  }
  if (!has_server && custom_client) {
    return Invalid(
        "to use custom HTTP client configuration please provide the 'api_server' URL explicitly");
  }
  if (has_server && config.namespaces.own_namespace) {
    return Invalid("cannot use 'api_server' and 'namespaces.own_namespace' simultaneously");
  }
  if (has_kubeconfig && config.namespaces.own_namespace) {
    return Invalid("cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously");
  }
  const std::vector<std::string> allowed = AllowedSelectors(config.role);
  std::set<std::string> seen;
  for (const KubernetesSelector& selector : config.selectors) {
    if (!seen.insert(selector.role).second) {
      return Invalid("duplicated selector role: " + selector.role);
    }
    if (std::find(allowed.begin(), allowed.end(), selector.role) == allowed.end()) {
      return Invalid(
          fmt::format("{} role supports only {} selectors", config.role, Join(allowed, ", ")));
    }
    NARTHEX_RETURN_IF_ERROR(CheckFieldSelector(selector.field));
  }
  return {};
}

}  // namespace

template <>
struct Schema<DockerFilter> {
  static constexpr std::string_view kGoType = "moby.Filter";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&DockerFilter::name>("name"), Field<&DockerFilter::values>("values")};
  }
};

template <>
struct Schema<KubernetesNamespaces> {
  static constexpr std::string_view kGoType = "kubernetes.plain";
  static constexpr Reset kReset = Reset::kZero;
  static FieldList Fields() {
    return {Field<&KubernetesNamespaces::own_namespace>("own_namespace"),
            Field<&KubernetesNamespaces::names>("names")};
  }
};

template <>
struct Schema<KubernetesSelector> {
  static constexpr std::string_view kGoType = "kubernetes.SelectorConfig";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&KubernetesSelector::role>("role", kOmitEmpty),
            Field<&KubernetesSelector::label>("label", kOmitEmpty),
            Field<&KubernetesSelector::field>("field", kOmitEmpty)};
  }
};

template <>
struct Schema<KubernetesAttachMetadata> {
  static constexpr std::string_view kGoType = "kubernetes.AttachMetadataConfig";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&KubernetesAttachMetadata::node>("node"),
            Field<&KubernetesAttachMetadata::namespace_>("namespace"),
            Field<&KubernetesAttachMetadata::deployment>("deployment"),
            Field<&KubernetesAttachMetadata::job>("job"),
            Field<&KubernetesAttachMetadata::cronjob>("cronjob")};
  }
};

template <>
struct Schema<ConsulSdConfig> {
  static constexpr std::string_view kMechanism = "consul";
  static constexpr std::string_view kGoType = "consul.plain";
  static constexpr std::string_view kGoListType = "[]*consul.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&ConsulSdConfig::server>("server", kOmitEmpty),
                  Field<&ConsulSdConfig::path_prefix>("path_prefix", kOmitEmpty),
                  Field<&ConsulSdConfig::token>("token", kOmitEmpty),
                  Field<&ConsulSdConfig::datacenter>("datacenter", kOmitEmpty),
                  Field<&ConsulSdConfig::namespace_>("namespace", kOmitEmpty),
                  Field<&ConsulSdConfig::partition>("partition", kOmitEmpty),
                  Field<&ConsulSdConfig::tag_separator>("tag_separator", kOmitEmpty),
                  Field<&ConsulSdConfig::scheme>("scheme", kOmitEmpty),
                  Field<&ConsulSdConfig::username>("username", kOmitEmpty),
                  Field<&ConsulSdConfig::password>("password", kOmitEmpty),
                  Field<&ConsulSdConfig::allow_stale>("allow_stale"),
                  Field<&ConsulSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
                  Field<&ConsulSdConfig::services>("services", kOmitEmpty),
                  Field<&ConsulSdConfig::tags>("tags", kOmitEmpty),
                  Field<&ConsulSdConfig::node_meta>("node_meta", kOmitEmpty),
                  Field<&ConsulSdConfig::filter>("filter", kOmitEmpty),
                  Field<&ConsulSdConfig::health_filter>("health_filter", kOmitEmpty),
                  Inline<&ConsulSdConfig::http_client>());
  }
  static Status Check(ConsulSdConfig& config) {
    if (TrimSpace(config.server).empty()) {
      return Invalid("consul SD configuration requires a server address");
    }
    if (!config.username.empty() || !config.password.empty()) {
      if (config.http_client.basic_auth) {
        return Invalid(
            "at most one of consul SD configuration username and password and basic auth can be "
            "configured");
      }
      config.http_client.basic_auth.emplace();
      config.http_client.basic_auth->username = config.username;
      config.http_client.basic_auth->password = config.password;
    }
    if (!config.token.empty() && (config.http_client.authorization || config.http_client.oauth2)) {
      return Invalid("at most one of consul SD token, authorization, or oauth2 can be configured");
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<KubernetesSdConfig> {
  static constexpr std::string_view kMechanism = "kubernetes";
  static constexpr std::string_view kGoType = "kubernetes.plain";
  static constexpr std::string_view kGoListType = "[]*kubernetes.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&KubernetesSdConfig::api_server>("api_server", kOmitEmpty),
                  Field<&KubernetesSdConfig::role>("role"),
                  Field<&KubernetesSdConfig::kubeconfig_file>("kubeconfig_file", kPath),
                  Inline<&KubernetesSdConfig::http_client>(),
                  Field<&KubernetesSdConfig::namespaces>("namespaces", kOmitEmpty),
                  Field<&KubernetesSdConfig::selectors>("selectors", kOmitEmpty,
                                                        "[]kubernetes.SelectorConfig"),
                  Field<&KubernetesSdConfig::attach_metadata>("attach_metadata", kOmitEmpty));
  }
  static Status Check(KubernetesSdConfig& config) { return CheckKubernetes(config); }
};

template <>
struct Schema<DockerSdConfig> {
  static constexpr std::string_view kMechanism = "docker";
  static constexpr std::string_view kGoType = "moby.plain";
  static constexpr std::string_view kGoListType = "[]*moby.DockerSDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Inline<&DockerSdConfig::http_client>(), Field<&DockerSdConfig::host>("host"),
                  Field<&DockerSdConfig::port>("port"),
                  Field<&DockerSdConfig::filters>("filters", 0, "[]moby.Filter"),
                  Field<&DockerSdConfig::host_networking_host>("host_networking_host"),
                  Field<&DockerSdConfig::refresh_interval>("refresh_interval"),
                  Field<&DockerSdConfig::match_first_network>("match_first_network"));
  }
  static Status Check(DockerSdConfig& config) {
    if (config.host.empty()) return Invalid("host missing");
    NARTHEX_RETURN_IF_ERROR(CheckUrl(config.host));
    return config.http_client.Validate();
  }
};

template <>
struct Schema<DockerSwarmSdConfig> {
  static constexpr std::string_view kMechanism = "dockerswarm";
  static constexpr std::string_view kGoType = "moby.plain";
  static constexpr std::string_view kGoListType = "[]*moby.DockerSwarmSDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(
        Inline<&DockerSwarmSdConfig::http_client>(), Field<&DockerSwarmSdConfig::host>("host"),
        Field<&DockerSwarmSdConfig::role>("role"), Field<&DockerSwarmSdConfig::port>("port"),
        Field<&DockerSwarmSdConfig::filters>("filters", 0, "[]moby.Filter"),
        Field<&DockerSwarmSdConfig::refresh_interval>("refresh_interval"));
  }
  static Status Check(DockerSwarmSdConfig& config) {
    if (config.host.empty()) return Invalid("host missing");
    NARTHEX_RETURN_IF_ERROR(CheckUrl(config.host));
    if (config.role.empty()) return Invalid("role missing (one of: tasks, services, nodes)");
    if (config.role != "services" && config.role != "nodes" && config.role != "tasks") {
      return Invalid(
          fmt::format("invalid role {}, expected tasks, services, or nodes", config.role));
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<NomadSdConfig> {
  static constexpr std::string_view kMechanism = "nomad";
  static constexpr std::string_view kGoType = "nomad.plain";
  static constexpr std::string_view kGoListType = "[]*nomad.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&NomadSdConfig::allow_stale>("allow_stale"),
                  Inline<&NomadSdConfig::http_client>(),
                  Field<&NomadSdConfig::namespace_>("namespace"),
                  Field<&NomadSdConfig::refresh_interval>("refresh_interval"),
                  Field<&NomadSdConfig::region>("region"), Field<&NomadSdConfig::server>("server"),
                  Field<&NomadSdConfig::tag_separator>("tag_separator", kOmitEmpty));
  }
  static Status Check(NomadSdConfig& config) {
    if (TrimSpace(config.server).empty()) {
      return Invalid("nomad SD configuration requires a server address");
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<MarathonSdConfig> {
  static constexpr std::string_view kMechanism = "marathon";
  static constexpr std::string_view kGoType = "marathon.plain";
  static constexpr std::string_view kGoListType = "[]*marathon.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&MarathonSdConfig::servers>("servers", kOmitEmpty),
                  Field<&MarathonSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
                  Field<&MarathonSdConfig::auth_token>("auth_token", kOmitEmpty),
                  Field<&MarathonSdConfig::auth_token_file>("auth_token_file", kOmitEmpty | kPath),
                  Inline<&MarathonSdConfig::http_client>());
  }
  static Status Check(MarathonSdConfig& config) {
    const auto at_most_one = [](std::string_view keys) {
      return Invalid(fmt::format("marathon_sd: at most one of {} must be configured", keys));
    };
    const HttpClientConfig& http = config.http_client;
    if (config.servers.empty()) {
      return Invalid("marathon_sd: must contain at least one Marathon server");
    }
    const bool has_token = !config.auth_token.empty();
    const bool has_file = !config.auth_token_file.empty();
    if (has_token && has_file) return at_most_one("auth_token & auth_token_file");
    if (has_token || has_file) {
      if (http.basic_auth) return at_most_one("basic_auth, auth_token & auth_token_file");
      if (!http.bearer_token.empty() || !http.bearer_token_file.empty()) {
        return at_most_one("bearer_token, bearer_token_file, auth_token & auth_token_file");
      }
      if (http.authorization) return at_most_one("auth_token, auth_token_file & authorization");
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<KumaSdConfig> {
  static constexpr std::string_view kMechanism = "kuma";
  static constexpr std::string_view kGoType = "xds.plainKumaConf";
  static constexpr std::string_view kGoListType = "[]*xds.KumaSDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Inline<&KumaSdConfig::http_client>(),
                  Field<&KumaSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
                  Field<&KumaSdConfig::fetch_timeout>("fetch_timeout", kOmitEmpty),
                  Field<&KumaSdConfig::server>("server", kOmitEmpty),
                  Field<&KumaSdConfig::client_id>("client_id", kOmitEmpty));
  }
  static Status Check(KumaSdConfig& config) {
    if (config.server.empty()) return Invalid("kuma SD server must not be empty: ");
    NARTHEX_TRY(const Url url, Url::Parse(config.server));
    if (url.scheme.empty() || url.host.empty()) {
      return Invalid("kuma SD server must not be empty and have a scheme: " + config.server);
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<EurekaSdConfig> {
  static constexpr std::string_view kMechanism = "eureka";
  static constexpr std::string_view kGoType = "eureka.plain";
  static constexpr std::string_view kGoListType = "[]*eureka.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&EurekaSdConfig::server>("server", kOmitEmpty),
                  Inline<&EurekaSdConfig::http_client>(),
                  Field<&EurekaSdConfig::refresh_interval>("refresh_interval", kOmitEmpty));
  }
  static Status Check(EurekaSdConfig& config) {
    if (config.server.empty()) return Invalid("eureka_sd: empty or null eureka server");
    NARTHEX_TRY(const Url url, Url::Parse(config.server));
    if (url.scheme.empty() || url.host.empty()) {
      return Invalid("eureka_sd: invalid eureka server URL");
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<ServersetSdConfig> {
  static constexpr std::string_view kMechanism = "serverset";
  static constexpr std::string_view kGoType = "zookeeper.plain";
  static constexpr std::string_view kGoListType = "[]*zookeeper.ServersetSDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return {Field<&ServersetSdConfig::servers>("servers"),
            Field<&ServersetSdConfig::paths>("paths"),
            Field<&ServersetSdConfig::timeout>("timeout", kOmitEmpty)};
  }
  static Status Check(ServersetSdConfig& config) {
    return CheckZookeeper("serverset", config.servers, config.paths);
  }
};

template <>
struct Schema<NerveSdConfig> {
  static constexpr std::string_view kMechanism = "nerve";
  static constexpr std::string_view kGoType = "zookeeper.plain";
  static constexpr std::string_view kGoListType = "[]*zookeeper.NerveSDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return {Field<&NerveSdConfig::servers>("servers"), Field<&NerveSdConfig::paths>("paths"),
            Field<&NerveSdConfig::timeout>("timeout", kOmitEmpty)};
  }
  static Status Check(NerveSdConfig& config) {
    return CheckZookeeper("nerve", config.servers, config.paths);
  }
};

template <>
struct Schema<PuppetdbSdConfig> {
  static constexpr std::string_view kMechanism = "puppetdb";
  static constexpr std::string_view kGoType = "puppetdb.plain";
  static constexpr std::string_view kGoListType = "[]*puppetdb.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Inline<&PuppetdbSdConfig::http_client>(),
                  Field<&PuppetdbSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
                  Field<&PuppetdbSdConfig::url>("url"), Field<&PuppetdbSdConfig::query>("query"),
                  Field<&PuppetdbSdConfig::include_parameters>("include_parameters"),
                  Field<&PuppetdbSdConfig::port>("port"));
  }
  static Status Check(PuppetdbSdConfig& config) {
    NARTHEX_RETURN_IF_ERROR(CheckWebUrl(config.url));
    if (config.query.empty()) return Invalid("query missing");
    return config.http_client.Validate();
  }
};

template <>
struct Schema<TritonSdConfig> {
  static constexpr std::string_view kMechanism = "triton";
  static constexpr std::string_view kGoType = "triton.plain";
  static constexpr std::string_view kGoListType = "[]*triton.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return {Field<&TritonSdConfig::account>("account"),
            Field<&TritonSdConfig::role>("role"),
            Field<&TritonSdConfig::dns_suffix>("dns_suffix"),
            Field<&TritonSdConfig::endpoint>("endpoint"),
            Field<&TritonSdConfig::groups>("groups", kOmitEmpty),
            Field<&TritonSdConfig::port>("port"),
            Field<&TritonSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
            Field<&TritonSdConfig::tls_config>("tls_config", kOmitEmpty),
            Field<&TritonSdConfig::version>("version")};
  }
  static Status Check(TritonSdConfig& config) {
    const auto requires_a = [](std::string_view what) {
      return Invalid(fmt::format("triton SD configuration requires {}", what));
    };
    if (config.role != "container" && config.role != "cn") {
      return requires_a("role to be 'container' or 'cn'");
    }
    if (config.account.empty()) return requires_a("an account");
    if (config.dns_suffix.empty()) return requires_a("a dns_suffix");
    if (config.endpoint.empty()) return requires_a("an endpoint");
    if (config.refresh_interval.nanos <= 0) {
      return requires_a("RefreshInterval to be a positive integer");
    }
    return {};
  }
};

template <>
struct Schema<UyuniSdConfig> {
  static constexpr std::string_view kMechanism = "uyuni";
  static constexpr std::string_view kGoType = "uyuni.plain";
  static constexpr std::string_view kGoListType = "[]*uyuni.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(
        Field<&UyuniSdConfig::server>("server"), Field<&UyuniSdConfig::username>("username"),
        Field<&UyuniSdConfig::password>("password"), Inline<&UyuniSdConfig::http_client>(),
        Field<&UyuniSdConfig::entitlement>("entitlement", kOmitEmpty),
        Field<&UyuniSdConfig::separator>("separator", kOmitEmpty),
        Field<&UyuniSdConfig::refresh_interval>("refresh_interval", kOmitEmpty));
  }
  static Status Check(UyuniSdConfig& config) {
    if (config.server.empty()) return Invalid("Uyuni SD configuration requires server host");
    if (const auto url = Url::Parse(config.server); !url.ok()) {
      return url.status().WithPrefix("Uyuni Server URL is not valid: ");
    }
    if (config.username.empty()) return Invalid("Uyuni SD configuration requires a username");
    if (config.password.empty()) return Invalid("Uyuni SD configuration requires a password");
    return config.http_client.Validate();
  }
};

std::vector<SdMechanism> PlatformSdMechanisms() {
  return {MakeSdMechanism<ConsulSdConfig>(),    MakeSdMechanism<KubernetesSdConfig>(),
          MakeSdMechanism<DockerSdConfig>(),    MakeSdMechanism<DockerSwarmSdConfig>(),
          MakeSdMechanism<NomadSdConfig>(),     MakeSdMechanism<MarathonSdConfig>(),
          MakeSdMechanism<KumaSdConfig>(),      MakeSdMechanism<EurekaSdConfig>(),
          MakeSdMechanism<ServersetSdConfig>(), MakeSdMechanism<NerveSdConfig>(),
          MakeSdMechanism<PuppetdbSdConfig>(),  MakeSdMechanism<TritonSdConfig>(),
          MakeSdMechanism<UyuniSdConfig>()};
}

}  // namespace narthex
