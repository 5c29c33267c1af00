#include "apps/http_adapters.h"

#include "util/compress.h"
#include "util/file.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

constexpr size_t kDecodedBytesMax = 256 << 20;

std::string TlsVersionName(TlsVersion version) {
  switch (version) {
    case TlsVersion::kUnset: return "";
    case TlsVersion::kTls10: return "TLS10";
    case TlsVersion::kTls11: return "TLS11";
    case TlsVersion::kTls12: return "TLS12";
    case TlsVersion::kTls13: return "TLS13";
  }
  return "";
}

Result<std::string> ReadTrimmed(const std::string& path) {
  NARTHEX_TRY(const std::string text, FileSystem::Posix().ReadAll(path));
  return std::string(TrimSpace(text));
}

}  // namespace

Result<std::shared_ptr<const net::HttpClientOptions>> ToClientOptions(
    const HttpClientConfig& config) {
  if (config.oauth2) {
    return Status(ErrorCode::kUnsupported, "oauth2 is not supported yet");
  }
  const TlsConfig& tls = config.tls_config;
  const bool has_ref = !tls.ca_ref.empty() || !tls.cert_ref.empty() || !tls.key_ref.empty() ||
                       (config.basic_auth && (!config.basic_auth->username_ref.empty() ||
                                              !config.basic_auth->password_ref.empty())) ||
                       (config.authorization && !config.authorization->credentials_ref.empty());
  if (has_ref) {
    return Status(ErrorCode::kInvalidInput, "cannot use secret ref without manager");
  }
  auto options = std::make_shared<net::HttpClientOptions>();
  options->follow_redirects = config.follow_redirects;
  options->enable_http2 = config.enable_http2;
  if (config.basic_auth) {
    options->basic_user = config.basic_auth->username;
    if (!config.basic_auth->username_file.empty()) {
      NARTHEX_TRY(options->basic_user, ReadTrimmed(config.basic_auth->username_file));
    }
    options->basic_password = config.basic_auth->password.value;
    options->basic_password_file = config.basic_auth->password_file;
  }
  if (config.authorization) {
    options->authorization_type = config.authorization->type;
    options->authorization_credentials = config.authorization->credentials.value;
    options->authorization_credentials_file = config.authorization->credentials_file;
  }
  options->ca_file = tls.ca_file;
  options->ca_pem = tls.ca;
  options->certificate_file = tls.cert_file;
  options->certificate_pem = tls.cert;
  options->key_file = tls.key_file;
  options->key_pem = tls.key.value;
  options->server_name = tls.server_name;
  options->insecure_skip_verify = tls.insecure_skip_verify;
  options->tls_min_version = TlsVersionName(tls.min_version);
  options->tls_max_version = TlsVersionName(tls.max_version);
  if (config.proxy.proxy_url) options->proxy_url = config.proxy.proxy_url->ToString();
  options->no_proxy = config.proxy.no_proxy;
  options->proxy_from_environment = config.proxy.proxy_from_environment;
  for (const auto& [name, values] : config.proxy.proxy_connect_header) {
    for (const Secret& value : values) {
      options->proxy_connect_headers.emplace_back(name, value.value);
    }
  }
  for (const auto& [name, header] : config.http_headers) {
    for (const std::string& value : header.values) options->headers.emplace_back(name, value);
    for (const Secret& value : header.secrets) options->headers.emplace_back(name, value.value);
    for (const std::string& file : header.files) {
      NARTHEX_TRY(std::string value, ReadTrimmed(file));
      options->headers.emplace_back(name, std::move(value));
    }
  }
  return std::shared_ptr<const net::HttpClientOptions>(std::move(options));
}

HttpFetcher::RequestId DiscoveryFetcher::Fetch(FetchRequest request,
                                               std::function<void(Result<FetchResponse>)> done) {
  Result<std::shared_ptr<const net::HttpClientOptions>> options = ToClientOptions(*request.client);
  if (!options.ok()) {
    done(options.status());
    return 0;
  }
  net::HttpClientRequest outgoing;
  outgoing.method = std::move(request.method);
  outgoing.url = std::move(request.url);
  outgoing.headers = std::move(request.headers);
  // Streams come as they are: a decoder would hold events back.
  if (!request.on_data) outgoing.headers.emplace_back("Accept-Encoding", "gzip");
  outgoing.on_data = std::move(request.on_data);
  outgoing.unix_socket = std::move(request.unix_socket);
  outgoing.body = std::move(request.body);
  outgoing.timeout_nanos = request.timeout_nanos;
  outgoing.body_bytes_max = request.body_bytes_max;
  outgoing.options = *std::move(options);
  const uint64_t decoded_max =
      request.body_bytes_max > 0 ? request.body_bytes_max : kDecodedBytesMax;
  return client_.Fetch(std::move(outgoing),
                       [done = std::move(done), decoded_max](net::HttpClientResponse response) {
                         if (!response.error.ok()) {
                           done(response.error);
                           return;
                         }
                         FetchResponse result;
                         result.status_code = response.status;
                         result.status = std::move(response.status_text);
                         result.headers = response.headers.fields();
                         if (response.headers.Get("Content-Encoding") == "gzip") {
                           Result<std::string> body = GzipDecompress(response.body, decoded_max);
                           if (!body.ok()) {
                             done(body.status());
                             return;
                           }
                           result.body = *std::move(body);
                         } else {
                           result.body = std::move(response.body);
                         }
                         done(std::move(result));
                       });
}

namespace {

struct PreparedClient : scrape::HttpClientHandle {
  std::shared_ptr<const net::HttpClientOptions> options;
};

}  // namespace

Result<std::shared_ptr<const scrape::HttpClientHandle>> ScrapeFetcher::CreateClient(
    const HttpClientConfig& config) {
  auto client = std::make_shared<PreparedClient>();
  NARTHEX_TRY(client->options, ToClientOptions(config));
  return std::shared_ptr<const scrape::HttpClientHandle>(std::move(client));
}

scrape::Fetcher::RequestId ScrapeFetcher::Fetch(scrape::FetchRequest request, Callback done) {
  net::HttpClientRequest outgoing;
  outgoing.url = std::move(request.url);
  outgoing.headers = std::move(request.headers);
  outgoing.timeout_nanos = request.timeout_nanos;
  outgoing.body_bytes_max = request.body_bytes_max;
  outgoing.unix_socket = std::move(request.unix_socket);
  if (request.client != nullptr) {
    outgoing.options = static_cast<const PreparedClient&>(*request.client).options;
  }
  return client_.Fetch(std::move(outgoing),
                       [done = std::move(done)](net::HttpClientResponse response) {
                         scrape::FetchResponse answer;
                         answer.error = std::move(response.error);
                         answer.status = response.status;
                         answer.status_text = std::move(response.status_text);
                         answer.content_type = response.headers.Get("Content-Type");
                         answer.content_encoding = response.headers.Get("Content-Encoding");
                         answer.body = std::move(response.body);
                         done(std::move(answer));
                       });
}

notifier::Post MakeNotifierPost(net::HttpClient& client, std::string user_agent) {
  return [&client, user_agent = std::move(user_agent)](notifier::PostRequest request,
                                                       std::function<void(Status)> done) {
    Result<std::shared_ptr<const net::HttpClientOptions>> options =
        ToClientOptions(*request.client);
    if (!options.ok()) {
      done(options.status());
      return;
    }
    net::HttpClientRequest outgoing;
    outgoing.method = "POST";
    outgoing.url = std::move(request.url);
    outgoing.headers = {{"Content-Type", "application/json"}, {"User-Agent", user_agent}};
    outgoing.body = std::move(request.body);
    outgoing.timeout_nanos = request.timeout_nanos;
    outgoing.options = *std::move(options);
    client.Fetch(std::move(outgoing), [done = std::move(done)](net::HttpClientResponse response) {
      if (!response.error.ok()) {
        done(std::move(response.error));
      } else if (response.status / 100 != 2) {
        done(MakeError(ErrorCode::kIo, "bad response status {}", response.status_text));
      } else {
        done(Status());
      }
    });
  };
}

}  // namespace narthex::apps
