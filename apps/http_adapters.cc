#include "apps/http_adapters.h"

#include "net/oauth2.h"
#include "net/sigv4.h"
#include "util/compress.h"

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

// Secrets by reference need a manager, which the server does not have.
Status CheckNoRef(const std::string& ref, std::string_view what) {
  if (ref.empty()) return {};
  return MakeError(ErrorCode::kInvalidInput, "{}cannot use secret ref without manager", what);
}

Status SetTls(const TlsConfig& tls, net::HttpClientOptions* options) {
  NARTHEX_RETURN_IF_ERROR(CheckNoRef(tls.ca_ref, "unable to use CA cert: "));
  NARTHEX_RETURN_IF_ERROR(CheckNoRef(tls.cert_ref, "unable to use client cert: "));
  NARTHEX_RETURN_IF_ERROR(CheckNoRef(tls.key_ref, "unable to use client key: "));
  NARTHEX_RETURN_IF_ERROR(tls.ValidateVersions());
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
  return net::CheckTlsFiles(*options);
}

void SetProxy(const ProxyConfig& proxy, net::HttpClientOptions* options) {
  if (proxy.proxy_url) options->proxy.url = proxy.proxy_url->ToString();
  options->proxy.no_proxy = proxy.no_proxy;
  options->proxy.from_environment = proxy.proxy_from_environment;
  for (const auto& [name, values] : proxy.proxy_connect_header) {
    for (const Secret& value : values) {
      options->proxy_connect_headers.emplace_back(name, value.value);
    }
  }
}

Result<std::shared_ptr<net::RequestAuthorizer>> MakeOAuth2(const OAuth2& config) {
  net::OAuth2Options oauth2;
  oauth2.jwt_bearer = config.grant_type == kJwtBearerGrant;
  if (oauth2.jwt_bearer) {
    NARTHEX_RETURN_IF_ERROR(
        CheckNoRef(config.client_certificate_key_ref, "unable to use client certificate: "));
    oauth2.secret = config.client_certificate_key.value;
    oauth2.secret_file = config.client_certificate_key_file;
  } else {
    NARTHEX_RETURN_IF_ERROR(CheckNoRef(config.client_secret_ref, "unable to use client secret: "));
    oauth2.secret = config.client_secret.value;
    oauth2.secret_file = config.client_secret_file;
  }
  oauth2.client_id = config.client_id;
  oauth2.token_url = config.token_url;
  oauth2.scopes = config.scopes;
  oauth2.endpoint_params = {config.endpoint_params.begin(), config.endpoint_params.end()};
  oauth2.key_id = config.client_certificate_key_id;
  oauth2.signature_algorithm = config.signature_algorithm;
  oauth2.issuer = config.iss;
  oauth2.audience = config.audience;
  oauth2.claims = {config.claims.values.begin(), config.claims.values.end()};
  auto http = std::make_shared<net::HttpClientOptions>();
  http->enable_http2 = false;  // As upstream's own transport for tokens.
  NARTHEX_RETURN_IF_ERROR(SetTls(config.tls_config, http.get()));
  SetProxy(config.proxy, http.get());
  oauth2.http = std::move(http);
  return net::MakeOAuth2Authorizer(std::move(oauth2));
}

std::shared_ptr<net::RequestAuthorizer> MakeSigV4(const SigV4Config& config,
                                                  net::HttpClient& client) {
  net::SigV4Options sigv4;
  sigv4.service = config.service_name;
  sigv4.aws.region = config.region;
  sigv4.aws.access_key = config.access_key;
  sigv4.aws.secret_key = config.secret_key.value;
  sigv4.aws.profile = config.profile;
  sigv4.aws.role_arn = config.role_arn;
  sigv4.aws.external_id = config.external_id;
  sigv4.aws.session_name = config.session_name;
  sigv4.aws.tags = {config.tags.begin(), config.tags.end()};
  sigv4.aws.use_fips_sts_endpoint = config.use_fips_sts_endpoint;
  return net::MakeSigV4Authorizer(std::move(sigv4), client);
}

Result<std::shared_ptr<net::HttpClientOptions>> MakeOptions(const HttpClientConfig& config) {
  auto options = std::make_shared<net::HttpClientOptions>();
  options->follow_redirects = config.follow_redirects;
  options->enable_http2 = config.enable_http2;
  if (config.authorization) {
    const Authorization& authorization = *config.authorization;
    NARTHEX_RETURN_IF_ERROR(
        CheckNoRef(authorization.credentials_ref, "unable to use credentials: "));
    options->use_authorization = true;
    options->authorization_type = authorization.type;
    options->authorization_credentials = authorization.credentials.value;
    options->authorization_credentials_file = authorization.credentials_file;
  }
  if (config.basic_auth) {
    const BasicAuth& basic = *config.basic_auth;
    NARTHEX_RETURN_IF_ERROR(CheckNoRef(basic.username_ref, "unable to use username: "));
    NARTHEX_RETURN_IF_ERROR(CheckNoRef(basic.password_ref, "unable to use password: "));
    options->basic_user = basic.username;
    options->basic_user_file = basic.username_file;
    options->basic_password = basic.password.value;
    options->basic_password_file = basic.password_file;
  }
  if (config.oauth2) {
    NARTHEX_TRY(options->authorizer, MakeOAuth2(*config.oauth2));
  }
  NARTHEX_RETURN_IF_ERROR(SetTls(config.tls_config, options.get()));
  SetProxy(config.proxy, options.get());
  for (const auto& [name, header] : config.http_headers) {
    for (const std::string& value : header.values) options->headers.push_back({name, value, ""});
    for (const Secret& value : header.secrets) options->headers.push_back({name, value.value, ""});
    for (const std::string& file : header.files) options->headers.push_back({name, "", file});
  }
  return options;
}

}  // namespace

Result<std::shared_ptr<const net::HttpClientOptions>> ToClientOptions(
    const HttpClientConfig& config) {
  NARTHEX_TRY(std::shared_ptr<const net::HttpClientOptions> options, MakeOptions(config));
  return options;
}

Result<ClientOptionsCache::Options> ClientOptionsCache::Get(
    const std::shared_ptr<const void>& block, const std::function<Result<Options>()>& make) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(block.get());
  if (found != entries_.end() && !found->second.block.expired()) return found->second.options;
  std::erase_if(entries_, [](const auto& entry) { return entry.second.block.expired(); });
  NARTHEX_TRY(Options options, make());
  entries_[block.get()] = {block, options};
  return options;
}

HttpFetcher::RequestId DiscoveryFetcher::Fetch(FetchRequest request,
                                               std::function<void(Result<FetchResponse>)> done) {
  Result<ClientOptionsCache::Options> options =
      options_.Get(request.client, [&] { return ToClientOptions(*request.client); });
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
  outgoing.shared_headers = std::move(request.headers);
  if (!request.traceparent.empty()) {
    outgoing.headers.emplace_back("Traceparent", std::move(request.traceparent));
  }
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
  auto cache = std::make_shared<ClientOptionsCache>();
  return [&client, cache, user_agent = std::move(user_agent)](notifier::PostRequest request,
                                                              std::function<void(Status)> done) {
    const AlertmanagerConfig& section = *request.section;
    const auto make = [&]() -> Result<ClientOptionsCache::Options> {
      NARTHEX_TRY(std::shared_ptr<net::HttpClientOptions> options,
                  MakeOptions(section.http_client));
      if (section.sigv4) options->authorizer = MakeSigV4(*section.sigv4, client);
      return ClientOptionsCache::Options(std::move(options));
    };
    Result<ClientOptionsCache::Options> options = cache->Get(request.section, make);
    if (!options.ok()) {
      done(options.status());
      return;
    }
    if (section.sigv4) {
      if (Result<std::string> url = net::CleanAwsUrl(request.url); url.ok()) {
        request.url = *std::move(url);
      }
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
