#include "discovery/kubernetes/credentials.h"

#include <absl/strings/escaping.h>

#include "config/yaml_node.h"
#include "discovery/target_group.h"
#include "util/environment.h"
#include "util/strings.h"

namespace narthex::kubernetes {

namespace {

constexpr std::string_view kAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount/";

Status Invalid(std::string text) {
  return Status(ErrorCode::kInvalidInput, std::move(text));
}

std::string WithoutSlash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

// The member of a mapping, or null.
const YamlNode* Find(const YamlNode* node, std::string_view name) {
  if (node == nullptr || node->kind != YamlNode::Kind::kMapping) return nullptr;
  for (size_t i = 0; i + 1 < node->children.size(); i += 2) {
    if (node->children[i]->value == name) return node->children[i + 1];
  }
  return nullptr;
}

std::string TextOf(const YamlNode* node, std::string_view name) {
  const YamlNode* found = Find(node, name);
  return found != nullptr && found->is_scalar() && !found->is_null() ? found->value : "";
}

// `clusters: [{name: …, cluster: {…}}]`: the inner mapping of the entry with that name.
const YamlNode* FindNamed(const YamlNode* root, std::string_view list, std::string_view member,
                          const std::string& name) {
  const YamlNode* entries = Find(root, list);
  if (entries == nullptr) return nullptr;
  for (const YamlNode* entry : entries->children) {
    if (TextOf(entry, "name") == name) return Find(entry, member);
  }
  return nullptr;
}

Result<std::string> DecodedData(const YamlNode* node, std::string_view name) {
  const std::string encoded = TextOf(node, name);
  std::string decoded;
  if (!absl::Base64Unescape(encoded, &decoded)) {
    return Invalid(fmt::format("{}: illegal base64 data", name));
  }
  return decoded;
}

std::string PathOf(const YamlNode* node, std::string_view name, const std::string& folder) {
  const std::string path = TextOf(node, name);
  return path.empty() || path.starts_with('/') ? path : JoinPath(folder, path);
}

Status ReadCluster(const YamlNode* cluster, const std::string& folder, Credentials* out) {
  out->base_url = WithoutSlash(TextOf(cluster, "server"));
  if (out->base_url.find("://") == std::string::npos) out->base_url = "http://" + out->base_url;
  TlsConfig& tls = out->client.tls_config;
  NARTHEX_TRY(tls.ca, DecodedData(cluster, "certificate-authority-data"));
  if (tls.ca.empty()) tls.ca_file = PathOf(cluster, "certificate-authority", folder);
  tls.insecure_skip_verify = TextOf(cluster, "insecure-skip-tls-verify") == "true";
  tls.server_name = TextOf(cluster, "tls-server-name");
  if (const std::string proxy = TextOf(cluster, "proxy-url"); !proxy.empty()) {
    NARTHEX_TRY(out->client.proxy.proxy_url, Url::Parse(proxy));
  }
  return {};
}

Status ReadUser(const YamlNode* user, const std::string& folder, Credentials* out) {
  for (const std::string_view plugin : {"exec", "auth-provider"}) {
    if (Find(user, plugin) != nullptr) {
      return MakeError(ErrorCode::kUnsupported,
                       "kubeconfig users with \"{}\" are not supported yet", plugin);
    }
  }
  TlsConfig& tls = out->client.tls_config;
  NARTHEX_TRY(tls.cert, DecodedData(user, "client-certificate-data"));
  if (tls.cert.empty()) tls.cert_file = PathOf(user, "client-certificate", folder);
  NARTHEX_TRY(tls.key.value, DecodedData(user, "client-key-data"));
  if (tls.key.empty()) tls.key_file = PathOf(user, "client-key", folder);
  const std::string token = TextOf(user, "token");
  const std::string token_file = PathOf(user, "tokenFile", folder);
  if (!token.empty() || !token_file.empty()) {
    Authorization authorization;
    authorization.type = "Bearer";
    // The file wins, as with upstream's client.
    authorization.credentials_file = token_file;
    if (token_file.empty()) authorization.credentials.value = token;
    out->client.authorization = std::move(authorization);
  }
  const std::string username = TextOf(user, "username");
  if (!username.empty()) {
    BasicAuth basic;
    basic.username = username;
    basic.password.value = TextOf(user, "password");
    out->client.basic_auth = std::move(basic);
  }
  return {};
}

Result<Credentials> InCluster(bool own_namespace, FileSystem& files) {
  const std::string host = EnvironmentVariable("KUBERNETES_SERVICE_HOST");
  const std::string port = EnvironmentVariable("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    return Invalid(
        "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
        "KUBERNETES_SERVICE_PORT must be defined");
  }
  const std::string folder(kAccountFolder);
  NARTHEX_RETURN_IF_ERROR(files.ReadAll(folder + "token").status());
  Credentials found;
  found.base_url = "https://" + JoinHostPort(host, port);
  Authorization authorization;
  authorization.type = "Bearer";
  // Tokens are replaced every hour or so, hence the file.
  authorization.credentials_file = folder + "token";
  found.client.authorization = std::move(authorization);
  if (files.Exists(folder + "ca.crt")) found.client.tls_config.ca_file = folder + "ca.crt";
  if (own_namespace) {
    Result<std::string> name = files.ReadAll(folder + "namespace");
    if (!name.ok()) return name.status().WithPrefix("could not determine the pod's namespace: ");
    if (name->empty()) return Invalid("could not read own namespace name (empty file)");
    found.own_namespace = *std::move(name);
  }
  return found;
}

}  // namespace

Result<Credentials> ReadKubeconfig(std::string_view yaml, const std::string& folder) {
  NARTHEX_TRY(const YamlDocument document, YamlDocument::Parse(yaml));
  const YamlNode* root = document.root();
  const std::string current = TextOf(root, "current-context");
  const YamlNode* context = FindNamed(root, "contexts", "context", current);
  if (context == nullptr) {
    return Invalid(current.empty()
                       ? "invalid configuration: no configuration has been provided"
                       : fmt::format("invalid configuration: context was not found for specified "
                                     "context: {}",
                                     current));
  }
  const YamlNode* cluster = FindNamed(root, "clusters", "cluster", TextOf(context, "cluster"));
  if (cluster == nullptr || TextOf(cluster, "server").empty()) {
    return Invalid(fmt::format("invalid configuration: no server found for cluster {}",
                               GoQuote(TextOf(context, "cluster"))));
  }
  Credentials found;
  NARTHEX_RETURN_IF_ERROR(ReadCluster(cluster, folder, &found));
  if (const YamlNode* user = FindNamed(root, "users", "user", TextOf(context, "user"))) {
    NARTHEX_RETURN_IF_ERROR(ReadUser(user, folder, &found));
  }
  return found;
}

Result<Credentials> FindCredentials(const KubernetesSdConfig& config, FileSystem& files) {
  if (!config.kubeconfig_file.empty()) {
    const std::string& path = config.kubeconfig_file;
    NARTHEX_TRY(const std::string text, files.ReadAll(path));
    const size_t slash = path.rfind('/');
    return ReadKubeconfig(text, slash == std::string::npos ? "." : path.substr(0, slash));
  }
  if (!config.api_server) return InCluster(config.namespaces.own_namespace, files);
  return Credentials{WithoutSlash(config.api_server->ToString()), config.http_client, ""};
}

}  // namespace narthex::kubernetes
