#include "discovery/azure/azure_token.h"

#include <cstdlib>

#include "util/environment.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex {

namespace {

constexpr int kAttemptsMax = 4;
constexpr int64_t kFirstPauseNanos = 800'000'000;
constexpr int64_t kPauseNanosMax = 60 * kNanosPerSecond;
constexpr int64_t kTokenMarginSeconds = 300;

bool IsWorthRetrying(const Result<FetchResponse>& answer) {
  if (!answer.ok()) return answer.status().code() != ErrorCode::kLimitExceeded;
  for (const int status : {408, 429, 500, 502, 503, 504}) {
    if (answer->status_code == status) return true;
  }
  return false;
}

// How long the server wants us to wait; 0: it does not say.
int64_t WantedPauseNanos(const FetchResponse& answer) {
  for (const auto& [name, unit] : {std::pair("retry-after-ms", kNanosPerSecond / 1000),
                                   std::pair("x-ms-retry-after-ms", kNanosPerSecond / 1000),
                                   std::pair("Retry-After", kNanosPerSecond)}) {
    const int64_t count = std::atoll(std::string(answer.Header(name)).c_str());
    if (count > 0) return std::min(count, kPauseNanosMax / unit) * unit;
  }
  return 0;
}

}  // namespace

Result<AzureCloud> AzureCloudOf(const std::string& environment) {
  const std::string name = ToUpper(environment);
  if (name == "AZURECHINACLOUD") {
    return AzureCloud{"https://login.chinacloudapi.cn/", "https://management.chinacloudapi.cn",
                      "https://management.core.chinacloudapi.cn/"};
  }
  if (name == "AZUREUSGOVERNMENT" || name == "AZUREUSGOVERNMENTCLOUD") {
    return AzureCloud{"https://login.microsoftonline.us/", "https://management.usgovcloudapi.net",
                      "https://management.core.usgovcloudapi.net/"};
  }
  // The German cloud was merged into the public one.
  if (name == "AZURECLOUD" || name == "AZUREPUBLICCLOUD" || name == "AZUREGERMANCLOUD") {
    return AzureCloud{"https://login.microsoftonline.com/", "https://management.azure.com",
                      "https://management.core.windows.net/"};
  }
  return MakeError(ErrorCode::kInvalidInput, "there is no cloud configuration matching the name {}",
                   GoQuote(name));
}

Async<Result<FetchResponse>> SendToAzure(const ApiClient& api, FetchRequest request) {
  int64_t pause_nanos = kFirstPauseNanos;
  for (int attempt = 1;; ++attempt) {
    Result<FetchResponse> answer = co_await api.Send(request);
    if (attempt == kAttemptsMax || !IsWorthRetrying(answer)) co_return answer;
    const int64_t wanted_nanos = answer.ok() ? WantedPauseNanos(*answer) : 0;
    co_await SleepOn(*api.environment().loop, wanted_nanos != 0 ? wanted_nanos : pause_nanos);
    pause_nanos = std::min(pause_nanos * 2, kPauseNanosMax);
  }
}

AzureToken::AzureToken(const ApiClient& api, const AzureSdConfig& config)
    : api_(api),
      config_(config),
      plain_client_(std::make_shared<const HttpClientConfig>()),
      token_(api, kTokenMarginSeconds) {}

Async<Result<std::string>> AzureToken::Get(AzureCloud cloud) {
  if (std::optional<std::string> kept = token_.Kept()) co_return *std::move(kept);
  NARTHEX_CO_TRY(FetchRequest request, Request(cloud));
  request.client = plain_client_;
  const Result<FetchResponse> answer = co_await SendToAzure(api_, std::move(request));
  Result<std::string> token = answer.ok() ? token_.Keep(*answer) : answer.status();
  if (!token.ok()) {
    co_return token.status().WithPrefix(config_.authentication_method + " authentication failed: ");
  }
  co_return token;
}

Result<FetchRequest> AzureToken::Request(const AzureCloud& cloud) const {
  const std::string& method = config_.authentication_method;
  if (method == "ManagedIdentity") return FromManagedIdentity(cloud, config_.client_id);
  if (method == "WorkloadIdentity") return FromWorkloadIdentity(cloud, "");
  if (method == "SDK") return FromDefaultChain(cloud);
  return WithSecret(cloud, config_.tenant_id, config_.client_id, config_.client_secret.value);
}

Result<FetchRequest> AzureToken::FromDefaultChain(const AzureCloud& cloud) const {
  const std::string chosen = ToLower(EnvironmentVariable("AZURE_TOKEN_CREDENTIALS"));
  const auto may = [&](std::string_view name) {
    return chosen.empty() || chosen == "prod" || chosen == name;
  };
  const std::string client = EnvironmentVariable("AZURE_CLIENT_ID");
  if (may("environmentcredential")) {
    const std::string tenant = EnvironmentVariable("AZURE_TENANT_ID");
    const std::string secret = EnvironmentVariable("AZURE_CLIENT_SECRET");
    if (!tenant.empty() && !client.empty() && !secret.empty()) {
      return WithSecret(cloud, tenant, client, secret);
    }
  }
  if (may("workloadidentitycredential")) {
    Result<FetchRequest> request = FromWorkloadIdentity(cloud, config_.tenant_id);
    if (request.ok()) return request;
  }
  if (may("managedidentitycredential")) return FromManagedIdentity(cloud, client);
  return MakeError(ErrorCode::kUnsupported,
                   "DefaultAzureCredential: nothing that AZURE_TOKEN_CREDENTIALS={} allows is set "
                   "up; credentials of command line tools are not supported yet",
                   GoQuote(EnvironmentVariable("AZURE_TOKEN_CREDENTIALS")));
}

FetchRequest AzureToken::WithSecret(const AzureCloud& cloud, const std::string& tenant,
                                    const std::string& client, const std::string& secret) const {
  net::FormValues form;
  form.Add("client_id", client);
  form.Add("client_secret", secret);
  return TokenRequest(cloud, tenant, std::move(form));
}

Result<FetchRequest> AzureToken::FromWorkloadIdentity(const AzureCloud& cloud,
                                                      const std::string& tenant) const {
  const auto missing = [](std::string_view what, std::string_view option) {
    return MakeError(ErrorCode::kInvalidInput,
                     "no {} specified. Check pod configuration or set {} in the options", what,
                     option);
  };
  const std::string client = EnvironmentVariable("AZURE_CLIENT_ID");
  if (client.empty()) return missing("client ID", "ClientID");
  const std::string path = EnvironmentVariable("AZURE_FEDERATED_TOKEN_FILE");
  if (path.empty()) return missing("token file", "TokenFilePath");
  const std::string own_tenant = tenant.empty() ? EnvironmentVariable("AZURE_TENANT_ID") : tenant;
  if (own_tenant.empty()) return missing("tenant ID", "TenantID");
  // Read anew every time: the file changes.
  NARTHEX_TRY(std::string assertion, api_.environment().files->ReadAll(path));
  net::FormValues form;
  form.Add("client_id", client);
  form.Add("client_assertion", std::move(assertion));
  form.Add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
  return TokenRequest(cloud, own_tenant, std::move(form));
}

Result<FetchRequest> AzureToken::FromManagedIdentity(const AzureCloud& cloud,
                                                     const std::string& client) const {
  net::FormValues query;
  query.Add("resource", cloud.audience);
  if (!client.empty()) query.Add("client_id", client);
  const std::string endpoint = EnvironmentVariable("IDENTITY_ENDPOINT");
  const std::string header = EnvironmentVariable("IDENTITY_HEADER");
  if (!endpoint.empty() && !header.empty() &&
      EnvironmentVariable("IDENTITY_SERVER_THUMBPRINT").empty()) {
    query.Add("api-version", "2019-08-01");
    FetchRequest request = api_.Get(endpoint + "?" + query.Encode());
    request.headers.emplace_back("X-IDENTITY-HEADER", header);
    return request;
  }
  if (!endpoint.empty() || !EnvironmentVariable("MSI_ENDPOINT").empty()) {
    return MakeError(ErrorCode::kUnsupported,
                     "managed identities of Service Fabric, Azure Arc, Cloud Shell and Machine "
                     "Learning are not supported yet");
  }
  std::string host = EnvironmentVariable("AZURE_POD_IDENTITY_AUTHORITY_HOST");
  if (host.empty()) host = "http://169.254.169.254";
  query.Add("api-version", "2018-02-01");
  FetchRequest request = api_.Get(host + "/metadata/identity/oauth2/token?" + query.Encode());
  request.headers.emplace_back("Metadata", "true");
  return request;
}

FetchRequest AzureToken::TokenRequest(const AzureCloud& cloud, const std::string& tenant,
                                      net::FormValues form) const {
  form.Add("grant_type", "client_credentials");
  // The audience ends in a slash, and this adds another: so it is registered.
  form.Add("scope", cloud.audience + "/.default");
  return api_.Make("POST", cloud.authority + net::PathEscape(tenant) + "/oauth2/v2.0/token",
                   form.Encode(), "application/x-www-form-urlencoded");
}

}  // namespace narthex
