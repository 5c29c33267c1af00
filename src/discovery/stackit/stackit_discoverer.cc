#include "discovery/stackit/stackit_discoverer.h"

#include "config/sd_mechanisms.h"
#include "discovery/http/access_token.h"
#include "discovery/http/json_api.h"
#include "net/crypto.h"
#include "net/url.h"
#include "util/environment.h"
#include "util/time.h"

namespace narthex {

namespace {

constexpr std::string_view kTokenUrl = "https://service-account.api.stackit.cloud/token";
constexpr int64_t kAssertionSeconds = 3600;
constexpr int64_t kTokenMarginSeconds = 5;

class StackitDiscoverer : public ApiDiscoverer {
 public:
  StackitDiscoverer(const StackitSdConfig& config, std::string set_name,
                    DiscoveryEnvironment& environment)
      : ApiDiscoverer("stackit", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config),
        token_(api(), kTokenMarginSeconds) {}

 private:
  Async<Groups> FetchGroups() override {
    std::string url = config_.endpoint;
    if (url.empty()) url = fmt::format("https://iaas.api.{}.stackit.cloud", config_.region);
    while (url.ends_with('/')) url.pop_back();
    url += fmt::format("/v1/projects/{}/servers?details=true", net::PathEscape(config_.project));
    FetchRequest request = WithHeader(api().Get(std::move(url)), "Accept", "application/json");
    if (!config_.service_account_key.value.empty() || !config_.service_account_key_path.empty()) {
      const Result<std::string> token = co_await Token();
      if (!token.ok()) co_return token.status().WithPrefix("sending request: ");
      request = WithHeader(std::move(request), "Authorization", "Bearer " + *token);
    }
    const Result<FetchResponse> answer = co_await api().Send(std::move(request));
    if (!answer.ok()) co_return answer.status().WithPrefix("sending request: ");
    if (answer->status_code == 401) token_.Drop();
    if (answer->status_code != 200) {
      constexpr size_t kShownMax = 512;
      co_return MakeError(ErrorCode::kUnavailable, "unexpected status code {}: {}",
                          answer->status_code, answer->body.substr(0, kShownMax));
    }
    const Result<json::object> list = ParseJsonObject(answer->body);
    if (!list.ok()) co_return list.status().WithPrefix("decoding response: ");
    std::vector<TargetGroup> groups(1);
    groups[0].source = "stackit";
    for (const json::value& server : Array(*list, "items")) {
      std::optional<TargetLabels> target = ServerTarget(server);
      if (target) groups[0].targets.push_back(*std::move(target));
    }
    co_return groups;
  }

  // The target, or nothing for a server without any address.
  std::optional<TargetLabels> ServerTarget(const json::value& server) const {
    TextMap labels = {
        {"__meta_stackit_project", config_.project},
        {"__meta_stackit_id", Text(server, "id")},
        {"__meta_stackit_name", Text(server, "name")},
        {"__meta_stackit_availability_zone", Text(server, "availabilityZone")},
        {"__meta_stackit_status", Text(server, "status")},
        {"__meta_stackit_power_status", Text(server, "powerStatus")},
        {"__meta_stackit_type", Text(server, "machineType")},
    };
    // The first public address wins over the first private one.
    std::string public_ip;
    std::string address;
    for (const json::value& nic : Array(server, "nics")) {
      if (public_ip.empty()) {
        public_ip = Text(nic, "publicIp");
        if (!public_ip.empty()) address = public_ip;
      }
      const std::string ipv4 = Text(nic, "ipv4");
      if (ipv4.empty()) continue;
      labels["__meta_stackit_private_ipv4_" + SanitizeLabelName(Text(nic, "networkName"))] = ipv4;
      if (address.empty()) address = ipv4;
    }
    if (address.empty()) return std::nullopt;
    if (!public_ip.empty()) labels["__meta_stackit_public_ipv4"] = public_ip;
    labels[std::string(kAddressLabel)] = JoinHostPort(address, config_.port);
    for (const auto& [key, value] : Object(server, "labels")) {
      if (!value.is_string()) continue;
      const std::string name = SanitizeLabelName(key);
      labels["__meta_stackit_labelpresent_" + name] = "true";
      labels["__meta_stackit_label_" + name] = std::string(AsText(value));
    }
    return ToTarget(std::move(labels));
  }

  // An access token for the service account: a statement signed by its key is traded for one.
  Async<Result<std::string>> Token() {
    if (std::optional<std::string> kept = token_.Kept()) co_return *std::move(kept);
    NARTHEX_CO_TRY(const json::object account, ServiceAccount());
    const json::object& credentials = Object(account, "credentials");
    NARTHEX_CO_TRY(const std::string private_key, PrivateKey(credentials));
    const int64_t now = Clock::System().NowNanos() / kNanosPerSecond;
    const json::object header{{"alg", "RS512"}, {"typ", "JWT"}, {"kid", Text(credentials, "kid")}};
    const json::object claims{{"iss", Text(credentials, "iss")},
                              {"sub", Text(credentials, "sub")},
                              {"jti", net::RandomUuid()},
                              {"aud", Text(credentials, "aud")},
                              {"iat", now},
                              {"exp", now + kAssertionSeconds}};
    const Result<std::string> assertion =
        net::SignJwt(json::serialize(header), json::serialize(claims), private_key, "SHA512");
    if (!assertion.ok()) {
      co_return assertion.status().WithPrefix("parse private key from PEM file: ");
    }
    net::FormValues form;
    form.Add("grant_type", std::string(kJwtBearerGrant));
    form.Add("assertion", *assertion);
    std::string url = EnvironmentVariable("STACKIT_TOKEN_BASEURL");
    if (url.empty()) url = Text(credentials, "tokenEndpoint");
    if (url.empty()) url = kTokenUrl;
    Result<std::string> token = co_await token_.Fetch(
        api().Make("POST", std::move(url), form.Encode(), "application/x-www-form-urlencoded"));
    if (!token.ok()) co_return token.status().WithPrefix("get new access token: ");
    co_return token;
  }

  Result<json::object> ServiceAccount() {
    std::string text = config_.service_account_key.value;
    if (text.empty()) {
      Result<std::string> read = ReadKey(config_.service_account_key_path);
      if (!read.ok()) {
        return read.status().WithPrefix(
            "configuring key authentication: service account key could not be found: ");
      }
      text = *std::move(read);
    }
    Result<json::object> account = ParseJsonObject(text);
    if (account.ok()) return account;
    const Status status = account.status().WithPrefix("unmarshalling service account key: ");
    if (!text.starts_with("-----BEGIN")) return status;
    return Status(status.code(),
                  status.message() +
                      " - it seems like the provided service account key is in PEM format. Please "
                      "provide it in JSON format.");
  }

  // From the entry, the environment, the file of credentials, or the service account itself.
  Result<std::string> PrivateKey(const json::object& credentials) {
    const auto otherwise = [&](const Status& why) -> Result<std::string> {
      std::string own = Text(credentials, "privateKey");
      if (!own.empty()) return own;
      return why.WithPrefix(
          "configuring key authentication: private key is not part of the service account key and "
          "could not be found: ");
    };
    if (!config_.private_key.value.empty()) return config_.private_key.value;
    std::string path = config_.private_key_path;
    if (path.empty()) path = EnvironmentVariable("STACKIT_PRIVATE_KEY_PATH");
    if (path.empty()) {
      std::string key = EnvironmentVariable("STACKIT_PRIVATE_KEY");
      if (!key.empty()) return key;
      const Result<std::string> text = environment().files->ReadAll(CredentialsPath());
      if (!text.ok()) {
        return otherwise(text.status().WithPrefix("reading from credentials file: opening file: "));
      }
      const Result<json::object> file = ParseJsonObject(*text);
      if (!file.ok()) {
        return otherwise(
            file.status().WithPrefix("reading from credentials file: unmarshalling credentials: "));
      }
      path = Text(*file, "STACKIT_PRIVATE_KEY_PATH");
      if (path.empty()) {
        key = Text(*file, "STACKIT_PRIVATE_KEY");
        if (!key.empty()) return key;
        return otherwise(Status(ErrorCode::kNotFound,
                                "neither key nor path is provided in the configuration, "
                                "environment variable, or credentials file: private key is empty "
                                "or not set"));
      }
    }
    Result<std::string> read = ReadKey(path);
    return read.ok() ? std::move(read) : otherwise(read.status());
  }

  std::string CredentialsPath() const {
    if (!config_.credentials_file_path.empty()) return config_.credentials_file_path;
    const std::string path = EnvironmentVariable("STACKIT_CREDENTIALS_PATH");
    return path.empty() ? JoinPath(EnvironmentVariable("HOME"), ".stackit/credentials.json") : path;
  }

  Result<std::string> ReadKey(const std::string& path) {
    Result<std::string> text = environment().files->ReadAll(path);
    if (!text.ok()) return text.status().WithPrefix("reading key from file path: ");
    if (text->empty()) {
      return MakeError(ErrorCode::kInvalidInput, "key path points to an empty file");
    }
    return text;
  }

  const StackitSdConfig config_;
  AccessToken token_;
};

}  // namespace

void RegisterStackitDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<StackitDiscoverer, StackitSdConfig>(registry, "stackit");
}

}  // namespace narthex
