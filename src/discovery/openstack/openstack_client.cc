#include "discovery/openstack/openstack_client.h"

#include "net/url.h"
#include "util/environment.h"
#include "util/strings.h"

namespace narthex {

namespace {

constexpr int kPagesMax = 10'000;

// The first of these variables that is set, or "".
std::string FirstOf(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (std::string value = EnvironmentVariable(name); !value.empty()) return value;
  }
  return "";
}

// As the command-line tools of OpenStack read their environment.
void FillFromEnvironment(OpenstackSdConfig* config) {
  config->identity_endpoint = FirstOf({"OS_AUTH_URL"});
  config->username = FirstOf({"OS_USERNAME"});
  config->userid = FirstOf({"OS_USERID", "OS_USER_ID"});
  config->password.value = FirstOf({"OS_PASSWORD"});
  config->project_id = FirstOf({"OS_PROJECT_ID", "OS_TENANT_ID"});
  config->project_name = FirstOf({"OS_PROJECT_NAME", "OS_TENANT_NAME"});
  config->domain_id = FirstOf({"OS_DOMAIN_ID", "OS_USER_DOMAIN_ID", "OS_PROJECT_DOMAIN_ID"});
  config->domain_name =
      FirstOf({"OS_DOMAIN_NAME", "OS_USER_DOMAIN_NAME", "OS_PROJECT_DOMAIN_NAME"});
  config->application_credential_id = FirstOf({"OS_APPLICATION_CREDENTIAL_ID"});
  config->application_credential_name = FirstOf({"OS_APPLICATION_CREDENTIAL_NAME"});
  config->application_credential_secret.value = FirstOf({"OS_APPLICATION_CREDENTIAL_SECRET"});
}

std::string WithSlash(std::string url) {
  if (!url.ends_with('/')) url += '/';
  return url;
}

// Keystone's address with its version.
std::string IdentityUrl(const std::string& endpoint) {
  std::string url = WithSlash(endpoint);
  return url.ends_with("/v3/") ? url : url + "v3/";
}

}  // namespace

OpenstackClient::OpenstackClient(const ApiClient& api, const OpenstackSdConfig& config)
    : api_(api), config_(config) {
  if (config_.identity_endpoint.empty()) FillFromEnvironment(&config_);
}

json::object OpenstackClient::AuthRequest() const {
  json::object domain;
  if (!config_.domain_id.empty()) {
    domain["id"] = config_.domain_id;
  } else if (!config_.domain_name.empty()) {
    domain["name"] = config_.domain_name;
  }
  json::object user;
  if (!config_.userid.empty()) {
    user["id"] = config_.userid;
  } else {
    user["name"] = config_.username;
    if (!domain.empty()) user["domain"] = domain;
  }
  const std::string& secret = config_.application_credential_secret.value;
  if (!secret.empty()) {
    json::object credential{{"secret", secret}};
    if (!config_.application_credential_id.empty()) {
      credential["id"] = config_.application_credential_id;
    } else {
      credential["name"] = config_.application_credential_name;
      credential["user"] = user;
    }
    return {{"auth", json::object{{"identity",
                                   json::object{{"methods", json::array{"application_credential"}},
                                                {"application_credential", credential}}}}}};
  }
  user["password"] = config_.password.value;
  json::object auth{{"identity", json::object{{"methods", json::array{"password"}},
                                              {"password", json::object{{"user", user}}}}}};
  if (!config_.project_id.empty()) {
    auth["scope"] = json::object{{"project", json::object{{"id", config_.project_id}}}};
  } else if (!config_.project_name.empty()) {
    json::object project{{"name", config_.project_name}};
    if (!domain.empty()) project["domain"] = domain;
    auth["scope"] = json::object{{"project", project}};
  } else if (!domain.empty()) {
    auth["scope"] = json::object{{"domain", domain}};
  }
  return {{"auth", auth}};
}

Async<Status> OpenstackClient::Authenticate() {
  constexpr std::string_view kWhat = "could not authenticate to OpenStack: ";
  const Result<FetchResponse> answer =
      co_await api_.Send(api_.Make("POST", IdentityUrl(config_.identity_endpoint) + "auth/tokens",
                                   json::serialize(AuthRequest()), "application/json"));
  if (!answer.ok()) co_return answer.status().WithPrefix(kWhat);
  if (answer->status_code / 100 != 2) {
    co_return MakeError(ErrorCode::kUnavailable, "{}{}: {}", kWhat, answer->status,
                        answer->body.substr(0, 512));
  }
  const Result<json::object> read = ParseJsonObject(answer->body);
  if (!read.ok()) co_return read.status().WithPrefix(kWhat);
  token_ = answer->Header("X-Subject-Token");
  catalog_ = Array(Member(*read, "token"), "catalog");
  co_return Status();
}

Result<std::string> OpenstackClient::Endpoint(std::string_view type) const {
  for (const json::value& service : catalog_) {
    if (AsText(Member(service, "type")) != type) continue;
    for (const json::value& endpoint : Array(service, "endpoints")) {
      if (Text(endpoint, "interface") != config_.availability) continue;
      const bool here = config_.region.empty() || Text(endpoint, "region") == config_.region ||
                        Text(endpoint, "region_id") == config_.region;
      if (here) return WithSlash(Text(endpoint, "url"));
    }
  }
  return MakeError(ErrorCode::kNotFound,
                   "No suitable endpoint could be found in the service catalog.");
}

Async<Result<json::array>> OpenstackClient::List(std::string url, std::string key) {
  json::array all;
  for (int pages = 0; !url.empty() && pages < kPagesMax; ++pages) {
    NARTHEX_CO_TRY(
        const json::value answer,
        co_await FetchJson(api_, WithHeader(api_.Get(std::move(url)), "X-Auth-Token", token_)));
    for (const json::value& item : Array(answer, key)) all.push_back(item);
    url.clear();
    for (const json::value& link : Array(answer, key + "_links")) {
      if (Text(link, "rel") == "next") url = Text(link, "href");
    }
  }
  co_return all;
}

}  // namespace narthex
