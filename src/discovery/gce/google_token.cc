#include "discovery/gce/google_token.h"

#include "net/crypto.h"
#include "net/url.h"
#include "util/environment.h"
#include "util/json_reader.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex {

namespace {

constexpr std::string_view kScope = "https://www.googleapis.com/auth/compute.readonly";
constexpr std::string_view kTokenUri = "https://oauth2.googleapis.com/token";
constexpr int64_t kTokenSeconds = 3600;
// A token that ends sooner is not used any more: requests take their time.
constexpr int64_t kMarginSeconds = 225;

// The signed statement of a service account that it is who it is.
Result<std::string> Assertion(const json::object& account, const std::string& audience) {
  const int64_t now = Clock::System().NowNanos() / kNanosPerSecond;
  json::object header{{"alg", "RS256"}, {"typ", "JWT"}};
  if (const std::string id = Text(account, "private_key_id"); !id.empty()) header["kid"] = id;
  const json::object claims{{"iss", Text(account, "client_email")},
                            {"scope", std::string(kScope)},
                            {"aud", audience},
                            {"iat", now},
                            {"exp", now + kTokenSeconds}};
  return net::SignJwt(json::serialize(header), json::serialize(claims),
                      Text(account, "private_key"), "SHA256");
}

}  // namespace

GoogleToken::GoogleToken(const ApiClient& api) : api_(api), token_(api, kMarginSeconds) {}

Async<Result<std::string>> GoogleToken::Get() {
  if (std::optional<std::string> kept = token_.Kept()) co_return *std::move(kept);
  FileSystem& files = *api_.environment().files;
  if (const std::string path = EnvironmentVariable("GOOGLE_APPLICATION_CREDENTIALS");
      !path.empty()) {
    Result<std::string> text = files.ReadAll(path);
    if (!text.ok()) {
      co_return text.status().WithPrefix(
          "google: error getting credentials using GOOGLE_APPLICATION_CREDENTIALS environment "
          "variable: ");
    }
    co_return co_await FromFile(*std::move(text), path);
  }
  const std::string known =
      JoinPath(EnvironmentVariable("HOME"), ".config/gcloud/application_default_credentials.json");
  if (Result<std::string> text = files.ReadAll(known); text.ok()) {
    co_return co_await FromFile(*std::move(text), known);
  }
  std::string host = EnvironmentVariable("GCE_METADATA_HOST");
  if (host.empty()) host = "169.254.169.254";
  FetchRequest request =
      api_.Get(fmt::format("http://{}/computeMetadata/v1/instance/service-accounts/default/"
                           "token?scopes={}",
                           host, net::QueryEscape(kScope)));
  request.headers.emplace_back("Metadata-Flavor", "Google");
  const Result<std::string> token = co_await Fetch(std::move(request));
  if (!token.ok()) {
    co_return token.status().WithPrefix("google: could not find default credentials: ");
  }
  co_return token;
}

Async<Result<std::string>> GoogleToken::FromFile(std::string text, std::string path) {
  const Result<json::object> read = ParseJsonObject(text);
  if (!read.ok()) co_return read.status().WithPrefix(path + ": ");
  const std::string type = Text(*read, "type");
  net::FormValues form;
  std::string url = Text(*read, "token_uri");
  if (url.empty()) url = kTokenUri;
  if (type == "service_account") {
    const Result<std::string> assertion = Assertion(*read, url);
    if (!assertion.ok()) co_return assertion.status().WithPrefix(path + ": ");
    form.Add("grant_type", std::string(kJwtBearerGrant));
    form.Add("assertion", *assertion);
  } else if (type == "authorized_user") {
    form.Add("grant_type", "refresh_token");
    form.Add("client_id", Text(*read, "client_id"));
    form.Add("client_secret", Text(*read, "client_secret"));
    form.Add("refresh_token", Text(*read, "refresh_token"));
  } else {
    co_return MakeError(ErrorCode::kUnsupported, "{}: credentials of type {} are not supported yet",
                        path, GoQuote(type));
  }
  co_return co_await Fetch(
      api_.Make("POST", std::move(url), form.Encode(), "application/x-www-form-urlencoded"));
}

Async<Result<std::string>> GoogleToken::Fetch(FetchRequest request) {
  NARTHEX_CO_TRY(const FetchResponse answer, co_await api_.Send(std::move(request)));
  if (answer.status_code / 100 != 2) {
    co_return MakeError(ErrorCode::kUnavailable, "oauth2: cannot fetch token: {}\nResponse: {}",
                        answer.status, answer.body.substr(0, 512));
  }
  Result<std::string> token = token_.Keep(answer);
  co_return token.ok() ? std::move(token) : token.status().WithPrefix("oauth2: ");
}

}  // namespace narthex
