#include "apps/web_config_server.h"

#include <crypt.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <unordered_map>

#include "config/web_config.h"
#include "net/crypto.h"
#include "net/forwarding_exchange.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/thread_pool.h"
#include "util/time.h"
#include "web/router.h"

namespace narthex::apps {
namespace {

constexpr size_t kResultsMax = 100;           // As many as upstream keeps.
constexpr size_t kPasswordBytesMax = 72;      // bcrypt looks at no more.
constexpr size_t kCredentialBytesMax = 4096;  // A longer header is a wrong password.
// Salt and cost of a hash that nothing matches: an unknown user costs one bcrypt run too.
constexpr std::string_view kNobodysHash = "$2b$10$abcdefghijklmnopqrstuu";

bool BcryptMatches(const std::string& hash, std::string_view password) {
  // crypt() ends at a zero byte, which would accept what merely begins alike.
  if (password.find('\0') != std::string_view::npos) return false;
  const std::string key(password.substr(0, kPasswordBytesMax));
  const auto data = std::make_unique<crypt_data>();
  const char* result = crypt_r(key.c_str(), hash.c_str(), data.get());
  return result != nullptr && result[0] != '*' && net::ConstantTimeEqual(result, hash);
}

struct Login {
  std::string user;
  std::string password;
};

std::optional<Login> ParseBasicAuth(std::string_view header) {
  constexpr std::string_view kScheme = "basic ";
  if (header.size() > kCredentialBytesMax || ToLower(header.substr(0, kScheme.size())) != kScheme) {
    return std::nullopt;
  }
  Result<std::string> text = net::Base64Decode(header.substr(kScheme.size()));
  if (!text.ok()) return std::nullopt;
  const size_t colon = text->find(':');
  if (colon == std::string::npos) return std::nullopt;
  return Login{text->substr(0, colon), text->substr(colon + 1)};
}

// Lets `burst` requests through at once and one more each interval.
class RateLimiter {
 public:
  RateLimiter(int64_t burst, int64_t interval_nanos)
      : burst_(static_cast<double>(burst)),
        interval_nanos_(static_cast<double>(interval_nanos)),
        tokens_(burst_),
        last_(MonotonicNanos()) {}

  // On one thread.
  bool Allow() {
    const int64_t now = MonotonicNanos();
    tokens_ = std::min(burst_, tokens_ + static_cast<double>(now - last_) / interval_nanos_);
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  const double burst_;
  const double interval_nanos_;
  double tokens_;
  int64_t last_;
};

// Adds the configured header fields to whatever the handler answers.
class ExchangeWithHeaders : public net::ForwardingExchange {
 public:
  ExchangeWithHeaders(std::shared_ptr<net::HttpExchange> inner,
                      std::shared_ptr<const WebConfig> config)
      : ForwardingExchange(std::move(inner)), config_(std::move(config)) {}

  void Respond(net::HttpResponse response) override {
    ForwardingExchange::Respond(WithHeaders(std::move(response)));
  }
  void StartStream(net::HttpResponse response) override {
    ForwardingExchange::StartStream(WithHeaders(std::move(response)));
  }

 private:
  net::HttpResponse WithHeaders(net::HttpResponse response) const {
    for (const auto& [name, value] : config_->http_server_config.headers) {
      if (!response.headers.Has(name)) response.headers.Add(name, value);
    }
    return response;
  }

  const std::shared_ptr<const WebConfig> config_;
};

// The gate in front of a program's handler.
class WebGate : public std::enable_shared_from_this<WebGate> {
 public:
  WebGate(net::EventLoop& loop, std::string path, net::HttpServer::Handler handler)
      : loop_(loop), path_(std::move(path)), handler_(std::move(handler)) {}

  // The configuration in force now. On the event loop, or before it serves.
  Result<std::shared_ptr<const WebConfig>> Load() {
    NARTHEX_TRY(std::string text, FileSystem::Posix().ReadAll(path_));
    if (config_ != nullptr && text == text_) return config_;
    NARTHEX_TRY(WebConfig parsed, LoadWebConfigFile(path_));
    config_ = std::make_shared<const WebConfig>(std::move(parsed));
    text_ = std::move(text);
    return config_;
  }

  Result<net::TlsServerOptions> Tls() {
    NARTHEX_TRY(const std::shared_ptr<const WebConfig> config, Load());
    return ReadTlsServerOptions(config->tls_server_config);
  }

  void SetLimit(const RateLimitConfig& limit) {
    limiter_.emplace(limit.burst, limit.interval_nanos);
  }

  // On the event loop.
  void Serve(std::shared_ptr<net::HttpExchange> exchange) {
    Result<std::shared_ptr<const WebConfig>> loaded = Load();
    if (!loaded.ok()) {
      LOG_ERROR("Unable to parse configuration", {"err", loaded.status().message()});
      web::RespondPlain(*exchange, 500, "Internal Server Error");
      return;
    }
    if (limiter_ && !limiter_->Allow()) {
      web::RespondPlain(*exchange, 429, "Too Many Requests");
      return;
    }
    const std::shared_ptr<const WebConfig> config = *std::move(loaded);
    if (!config->http_server_config.headers.empty()) {
      exchange = std::make_shared<ExchangeWithHeaders>(std::move(exchange), config);
    }
    if (config->basic_auth_users.empty()) {
      handler_(std::move(exchange));
      return;
    }
    const std::optional<Login> login =
        ParseBasicAuth(exchange->request().headers.Get("Authorization"));
    if (!login) {
      Refuse(*exchange);
      return;
    }
    const auto user = config->basic_auth_users.find(login->user);
    const bool known = user != config->basic_auth_users.end();
    const std::string hash = known ? user->second.value : std::string(kNobodysHash);
    // Looked up by digest, so that comparing keys says nothing about passwords.
    const std::string key = net::Sha256(
        fmt::format("{}:{}{}:{}", login->user.size(), login->user, hash, login->password));
    if (const std::optional<bool> result = results_.Get(key)) {
      Answer(*result, std::move(exchange));
      return;
    }
    // One at a time: a storm of wrong passwords uses one core.
    checks_.Submit([this, key, hash, known, password = login->password,
                    exchange = std::move(exchange)]() mutable {
      const bool matches = BcryptMatches(hash, password) && known;
      results_.Put(key, matches);
      // Handlers run on the loop. The server may be gone by then.
      loop_.Post([weak = weak_from_this(), matches, exchange = std::move(exchange)] {
        const auto self = weak.lock();
        if (self != nullptr && !exchange->stop_token().stop_requested()) {
          self->Answer(matches, exchange);
        }
      });
    });
  }

 private:
  void Answer(bool allowed, std::shared_ptr<net::HttpExchange> exchange) {
    if (allowed) {
      handler_(std::move(exchange));
    } else {
      Refuse(*exchange);
    }
  }

  static void Refuse(net::HttpExchange& exchange) {
    net::HttpResponse response;
    response.status = 401;
    response.headers.Add("Content-Type", "text/plain; charset=utf-8");
    response.headers.Add("Www-Authenticate", "Basic");
    response.headers.Add("X-Content-Type-Options", "nosniff");
    response.body = "Unauthorized\n";
    exchange.Respond(std::move(response));
  }

  // The newest results; safe from any thread.
  class Results {
   public:
    std::optional<bool> Get(const std::string& key) const {
      const std::lock_guard lock(mutex_);
      const auto found = results_.find(key);
      return found == results_.end() ? std::nullopt : std::optional<bool>(found->second);
    }
    void Put(const std::string& key, bool matches) {
      const std::lock_guard lock(mutex_);
      if (!results_.emplace(key, matches).second) return;
      order_.push_back(key);
      if (order_.size() <= kResultsMax) return;
      results_.erase(order_.front());
      order_.pop_front();
    }

   private:
    mutable std::mutex mutex_;
    std::unordered_map<std::string, bool> results_;
    std::deque<std::string> order_;
  };

  net::EventLoop& loop_;
  const std::string path_;
  const net::HttpServer::Handler handler_;
  std::string text_;
  std::shared_ptr<const WebConfig> config_;
  std::optional<RateLimiter> limiter_;
  Results results_;
  ThreadPool checks_{"password", 1};  // Last: its tasks use the rest.
};

Result<std::string> ReadOr(std::string_view what, const std::string& path,
                           const std::string& text) {
  if (path.empty()) return text;
  Result<std::string> read = FileSystem::Posix().ReadAll(path);
  if (read.ok() || what.empty()) return read;
  return read.status().WithPrefix(fmt::format("failed to read {} ({}): ", what, path));
}

std::string VersionName(TlsVersion version) {
  switch (version) {
    case TlsVersion::kTls10: return "TLS10";
    case TlsVersion::kTls11: return "TLS11";
    case TlsVersion::kTls13: return "TLS13";
    case TlsVersion::kTls12:
    case TlsVersion::kUnset: break;
  }
  return "TLS12";
}

net::ClientCertificates ClientCertificatesOf(ClientAuthType type) {
  switch (type) {
    case ClientAuthType::kNoClientCert: return net::ClientCertificates::kNone;
    case ClientAuthType::kRequestClientCert: return net::ClientCertificates::kRequest;
    case ClientAuthType::kRequireAnyClientCert: return net::ClientCertificates::kRequireAny;
    case ClientAuthType::kVerifyClientCertIfGiven: return net::ClientCertificates::kVerifyIfGiven;
    case ClientAuthType::kRequireAndVerifyClientCert: break;
  }
  return net::ClientCertificates::kRequireAndVerify;
}

}  // namespace

Result<net::TlsServerOptions> ReadTlsServerOptions(const TlsServerConfig& config) {
  NARTHEX_RETURN_IF_ERROR(config.Validate());
  net::TlsServerOptions options;
  NARTHEX_TRY(options.certificate_pem, ReadOr("cert_file", config.cert_file, config.cert));
  NARTHEX_TRY(options.key_pem, ReadOr("key_file", config.key_file, config.key.value));
  NARTHEX_TRY(options.client_ca_pem, ReadOr("", config.client_ca_file, config.client_ca));
  NARTHEX_TRY(const ClientAuthType type, config.ParseClientAuthType());
  options.client_certificates = ClientCertificatesOf(type);
  if (!config.client_allowed_sans.empty()) {
    options.client_allowed_sans = config.client_allowed_sans;
  }
  options.min_version = VersionName(config.min_version);
  options.max_version =
      config.max_version == TlsVersion::kUnset ? "TLS13" : VersionName(config.max_version);
  options.cipher_suites = config.cipher_suites;
  options.curve_preferences = config.curve_preferences;
  return options;
}

Status CheckWebConfig(const std::string& path) {
  NARTHEX_TRY(const WebConfig config, LoadWebConfigFile(path));
  NARTHEX_RETURN_IF_ERROR(config.ValidateUsers());
  if (!config.tls_server_config.is_enabled()) return {};
  NARTHEX_TRY(const net::TlsServerOptions tls, ReadTlsServerOptions(config.tls_server_config));
  return net::MakeTlsServerContext(tls).status();
}

bool WebConfigEnablesTls(const std::string& path) {
  if (path.empty()) return false;
  const Result<WebConfig> config = LoadWebConfigFile(path);
  return config.ok() && config->tls_server_config.is_enabled();
}

Result<std::unique_ptr<net::HttpServer>> StartWebServer(net::EventLoop& loop,
                                                        net::HttpServerOptions options,
                                                        const std::string& web_config_file,
                                                        net::HttpServer::Handler handler) {
  bool tls = false;
  bool http2 = false;
  if (!web_config_file.empty()) {
    NARTHEX_RETURN_IF_ERROR(CheckWebConfig(web_config_file));
    auto gate = std::make_shared<WebGate>(loop, web_config_file, std::move(handler));
    NARTHEX_TRY(const std::shared_ptr<const WebConfig> config, gate->Load());
    if (config->rate_limit.interval_nanos > 0) {
      gate->SetLimit(config->rate_limit);
      LOG_INFO("Rate Limiter is enabled.", {"burst", config->rate_limit.burst},
               {"interval", FormatGoDuration(config->rate_limit.interval_nanos)});
    }
    tls = config->tls_server_config.is_enabled();
    // Whether HTTP/2 is spoken is decided at the start, once.
    http2 = tls && config->http_server_config.http2;
    if (tls) {
      options.tls_source = [gate, http2]() -> Result<net::TlsServerOptions> {
        NARTHEX_TRY(net::TlsServerOptions tls_options, gate->Tls());
        tls_options.http2 = http2;
        return tls_options;
      };
    }
    handler = [gate](std::shared_ptr<net::HttpExchange> exchange) {
      gate->Serve(std::move(exchange));
    };
  }
  NARTHEX_TRY(std::unique_ptr<net::HttpServer> server,
              net::HttpServer::Start(loop, std::move(options), std::move(handler)));
  for (const std::string& address : server->addresses()) {
    LOG_INFO("Listening on", {"address", address});
    LOG_INFO(tls ? "TLS is enabled." : "TLS is disabled.", {"http2", http2}, {"address", address});
  }
  return server;
}

}  // namespace narthex::apps
