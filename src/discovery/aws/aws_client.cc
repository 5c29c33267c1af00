#include "discovery/aws/aws_client.h"

#include <boost/json.hpp>
#include <pugixml.hpp>

#include "discovery/async_callback.h"
#include "util/json_reader.h"
#include "util/time.h"

namespace narthex {

namespace {

constexpr int kAttemptsMax = 3;
constexpr int64_t kFirstPauseNanos = kNanosPerSecond;

struct ApiError {
  std::string code;
  std::string message;
};

// What an answer says of its error: XML of query APIs, or JSON.
ApiError ReadError(const FetchResponse& answer) {
  ApiError error;
  pugi::xml_document document;
  if (document.load_buffer(answer.body.data(), answer.body.size())) {
    // <Response><Errors><Error>… of EC2, <ErrorResponse><Error>… of the others.
    const pugi::xml_node found = document.document_element().find_node(
        [](const pugi::xml_node& node) { return std::string_view(node.name()) == "Error"; });
    error.code = found.child("Code").text().get();
    error.message = found.child("Message").text().get();
  } else if (const Result<json::object> said = ParseJsonObject(answer.body); said.ok()) {
    // "com.amazonaws.lightsail#ThrottlingException"
    const std::string type = Text(*said, "__type");
    error.code = type.substr(type.find('#') + 1);
    error.message = Text(*said, "message");
    if (error.message.empty()) error.message = Text(*said, "Message");
  }
  if (error.code.empty()) error.code = "UnknownError";
  if (error.message.empty()) error.message = "UnknownError";
  return error;
}

bool IsWorthRetrying(const FetchResponse& answer, const ApiError& error) {
  for (const int status : {500, 502, 503, 504}) {
    if (answer.status_code == status) return true;
  }
  for (const std::string_view code :
       {"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
        "RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded",
        "BandwidthLimitExceeded", "LimitExceededException", "SlowDown", "PriorRequestNotComplete",
        "EC2ThrottledException", "RequestTimeout", "RequestTimeoutException"}) {
    if (error.code == code) return true;
  }
  return false;
}

// Requests for credentials go through discovery's client too.
net::AwsFetch FetchThrough(HttpFetcher& fetcher, std::shared_ptr<const HttpClientConfig> config) {
  return [&fetcher, config](net::HttpClientRequest wanted, const net::HttpClient::Callback& done) {
    FetchRequest request;
    request.method = std::move(wanted.method);
    request.url = std::move(wanted.url);
    request.headers = std::move(wanted.headers);
    request.body = std::move(wanted.body);
    request.timeout_nanos = wanted.timeout_nanos;
    request.body_bytes_max = wanted.body_bytes_max != 0 ? wanted.body_bytes_max : kApiBodyBytesMax;
    request.client = config;
    fetcher.Fetch(std::move(request), [done](Result<FetchResponse> answer) {
      net::HttpClientResponse response;
      if (!answer.ok()) {
        response.error = answer.status();
      } else {
        response.status = answer->status_code;
        response.status_text = answer->status;
        for (auto& [name, value] : answer->headers) response.headers.Add(name, std::move(value));
        response.body = std::move(answer->body);
      }
      done(std::move(response));
    });
  };
}

}  // namespace

AwsClient::AwsClient(const ApiClient& api, std::shared_ptr<const HttpClientConfig> http,
                     AwsAccess access, std::string service, std::string title)
    : api_(api),
      http_(std::move(http)),
      access_(std::move(access)),
      service_(std::move(service)),
      title_(std::move(title)) {}

net::AwsCredentialsProvider& AwsClient::Provider() {
  if (provider_ == nullptr) {
    net::AwsOptions options;
    options.region = access_.region;
    if (!access_.access_key.empty() && !access_.secret_key.empty()) {
      options.access_key = access_.access_key;
      options.secret_key = access_.secret_key;
    }
    options.profile = access_.profile;
    options.role_arn = access_.role_arn;
    options.external_id = access_.external_id;
    provider_ = net::MakeAwsCredentialsProvider(std::move(options),
                                                FetchThrough(*api_.environment().http, http_));
  }
  return *provider_;
}

Async<Result<std::string>> AwsClient::Region() {
  if (region_.empty()) {
    Result<std::string> found = co_await AwaitCallback<Result<std::string>>(
        *api_.environment().loop, [this](auto done) { Provider().GetRegion(std::move(done)); });
    if (!found.ok()) {
      co_return found.status().WithPrefix("region was not specified and could not be determined: ");
    }
    region_ = *std::move(found);
  }
  co_return region_;
}

Async<Result<std::string>> AwsClient::Query(std::string action, net::FormValues form) {
  form.Add("Action", action);
  co_return co_await Send(
      {std::move(action), "application/x-www-form-urlencoded", "", form.Encode()});
}

Async<Status> AwsClient::QueryXml(std::string action, net::FormValues form,
                                  pugi::xml_document* document) {
  const Result<std::string> body = co_await Query(std::move(action), std::move(form));
  if (!body.ok()) co_return body.status();
  const pugi::xml_parse_result parsed = document->load_buffer(body->data(), body->size());
  if (!parsed) {
    co_return MakeError(ErrorCode::kInvalidInput, "deserialization failed: {}",
                        parsed.description());
  }
  co_return Status();
}

Async<Result<json::object>> AwsClient::GetJson(std::string operation, std::string path,
                                               net::FormValues query) {
  if (std::string text = query.Encode(); !text.empty()) path += "?" + text;
  NARTHEX_CO_TRY(const std::string body,
                 co_await Send({std::move(operation), "", "", "", "GET", path.substr(1)}));
  co_return ParseJsonObject(body);
}

Async<Result<std::string>> AwsClient::Call(std::string target, std::string body) {
  std::string operation = target.substr(target.find('.') + 1);
  co_return co_await Send(
      {std::move(operation), "application/x-amz-json-1.1", std::move(target), std::move(body)});
}

Async<Result<std::string>> AwsClient::Send(Message message) {
  const std::string what = fmt::format("operation error {}: {}, ", title_, message.operation);
  int64_t pause_nanos = kFirstPauseNanos;
  for (int attempt = 1;; ++attempt) {
    Result<FetchResponse> answer = co_await SendOnce(message);
    Status failure = answer.status();
    bool again = false;
    if (answer.ok()) {
      if (answer->status_code / 100 == 2) co_return std::move(answer->body);
      const ApiError error = ReadError(*answer);
      again = IsWorthRetrying(*answer, error);
      failure = MakeError(ErrorCode::kUnavailable,
                          "https response error StatusCode: {}, api error {}: {}",
                          answer->status_code, error.code, error.message);
      // Keys that are refused may have been replaced meanwhile.
      if (error.code == "AuthFailure" || error.code == "UnauthorizedOperation") provider_.reset();
    }
    if (!again || attempt == kAttemptsMax) co_return failure.WithPrefix(what);
    co_await SleepOn(*api_.environment().loop, pause_nanos);
    pause_nanos *= 2;
  }
}

Async<Result<FetchResponse>> AwsClient::SendOnce(const Message& message) {
  NARTHEX_CO_TRY(const std::string region, co_await Region());
  const Result<net::AwsCredentials> credentials =
      co_await AwaitCallback<Result<net::AwsCredentials>>(
          *api_.environment().loop, [this](auto done) { Provider().Get(std::move(done)); });
  if (!credentials.ok()) {
    co_return credentials.status().WithPrefix(
        "get identity: get credentials: failed to refresh cached credentials, ");
  }
  std::string url = access_.endpoint;
  if (url.empty()) {
    url = fmt::format("https://{}.{}.amazonaws.com{}", service_, region,
                      region.starts_with("cn-") ? ".cn" : "");
  }
  if (!url.ends_with('/')) url += '/';
  url += message.path;
  FetchRequest request =
      api_.Make(message.method, std::move(url), message.body, message.content_type);
  if (!message.target.empty()) request.headers.emplace_back("X-Amz-Target", message.target);
  NARTHEX_CO_TRY(
      net::HeaderFields signature,
      net::SignAwsRequest(request.method, request.url, request.headers, request.body, *credentials,
                          {region, service_}, Clock::System().NowNanos() / kNanosPerSecond));
  for (auto& field : signature) request.headers.push_back(std::move(field));
  co_return co_await api_.Send(std::move(request));
}

}  // namespace narthex
