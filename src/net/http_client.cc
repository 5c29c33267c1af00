#include "net/http_client.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <unordered_map>

#include "net/crypto.h"
#include "net/file_cache.h"
#include "net/reactor.h"
#include "net/redirect.h"
#include "net/transport.h"
#include "net/url.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::net {
namespace {

constexpr int kRedirectsMax = 10;  // Go's limit.

const std::shared_ptr<const HttpClientOptions>& DefaultOptions() {
  static const auto options = std::make_shared<const HttpClientOptions>();
  return options;
}

bool HasField(const HeaderFields& fields, std::string_view lower_name) {
  return std::any_of(fields.begin(), fields.end(), [&](const auto& field) {
    return field.first.size() == lower_name.size() && ToLower(field.first) == lower_name;
  });
}

std::string BasicAuth(const std::string& user, const std::string& password) {
  return "Basic " + Base64Encode(user + ":" + password);
}

}  // namespace

std::string BodyBuffers::Take(size_t bytes) {
  std::string buffer;
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty() && bytes >= kBytesMin) {
      buffer = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (buffer.size() < bytes) buffer.resize(bytes);
  return buffer;
}

void BodyBuffers::Give(std::string buffer) {
  if (buffer.capacity() < kBytesMin || buffer.capacity() > kBytesMax) return;
  const std::lock_guard lock(mutex_);
  if (free_.size() < kBuffersMax) free_.push_back(std::move(buffer));
}

// One request with all its exchanges; touched by the reactor's thread alone.
struct Call {
  HttpClient::RequestId id = 0;
  HttpClientRequest request;
  HttpClient::Callback done;
  std::shared_ptr<const HttpClientOptions> options;

  // Of the exchange under way.
  std::string url;
  Url parsed;
  std::string method;
  bool has_body = true;
  std::string referer;
  HeaderFields fields;
  std::shared_ptr<const HeaderFields> shared_fields;
  Transport* transport = nullptr;  // Null: waiting for the authorizer.

  int redirects = 0;
  std::string original_host;
  bool left_host = false;  // And so carries no credentials any more.
  int64_t deadline_nanos = 0;
  uint64_t timer = 0;  // While an authorizer is asked.
};

struct HttpClient::Impl {
  explicit Impl(HttpClient* owner) : self(owner) {}

  HttpClient* const self;
  Reactor reactor;
  BodyBuffers buffers;
  std::atomic<RequestId> last_id{0};
  // On the reactor's thread only.
  FileCache files;
  std::unordered_map<RequestId, std::unique_ptr<Call>> calls;
  bool stopping = false;
  std::unique_ptr<Transport> plain;
  std::unique_ptr<Transport> curl;  // Made when first needed.
  size_t idle_connections_max = 0;

  // ---- The life of a call ----------------------------------------------------------------------

  void Begin(std::unique_ptr<Call> owned) {
    Call& call = *owned;
    calls.emplace(call.id, std::move(owned));
    if (stopping) {
      Finish(call, Status(ErrorCode::kCanceled, "context canceled"));
      return;
    }
    call.options = call.request.options ? call.request.options : DefaultOptions();
    call.url = call.request.url;
    call.method = call.request.method;
    call.deadline_nanos = MonotonicNanos() + call.request.timeout_nanos;
    BeginExchange(call);
  }

  void BeginExchange(Call& call) {
    Result<Url> parsed = ParseUrl(call.url);
    if (!parsed.ok()) {
      Finish(call, parsed.status());
      return;
    }
    call.parsed = *std::move(parsed);
    if (call.original_host.empty()) call.original_host = ToLower(call.parsed.host);
    if (!MayGetCredentials(ToLower(call.parsed.host), call.original_host)) call.left_host = true;
    if (call.parsed.scheme != "http" && call.parsed.scheme != "https") {
      Finish(call,
             WithUrl(call, MakeError(ErrorCode::kInvalidInput, "unsupported protocol scheme {}",
                                     GoQuote(call.parsed.scheme))));
      return;
    }
    if (call.parsed.host.empty() && call.request.unix_socket.empty()) {
      Finish(call, WithUrl(call, Status(ErrorCode::kInvalidInput, "http: no Host in request URL")));
      return;
    }
    if (Status status = AddFields(call); !status.ok()) {
      Finish(call, WithUrl(call, std::move(status)));
      return;
    }
    if (call.options->authorizer == nullptr || call.left_host || HasAuthorization(call)) {
      Send(call);
      return;
    }
    Authorize(call);
  }

  Status AddFields(Call& call) {
    const HttpClientOptions& options = *call.options;
    call.fields = call.request.headers;
    call.shared_fields = call.request.shared_headers;
    if (call.shared_fields != nullptr && (call.redirects > 0 || options.authorizer != nullptr)) {
      // From here on fields are looked at and taken away.
      call.fields.insert(call.fields.begin(), call.shared_fields->begin(),
                         call.shared_fields->end());
      call.shared_fields = nullptr;
    }
    if (!call.has_body) {
      std::erase_if(call.fields,
                    [](const auto& field) { return ToLower(field.first).starts_with("content-"); });
    }
    if (!call.referer.empty() && !HasField(call.fields, "referer")) {
      call.fields.emplace_back("Referer", call.referer);
    }
    for (const HeaderSource& header : options.headers) {
      std::string value = header.value;
      if (!header.file.empty()) {
        Result<std::string> text = files.ReadTrimmed(header.file);
        if (!text.ok()) {
          return text.status().WithPrefix(
              fmt::format("unable to read headers file {}: ", header.file));
        }
        value = *std::move(text);
      }
      call.fields.emplace_back(header.name, std::move(value));
    }
    if (call.left_host) {
      std::erase_if(call.fields, [](const auto& field) { return IsSensitiveField(field.first); });
      return {};
    }
    if (HasAuthorization(call)) return {};
    return AddCredentials(call);
  }

  static bool HasAuthorization(const Call& call) {
    return HasField(call.fields, "authorization") ||
           (call.shared_fields != nullptr && HasField(*call.shared_fields, "authorization"));
  }

  // The text, or what the file holds now.
  Result<std::string> Secret(const std::string& text, const std::string& file,
                             std::string_view what) {
    if (file.empty()) return text;
    Result<std::string> found = files.ReadTrimmed(file);
    if (found.ok()) return found;
    return found.status().WithPrefix(
        fmt::format("unable to read {}: unable to read file {}: ", what, file));
  }

  Status AddCredentials(Call& call) {
    const HttpClientOptions& options = *call.options;
    if (!call.parsed.user_info.empty()) {
      const size_t colon = call.parsed.user_info.find(':');
      NARTHEX_TRY(const std::string user, UrlDecode(call.parsed.user_info.substr(0, colon), false));
      std::string password;
      if (colon != std::string::npos) {
        NARTHEX_TRY(password, UrlDecode(call.parsed.user_info.substr(colon + 1), false));
      }
      call.fields.emplace_back("Authorization", BasicAuth(user, password));
      return {};
    }
    if (!options.basic_user.empty() || !options.basic_user_file.empty() ||
        !options.basic_password.empty() || !options.basic_password_file.empty()) {
      NARTHEX_TRY(const std::string user,
                  Secret(options.basic_user, options.basic_user_file, "basic auth username"));
      NARTHEX_TRY(
          const std::string password,
          Secret(options.basic_password, options.basic_password_file, "basic auth password"));
      call.fields.emplace_back("Authorization", BasicAuth(user, password));
      return {};
    }
    if (options.use_authorization || !options.authorization_credentials.empty() ||
        !options.authorization_credentials_file.empty()) {
      NARTHEX_TRY(const std::string credentials,
                  Secret(options.authorization_credentials, options.authorization_credentials_file,
                         "authorization credentials"));
      call.fields.emplace_back(
          "Authorization", std::string(TrimSpace(options.authorization_type + " " + credentials)));
    }
    return {};
  }

  void Authorize(Call& call) {
    const RequestId id = call.id;
    call.transport = nullptr;
    call.timer = reactor.RunAfter(call.deadline_nanos - MonotonicNanos(), [this, id] {
      const auto found = calls.find(id);
      if (found == calls.end()) return;
      found->second->timer = 0;
      Finish(*found->second,
             WithUrl(*found->second, Status(ErrorCode::kTimeout, "context deadline exceeded")));
    });
    // What it sees is what will go out.
    HttpClientRequest shown;
    shown.method = call.method;
    shown.url = WithoutUser(call.url);
    shown.headers = call.fields;
    if (call.has_body) shown.body = call.request.body;
    shown.timeout_nanos = call.deadline_nanos - MonotonicNanos();
    const auto authorizer = call.options->authorizer;
    authorizer->Authorize(*self, shown, [this, id](Result<HeaderFields> added) {
      reactor.Post([this, id, added = std::move(added)]() mutable {
        const auto found = calls.find(id);
        if (found == calls.end()) return;
        Call& waiting = *found->second;
        StopTimer(waiting);
        if (!added.ok()) {
          Finish(waiting, WithUrl(waiting, added.status()));
          return;
        }
        for (auto& field : *added) waiting.fields.push_back(std::move(field));
        Send(waiting);
      });
    });
  }

  Status LoadTls(const HttpClientOptions& options, ExchangeRequest* exchange) {
    const auto load = [&](const std::string& pem, const std::string& file, std::string_view what,
                          Bytes* out) -> Status {
      if (file.empty()) {
        if (!pem.empty()) *out = std::make_shared<const std::string>(pem);
        return {};
      }
      Result<Bytes> bytes = files.Read(file);
      if (!bytes.ok()) {
        return bytes.status().WithPrefix(
            fmt::format("unable to read {}: unable to read file {}: ", what, file));
      }
      *out = *std::move(bytes);
      return {};
    };
    NARTHEX_RETURN_IF_ERROR(load(options.ca_pem, options.ca_file, "CA cert", &exchange->ca));
    NARTHEX_RETURN_IF_ERROR(load(options.certificate_pem, options.certificate_file, "client cert",
                                 &exchange->certificate));
    return load(options.key_pem, options.key_file, "client key", &exchange->key);
  }

  void Send(Call& call) {
    ExchangeRequest exchange;
    const Result<std::string> proxy = ProxyFor(call.options->proxy, call.parsed);
    if (!proxy.ok()) {
      Finish(call, WithUrl(call, proxy.status()));
      return;
    }
    const bool tls = call.parsed.scheme == "https";
    if (tls) {
      if (Status status = LoadTls(*call.options, &exchange); !status.ok()) {
        Finish(call, WithUrl(call, std::move(status)));
        return;
      }
    }
    exchange.method = call.method;
    exchange.url = call.parsed;
    exchange.fields = std::move(call.fields);
    exchange.shared_fields = std::move(call.shared_fields);
    if (call.has_body) exchange.body = call.request.body;
    if (call.request.on_data) exchange.on_data = &call.request.on_data;
    exchange.deadline_nanos = call.deadline_nanos;
    exchange.body_bytes_max = call.request.body_bytes_max;
    exchange.unix_socket = call.request.unix_socket;
    exchange.options = call.options;
    exchange.proxy = *proxy;
    if (tls || !exchange.proxy.empty() || exchange.options->http2_prior_knowledge) {
      if (curl == nullptr) curl = MakeCurlTransport(reactor, buffers, idle_connections_max);
      call.transport = curl.get();
    } else {
      call.transport = plain.get();
    }
    const RequestId id = call.id;
    call.transport->Start(id, std::move(exchange), [this, id](ExchangeResult result) {
      const auto found = calls.find(id);
      if (found == calls.end()) return;
      found->second->transport = nullptr;
      OnResult(*found->second, std::move(result));
    });
  }

  void OnResult(Call& call, ExchangeResult result) {
    if (!result.error.ok()) {
      Finish(call, result.error_names_url ? WithUrl(call, std::move(result.error))
                                          : std::move(result.error));
      return;
    }
    HttpClientResponse& response = result.response;
    const std::optional<Redirect> redirect =
        call.options->follow_redirects ? RedirectFor(response.status, call.method) : std::nullopt;
    const std::string location(response.headers.Get("Location"));
    if (!redirect || location.empty()) {
      Finish(call, std::move(response));
      return;
    }
    Result<std::string> next = ResolveLocation(call.url, location);
    if (!next.ok()) {
      Finish(call, WithUrl(call, MakeError(ErrorCode::kIo, "failed to parse Location header {}: {}",
                                           GoQuote(location), next.status().message())));
      return;
    }
    if (++call.redirects > kRedirectsMax - 1) {
      call.url = location;
      Finish(call,
             WithUrl(call, MakeError(ErrorCode::kIo, "stopped after {} redirects", kRedirectsMax)));
      return;
    }
    buffers.Give(std::move(response.body));
    const bool leaves_tls = call.parsed.scheme == "https" && !next->starts_with("https:");
    call.referer = leaves_tls ? "" : WithoutUser(call.url);
    call.url = *std::move(next);
    call.method = redirect->method;
    call.has_body = call.has_body && redirect->keep_body;
    BeginExchange(call);
  }

  void StopTimer(Call& call) {
    if (call.timer != 0) reactor.Cancel(std::exchange(call.timer, 0));
  }

  void Finish(Call& call, HttpClientResponse response) {
    StopTimer(call);
    const auto found = calls.find(call.id);
    const std::unique_ptr<Call> owned = std::move(found->second);
    calls.erase(found);
    owned->done(std::move(response));
  }

  void Finish(Call& call, Status error) {
    HttpClientResponse response;
    response.error = std::move(error);
    Finish(call, std::move(response));
  }

  // `Get "http://host/": …`
  Status WithUrl(const Call& call, Status error) const {
    std::string method = call.method;
    for (size_t i = 1; i < method.size(); ++i) method[i] = static_cast<char>(method[i] | 0x20);
    return error.WithPrefix(fmt::format("{} {}: ", method, GoQuote(WithoutPassword(call.url))));
  }

  void CancelCall(RequestId id) {
    const auto found = calls.find(id);
    if (found == calls.end()) return;
    if (found->second->transport != nullptr) found->second->transport->Cancel(id);
    Finish(*found->second, Status(ErrorCode::kCanceled, "context canceled"));
  }
};

HttpClient::HttpClient(size_t idle_connections_max) : impl_(std::make_unique<Impl>(this)) {
  impl_->idle_connections_max = idle_connections_max;
  impl_->plain = MakePlainTransport(impl_->reactor, impl_->buffers, idle_connections_max);
}

HttpClient::~HttpClient() {
  impl_->reactor.Post([impl = impl_.get()] {
    impl->stopping = true;
    std::vector<RequestId> ids;
    for (const auto& [id, call] : impl->calls) ids.push_back(id);
    for (const RequestId id : ids) impl->CancelCall(id);
  });
  impl_->reactor.Stop();
}

HttpClient::RequestId HttpClient::Fetch(HttpClientRequest request, Callback done) {
  auto call = std::make_unique<Call>();
  const RequestId id = ++impl_->last_id;
  call->id = id;
  call->request = std::move(request);
  call->done = std::move(done);
  if (impl_->reactor.OnThread()) {
    impl_->Begin(std::move(call));
    return id;
  }
  // A function must be copyable to be posted.
  auto shared = std::make_shared<std::unique_ptr<Call>>(std::move(call));
  impl_->reactor.Post([impl = impl_.get(), shared] { impl->Begin(std::move(*shared)); });
  return id;
}

void HttpClient::Cancel(RequestId id) {
  impl_->reactor.Post([impl = impl_.get(), id] { impl->CancelCall(id); });
}

void HttpClient::Recycle(std::string body) {
  impl_->buffers.Give(std::move(body));
}

Reactor& HttpClient::reactor() {
  return impl_->reactor;
}

HttpClientResponse HttpClient::FetchSync(HttpClientRequest request) {
  std::mutex mutex;
  std::condition_variable arrived;
  bool ready = false;
  HttpClientResponse result;
  Fetch(std::move(request), [&](HttpClientResponse response) {
    const std::lock_guard lock(mutex);
    result = std::move(response);
    ready = true;
    arrived.notify_one();
  });
  std::unique_lock lock(mutex);
  arrived.wait(lock, [&] { return ready; });
  return result;
}

}  // namespace narthex::net
