#include "net/oauth2.h"

#include <algorithm>
#include <ctime>
#include <map>
#include <mutex>

#include "net/crypto.h"
#include "net/file_cache.h"
#include "net/url.h"
#include "util/json_reader.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::net {
namespace {

using Done = std::function<void(Result<HeaderFields>)>;

constexpr int64_t kRenewBeforeSeconds = 10;
constexpr int64_t kAssertionSeconds = 600;
constexpr int64_t kTokenTimeoutNanos = 30 * kNanosPerSecond;
constexpr size_t kAnswerBytesMax = 1 << 20;
constexpr int64_t kExpirySecondsMax = INT32_MAX;

struct Token {
  std::string type;
  std::string access_token;
  int64_t expires_unix_seconds = 0;  // 0: never.

  // "Bearer abc"; well-known types get their usual spelling.
  std::string HeaderValue() const {
    const std::string lower = ToLower(type);
    if (lower.empty() || lower == "bearer") return "Bearer " + access_token;
    if (lower == "mac") return "MAC " + access_token;
    if (lower == "basic") return "Basic " + access_token;
    return type + " " + access_token;
  }
};

Status CannotFetch(std::string_view what) {
  return MakeError(ErrorCode::kIo, "oauth2: cannot fetch token: {}", what);
}

// A number, or a number as text; some servers send one, some the other.
int64_t ExpirySeconds(const json::object& object) {
  const json::value& value = Member(object, "expires_in");
  int64_t seconds = 0;
  if (value.is_int64()) seconds = value.get_int64();
  if (value.is_uint64()) seconds = kExpirySecondsMax;
  if (value.is_double()) seconds = static_cast<int64_t>(std::min(value.get_double(), 2147483647.0));
  if (value.is_string()) seconds = ParseInt(AsText(value)).value_or(0);
  return std::clamp<int64_t>(seconds, 0, kExpirySecondsMax);
}

// What Go's decoder says of text that is no JSON, as far as the beginning shows it.
std::string JsonError(std::string_view text) {
  const std::string_view rest = TrimSpace(text);
  if (rest.empty()) return "unexpected end of JSON input";
  if (std::string_view("{[\"-0123456789tfn").find(rest[0]) != std::string_view::npos) {
    return rest.ends_with('}') ? "invalid character in JSON" : "unexpected end of JSON input";
  }
  return fmt::format("invalid character {} looking for beginning of value",
                     rest[0] == '\'' ? "'\\''" : fmt::format("'{}'", rest.substr(0, 1)));
}

struct ServerError {
  std::string code;
  std::string description;
  std::string uri;
};

Status RetrieveError(const HttpClientResponse& response, const ServerError& error) {
  if (error.code.empty()) {
    return CannotFetch(fmt::format("{}\nResponse: {}", response.status_text, response.body));
  }
  std::string text = "oauth2: " + GoQuote(error.code);
  if (!error.description.empty()) text += " " + GoQuote(error.description);
  if (!error.uri.empty()) text += " " + GoQuote(error.uri);
  return Status(ErrorCode::kIo, std::move(text));
}

// The media type alone.
std::string MediaType(std::string_view content_type) {
  return ToLower(TrimSpace(content_type.substr(0, content_type.find(';'))));
}

// Of the answer to a request with client credentials.
Result<Token> ParseTokenAnswer(const HttpClientResponse& response, int64_t now) {
  const bool failed = response.status / 100 != 2;
  Token token;
  ServerError error;
  int64_t seconds = 0;
  const std::string media = MediaType(response.headers.Get("Content-Type"));
  if (media == "application/x-www-form-urlencoded" || media == "text/plain") {
    FormValues form;
    if (Status status = form.Parse(response.body); !status.ok()) {
      if (failed) return RetrieveError(response, error);
      return status.WithPrefix("oauth2: cannot parse response: ");
    }
    error = {std::string(form.Get("error")), std::string(form.Get("error_description")),
             std::string(form.Get("error_uri"))};
    token.access_token = form.Get("access_token");
    token.type = form.Get("token_type");
    seconds = ParseInt(form.Get("expires_in")).value_or(0);
  } else {
    boost::system::error_code bad;
    const json::value value = json::parse(response.body, bad);
    if (bad || !value.is_object()) {
      if (failed) return RetrieveError(response, error);
      return MakeError(ErrorCode::kIo, "oauth2: cannot parse json: {}", JsonError(response.body));
    }
    const json::object& object = value.get_object();
    error = {Text(object, "error"), Text(object, "error_description"), Text(object, "error_uri")};
    token.access_token = Text(object, "access_token");
    token.type = Text(object, "token_type");
    seconds = ExpirySeconds(object);
  }
  // Some servers report errors with status 200.
  if (failed || !error.code.empty()) return RetrieveError(response, error);
  if (token.access_token.empty()) {
    return Status(ErrorCode::kIo, "oauth2: server response missing access_token");
  }
  if (seconds != 0) token.expires_unix_seconds = now + seconds;
  return token;
}

Result<Token> ParseAssertionAnswer(const HttpClientResponse& response, int64_t now) {
  if (response.status / 100 != 2) return RetrieveError(response, {});
  boost::system::error_code bad;
  const json::value value = json::parse(response.body, bad);
  if (bad || !value.is_object()) return CannotFetch(JsonError(response.body));
  const json::object& object = value.get_object();
  Token token;
  token.access_token = Text(object, "access_token");
  token.type = Text(object, "token_type");
  if (const int64_t seconds = ExpirySeconds(object); seconds > 0) {
    token.expires_unix_seconds = now + seconds;
  }
  return token;
}

// A JSON web token, its members sorted.
Result<std::string> SignAssertion(const OAuth2Options& options, const std::string& key,
                                  const std::string& scope, int64_t now) {
  const auto quote = [](std::string_view text) {
    std::string out;
    AppendJsonString(text, JsonEscape::kGo, &out);
    return out;
  };
  std::map<std::string, std::string> claims = {
      {"iss", quote(options.issuer.empty() ? options.client_id : options.issuer)},
      {"sub", quote(options.client_id)},
      {"jti", quote(RandomUuid())},
      {"aud", quote(options.audience.empty() ? options.token_url : options.audience)},
      {"iat", std::to_string(now)},
      {"exp", std::to_string(now + kAssertionSeconds)},
  };
  if (!scope.empty()) claims["scope"] = quote(scope);
  for (const auto& [name, json] : options.claims) claims[name] = json;

  const std::string algorithm =
      options.signature_algorithm.empty() ? "RS256" : options.signature_algorithm;
  std::string head = fmt::format("{{\"alg\":{}", quote(algorithm));
  if (!options.key_id.empty()) head += ",\"kid\":" + quote(options.key_id);
  head += ",\"typ\":\"JWT\"}";
  std::string body;
  for (const auto& [name, json] : claims) {
    body += body.empty() ? '{' : ',';
    body.append(quote(name)).append(":").append(json);
  }
  body += '}';
  return SignJwt(head, body, key, "SHA" + algorithm.substr(2));
}

class Authorizer : public RequestAuthorizer, public std::enable_shared_from_this<Authorizer> {
 public:
  explicit Authorizer(OAuth2Options options) : options_(std::move(options)) {
    if (!options_.unix_seconds) options_.unix_seconds = [] { return int64_t{std::time(nullptr)}; };
  }

  void Authorize(HttpClient& client, const HttpClientRequest& request, Done done) override {
    std::string header;
    Status failure;
    bool fetch = false;
    std::string secret;
    {
      const std::lock_guard lock(mutex_);
      Result<std::string> current = Secret();
      if (!current.ok()) {
        failure = current.status();
      } else {
        if (*current != secret_) {
          secret_ = *std::move(current);
          token_ = Token();
        }
        if (IsValid(token_)) {
          header = token_.HeaderValue();
        } else {
          waiting_.push_back(std::move(done));
          fetch = waiting_.size() == 1;
          secret = secret_;
        }
      }
    }
    if (!failure.ok()) {
      // NOLINTNEXTLINE(bugprone-use-after-move): it was moved only where nothing failed.
      done(std::move(failure));
    } else if (!header.empty()) {
      done(HeaderFields{{"Authorization", std::move(header)}});
    } else if (fetch) {
      std::string user_agent;
      for (const auto& [name, value] : request.headers) {
        if (ToLower(name) == "user-agent") user_agent = value;
      }
      Fetch(client, user_agent, secret);
    }
  }

 private:
  // Under the lock.
  Result<std::string> Secret() {
    if (options_.secret_file.empty()) return options_.secret;
    Result<std::string> text = files_.ReadTrimmed(options_.secret_file);
    if (text.ok()) return text;
    return text.status().WithPrefix(fmt::format(
        "unable to read oauth2 client secret: unable to read file {}: ", options_.secret_file));
  }

  bool IsValid(const Token& token) const {
    if (token.access_token.empty()) return false;
    return token.expires_unix_seconds == 0 ||
           token.expires_unix_seconds - kRenewBeforeSeconds >= options_.unix_seconds();
  }

  // The form that both grants share, with the parameters of the configuration.
  Result<std::string> Form(std::map<std::string, std::string> values) const {
    for (const auto& [name, value] : options_.endpoint_params) {
      // The grant may be renamed for servers that do not follow the standard.
      if (values.contains(name) && name != "grant_type") {
        return MakeError(ErrorCode::kInvalidInput, "oauth2: cannot overwrite parameter {}",
                         GoQuote(name));
      }
      values[name] = value;
    }
    FormValues form;
    for (auto& [name, value] : values) form.Add(name, std::move(value));
    return form.Encode();
  }

  HttpClientRequest TokenRequest(const std::string& user_agent, std::string form) const {
    HttpClientRequest request;
    request.method = "POST";
    request.url = options_.token_url;
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
    if (!user_agent.empty()) request.headers.emplace_back("User-Agent", user_agent);
    request.body = std::move(form);
    request.timeout_nanos = kTokenTimeoutNanos;
    request.body_bytes_max = kAnswerBytesMax;
    request.options = options_.http;
    return request;
  }

  void Fetch(HttpClient& client, const std::string& user_agent, const std::string& secret) {
    if (options_.jwt_bearer) {
      FetchByAssertion(client, user_agent, secret);
      return;
    }
    // Servers want the secret in the header or in the form; the first success tells which.
    FetchByCredentials(client, user_agent, secret, in_form_);
  }

  void FetchByCredentials(HttpClient& client, const std::string& user_agent,
                          const std::string& secret, bool in_form) {
    std::map<std::string, std::string> values = {{"grant_type", "client_credentials"}};
    if (!options_.scopes.empty()) values["scope"] = Join(options_.scopes, " ");
    Result<std::string> form = Form(std::move(values));
    if (!form.ok()) {
      Settle(form.status());
      return;
    }
    if (in_form) {
      FormValues all;
      static_cast<void>(all.Parse(*form));
      if (!options_.client_id.empty()) all.Add("client_id", options_.client_id);
      if (!secret.empty()) all.Add("client_secret", secret);
      *form = all.Encode();
    }
    HttpClientRequest request = TokenRequest(user_agent, *std::move(form));
    if (!in_form) {
      request.headers.emplace_back(
          "Authorization",
          "Basic " + Base64Encode(QueryEscape(options_.client_id) + ":" + QueryEscape(secret)));
    }
    client.Fetch(std::move(request), [self = shared_from_this(), &client, user_agent, secret,
                                      in_form](const HttpClientResponse& response) {
      Result<Token> token = response.error.ok()
                                ? ParseTokenAnswer(response, self->options_.unix_seconds())
                                : Result<Token>(response.error);
      const bool canceled = !response.error.ok() && response.error.code() == ErrorCode::kCanceled;
      if (!token.ok() && !self->style_known_ && !in_form && !canceled) {
        self->FetchByCredentials(client, user_agent, secret, /*in_form=*/true);
        return;
      }
      if (token.ok()) {
        self->style_known_ = true;
        self->in_form_ = in_form;
      }
      self->Settle(std::move(token));
    });
  }

  void FetchByAssertion(HttpClient& client, const std::string& user_agent, const std::string& key) {
    const std::string scope = Join(options_.scopes, " ");
    Result<std::string> assertion = SignAssertion(options_, key, scope, options_.unix_seconds());
    if (!assertion.ok()) {
      Settle(assertion.status());
      return;
    }
    std::map<std::string, std::string> values = {
        {"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
        {"assertion", *std::move(assertion)}};
    if (!scope.empty()) values["scope"] = scope;
    Result<std::string> form = Form(std::move(values));
    if (!form.ok()) {
      Settle(form.status());
      return;
    }
    client.Fetch(TokenRequest(user_agent, *std::move(form)),
                 [self = shared_from_this()](const HttpClientResponse& response) {
                   if (response.error.ok()) {
                     self->Settle(ParseAssertionAnswer(response, self->options_.unix_seconds()));
                   } else {
                     self->Settle(CannotFetch(response.error.message()));
                   }
                 });
  }

  // Everybody who waited gets the token, or the error; the next one asks again.
  void Settle(Result<Token> token) {
    std::vector<Done> waiting;
    {
      const std::lock_guard lock(mutex_);
      if (token.ok()) token_ = *token;
      waiting.swap(waiting_);
    }
    for (Done& done : waiting) {
      if (token.ok()) {
        done(HeaderFields{{"Authorization", token->HeaderValue()}});
      } else {
        done(token.status());
      }
    }
  }

  OAuth2Options options_;
  std::mutex mutex_;
  FileCache files_;
  std::string secret_;
  Token token_;
  std::vector<Done> waiting_;  // Not empty: a request is under way.
  // How the server wants the secret; touched by the one request under way.
  bool style_known_ = false;
  bool in_form_ = false;
};

}  // namespace

std::shared_ptr<RequestAuthorizer> MakeOAuth2Authorizer(OAuth2Options options) {
  return std::make_shared<Authorizer>(std::move(options));
}

}  // namespace narthex::net
