// TLS, HTTP/2 and proxies over libcurl's multi interface, driven by the reactor's sockets and
// timers.
#include <arpa/inet.h>
#include <curl/curl.h>
#include <openssl/x509_vfy.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <unordered_map>

#include "net/reactor.h"
#include "net/transport.h"
#include "util/file.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::net {
namespace {

constexpr long kReceiveBufferBytes = 256 * 1024;

long TlsVersion(std::string_view name) {
  if (name == "TLS10") return CURL_SSLVERSION_TLSv1_0;
  if (name == "TLS11") return CURL_SSLVERSION_TLSv1_1;
  if (name == "TLS13") return CURL_SSLVERSION_TLSv1_3;
  return CURL_SSLVERSION_TLSv1_2;  // Go's default.
}

long TlsMaxVersion(std::string_view name) {
  if (name == "TLS10") return CURL_SSLVERSION_MAX_TLSv1_0;
  if (name == "TLS11") return CURL_SSLVERSION_MAX_TLSv1_1;
  if (name == "TLS12") return CURL_SSLVERSION_MAX_TLSv1_2;
  if (name == "TLS13") return CURL_SSLVERSION_MAX_TLSv1_3;
  return CURL_SSLVERSION_MAX_DEFAULT;
}

// Handles between two transfers: a new one costs more to build than to set up again.
class EasyHandles {
 public:
  ~EasyHandles() {
    for (CURL* easy : free_) curl_easy_cleanup(easy);
  }
  CURL* Take() {
    if (free_.empty()) return curl_easy_init();
    CURL* easy = free_.back();
    free_.pop_back();
    return easy;
  }
  void Give(CURL* easy) {
    if (free_.size() >= kHandlesMax) {
      curl_easy_cleanup(easy);
      return;
    }
    curl_easy_reset(easy);
    free_.push_back(easy);
  }

 private:
  static constexpr size_t kHandlesMax = 16;
  std::vector<CURL*> free_;
};

struct Transfer {
  uint64_t id = 0;
  ExchangeRequest request;
  ExchangeDone done;
  HttpClientResponse response;
  BodyBuffers* buffers = nullptr;
  EasyHandles* handles = nullptr;
  size_t content_bytes = 0;  // As the answer claims, within a bound.
  size_t filled = 0;         // Of the body.
  CURL* easy = nullptr;
  curl_slist* header_list = nullptr;
  curl_slist* proxy_header_list = nullptr;
  curl_slist* connect_to_list = nullptr;
  size_t header_bytes = 0;
  bool headers_complete = false;
  bool too_large = false;
  bool canceled = false;
  bool sent_again = false;
  std::string malformed;  // What came where a status line should be.
  std::array<char, CURL_ERROR_SIZE> error_text{};

  ~Transfer() {
    curl_slist_free_all(header_list);
    curl_slist_free_all(proxy_header_list);
    curl_slist_free_all(connect_to_list);
    if (easy != nullptr) handles->Give(easy);
  }
};

size_t OnBody(char* data, size_t size, size_t count, void* context) {
  auto* transfer = static_cast<Transfer*>(context);
  const size_t bytes = size * count;
  if (transfer->response.status_text.empty()) {
    // A body without a head: HTTP/0.9 is let through only to show what it is.
    const std::string_view text(data, bytes);
    transfer->malformed = TrimSpace(text.substr(0, text.find('\n')));
    return 0;
  }
  if (transfer->request.on_data != nullptr && transfer->response.status_text.starts_with('2')) {
    if ((*transfer->request.on_data)({data, bytes})) return bytes;
    transfer->canceled = true;
    return 0;
  }
  std::string& body = transfer->response.body;
  const size_t needed = transfer->filled + bytes;
  const size_t bound = transfer->request.body_bytes_max;
  if (bound > 0 && needed > bound) {
    transfer->too_large = true;
    return 0;
  }
  if (body.empty()) body = transfer->buffers->Take(std::max(needed, transfer->content_bytes));
  if (needed > body.size()) body.resize(std::max(needed, body.size() * 2));
  std::copy_n(data, bytes, body.data() + transfer->filled);
  transfer->filled = needed;
  return bytes;
}

size_t OnHeader(char* data, size_t size, size_t count, void* context) {
  auto* transfer = static_cast<Transfer*>(context);
  const size_t bytes = size * count;
  transfer->header_bytes += bytes;
  if (transfer->header_bytes > kHeaderBytesMax) return 0;
  const std::string_view line = TrimSpace({data, bytes});
  transfer->headers_complete = line.empty();
  if (line.starts_with("HTTP/")) {
    // An interim answer, or a proxy's to CONNECT, came before.
    const size_t space = line.find(' ');
    transfer->response.headers = Headers();
    transfer->content_bytes = 0;
    transfer->response.status_text =
        space == std::string_view::npos ? "" : std::string(TrimSpace(line.substr(space + 1)));
    return bytes;
  }
  if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = TrimSpace(line.substr(colon + 1));
    if (ToLower(name) == "content-length") {
      const uint64_t claimed = ParseUint(value).value_or(0);
      transfer->content_bytes = std::min<uint64_t>(claimed, kReserveBytesMax);
    }
    transfer->response.headers.Add(std::string(name), std::string(value));
  }
  return bytes;
}

// Both ends of a connection that was reset.
std::string ConnectionReset(CURL* easy) {
  const auto end = [&](CURLINFO ip_info, CURLINFO port_info) {
    const char* ip = nullptr;
    long port = 0;
    curl_easy_getinfo(easy, ip_info, &ip);
    curl_easy_getinfo(easy, port_info, &port);
    const std::string_view text = ip == nullptr ? "" : ip;
    const bool v6 = text.find(':') != std::string_view::npos;
    return v6 ? fmt::format("[{}]:{}", text, port) : fmt::format("{}:{}", text, port);
  };
  return fmt::format("read tcp {}->{}: read: connection reset by peer",
                     end(CURLINFO_LOCAL_IP, CURLINFO_LOCAL_PORT),
                     end(CURLINFO_PRIMARY_IP, CURLINFO_PRIMARY_PORT));
}

// Where the connection was to go: the proxy, if there is one.
std::string DialledAddress(const Transfer& transfer) {
  const char* ip = nullptr;
  long port = 0;
  curl_easy_getinfo(transfer.easy, CURLINFO_PRIMARY_IP, &ip);
  curl_easy_getinfo(transfer.easy, CURLINFO_PRIMARY_PORT, &port);
  std::string address = ip != nullptr ? ip : "";
  // Before a connection stands curl may not tell the address.
  if (address.empty()) {
    Url url = transfer.request.url;
    if (!transfer.request.proxy.empty()) url = ParseUrl(transfer.request.proxy).value_or(url);
    address = url.host == "localhost" ? "127.0.0.1" : url.host;
    port = url.port.empty() ? (url.scheme == "https" ? 443 : 80) : std::atol(url.port.c_str());
  }
  if (address.find(':') != std::string::npos) address = "[" + address + "]";
  return fmt::format("{}:{}", address, port);
}

// What Go says of a certificate that it does not trust.
std::string CertificateError(const Transfer& transfer) {
  constexpr std::string_view kFailed = "tls: failed to verify certificate: x509: ";
  long code = X509_V_OK;
  curl_easy_getinfo(transfer.easy, CURLINFO_SSL_VERIFYRESULT, &code);
  const std::string_view text(transfer.error_text.data());
  if (text.find("no alternative certificate subject name matches") != std::string_view::npos ||
      text.find("does not match target host name") != std::string_view::npos) {
    const std::string& wanted = transfer.request.options->server_name;
    return fmt::format("{}certificate is not valid for {}", kFailed,
                       wanted.empty() ? transfer.request.url.host : wanted);
  }
  switch (code) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return fmt::format("{}certificate signed by unknown authority", kFailed);
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format("{}certificate has expired or is not yet valid", kFailed);
    case X509_V_ERR_INVALID_PURPOSE:
      return fmt::format("{}certificate specifies an incompatible key usage", kFailed);
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED: break;
    default:
      return fmt::format("{}{}", kFailed, X509_verify_cert_error_string(static_cast<long>(code)));
  }
  return fmt::format("tls: failed to verify certificate: {}", text);
}

// What Go says of a handshake that failed, as far as OpenSSL's words tell.
std::string HandshakeError(std::string_view text) {
  struct Case {
    std::string_view openssl;
    std::string_view go;
  };
  static constexpr std::array<Case, 12> kCases = {{
      {"wrong version number", "http: server gave HTTP response to HTTPS client"},
      {"packet length too long", "http: server gave HTTP response to HTTPS client"},
      {"certificate required", "remote error: tls: certificate required"},
      {"bad certificate", "remote error: tls: bad certificate"},
      {"unknown ca", "remote error: tls: unknown certificate authority"},
      {"certificate expired", "remote error: tls: expired certificate"},
      {"certificate unknown", "remote error: tls: unknown certificate"},
      {"unsupported protocol", "tls: server selected unsupported protocol version"},
      {"alert protocol version", "remote error: tls: protocol version not supported"},
      {"alert handshake failure", "remote error: tls: handshake failure"},
      {"alert internal error", "remote error: tls: internal error"},
      {"unrecognized name", "remote error: tls: unrecognized name"},
  }};
  for (const Case& known : kCases) {
    if (text.find(known.openssl) != std::string_view::npos) return std::string(known.go);
  }
  if (text.find("SYSCALL") != std::string_view::npos ||
      text.find("unexpected eof") != std::string_view::npos) {
    return "EOF";
  }
  return fmt::format("tls: {}", text);
}

// The error as Go's client words it.
ExchangeResult TransferError(const Transfer& transfer, CURLcode code) {
  constexpr std::string_view kBroken = "net/http: HTTP/1.x transport connection broken: ";
  const std::string_view reason(transfer.error_text.data());
  ExchangeResult result;
  const auto with_url = [&](std::string text, ErrorCode kind = ErrorCode::kIo) {
    result.error = Status(kind, std::move(text));
    return std::move(result);
  };
  const auto in_body = [&](std::string text, ErrorCode kind = ErrorCode::kIo) {
    result.error_names_url = false;
    return with_url(std::move(text), kind);
  };
  const auto headers_too_large = [&] {
    return with_url(fmt::format("{}net/http: server response headers exceeded {} bytes; aborted",
                                kBroken, kHeaderBytesMax));
  };
  long os_error = 0;
  curl_easy_getinfo(transfer.easy, CURLINFO_OS_ERRNO, &os_error);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      // A body cut short has no URL in front: upstream reads it outside the client.
      return transfer.headers_complete ? in_body("context deadline exceeded", ErrorCode::kTimeout)
                                       : with_url("context deadline exceeded", ErrorCode::kTimeout);
    case CURLE_COULDNT_RESOLVE_HOST:
      return with_url(fmt::format("dial tcp: lookup {}: no such host", transfer.request.url.host));
    case CURLE_COULDNT_RESOLVE_PROXY: {
      const Result<Url> proxy = ParseUrl(transfer.request.proxy);
      return with_url(fmt::format("proxyconnect tcp: dial tcp: lookup {}: no such host",
                                  proxy.ok() ? proxy->host : transfer.request.proxy));
    }
    case CURLE_COULDNT_CONNECT: {
      const int error = os_error == 0 ? ECONNREFUSED : static_cast<int>(os_error);
      if (!transfer.request.unix_socket.empty()) {
        return with_url(fmt::format("dial unix {}: connect: {}", transfer.request.unix_socket,
                                    ErrnoText(error)));
      }
      return with_url(fmt::format("{}dial tcp {}: connect: {}",
                                  transfer.request.proxy.empty() ? "" : "proxyconnect tcp: ",
                                  DialledAddress(transfer), ErrnoText(error)));
    }
    case CURLE_GOT_NOTHING: return with_url("EOF");
    case CURLE_PARTIAL_FILE: return in_body("unexpected EOF");
    case CURLE_PEER_FAILED_VERIFICATION: return with_url(CertificateError(transfer));
    case CURLE_SSL_CONNECT_ERROR: return with_url(HandshakeError(reason));
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return transfer.headers_complete ? in_body(fmt::format("http2: {}", reason))
                                       : with_url(fmt::format("http2: {}", reason));
    case CURLE_RECV_ERROR: {
      if (reason.find("chunk") != std::string_view::npos) {
        return in_body(reason.find("hexadecimal") != std::string_view::npos
                           ? "invalid byte in chunk length"
                           : "malformed chunked encoding");
      }
      // libcurl itself takes 300 KiB.
      if (reason.find("response headers") != std::string_view::npos) return headers_too_large();
      // The proxy's answer to CONNECT.
      if (const size_t at = reason.find("response ");
          reason.starts_with("CONNECT tunnel") && at != std::string_view::npos) {
        const std::string_view status = reason.substr(at + 9);
        return with_url(
            std::string(HttpStatusText(static_cast<int>(ParseUint(status).value_or(0)))));
      }
      if (reason.find("alert") != std::string_view::npos) return with_url(HandshakeError(reason));
      std::string what = transfer.headers_complete ? "unexpected EOF" : "EOF";
      if (os_error == ECONNRESET) what = ConnectionReset(transfer.easy);
      return transfer.headers_complete ? in_body(what) : with_url(what);
    }
    case CURLE_WEIRD_SERVER_REPLY:
      return with_url(reason.find("Content-Length") != std::string_view::npos
                          ? fmt::format("{}bad Content-Length", kBroken)
                          : curl_easy_strerror(code));
    case CURLE_WRITE_ERROR:
      if (!transfer.malformed.empty()) {
        return with_url(
            fmt::format("{}malformed HTTP response {}", kBroken, GoQuote(transfer.malformed)));
      }
      if (transfer.header_bytes > kHeaderBytesMax) return headers_too_large();
      return with_url(curl_easy_strerror(code));
    default: return with_url(reason.empty() ? curl_easy_strerror(code) : std::string(reason));
  }
}

class CurlTransport : public Transport {
 public:
  CurlTransport(Reactor& reactor, BodyBuffers& buffers, size_t idle_max)
      : reactor_(reactor), buffers_(buffers) {
    // Not safe to run twice at once, which a function-local static prevents.
    static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
    static_cast<void>(global);
    multi_ = curl_multi_init();
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(idle_max));
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &OnSocket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &OnTimer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  }

  ~CurlTransport() override {
    for (auto& [id, transfer] : active_) curl_multi_remove_handle(multi_, transfer->easy);
    active_.clear();
    curl_multi_cleanup(multi_);
    if (timer_ != 0) reactor_.Cancel(timer_);
  }

  void Start(uint64_t id, ExchangeRequest request, ExchangeDone done) override {
    auto transfer = std::make_unique<Transfer>();
    transfer->id = id;
    transfer->request = std::move(request);
    if (const auto shared = std::move(transfer->request.shared_fields)) {
      HeaderFields& fields = transfer->request.fields;
      fields.insert(fields.begin(), shared->begin(), shared->end());
    }
    transfer->done = std::move(done);
    transfer->buffers = &buffers_;
    transfer->handles = &handles_;
    transfer->easy = handles_.Take();
    if (transfer->easy == nullptr) {
      ExchangeResult result;
      result.error = Status(ErrorCode::kInternal, "cannot create an HTTP transfer");
      transfer->done(std::move(result));
      return;
    }
    Prepare(transfer.get());
    CURL* easy = transfer->easy;
    active_.emplace(id, std::move(transfer));
    // Nothing happens before the timer that this asks for.
    curl_multi_add_handle(multi_, easy);
  }

  void Cancel(uint64_t id) override {
    const auto found = active_.find(id);
    if (found == active_.end()) return;
    curl_multi_remove_handle(multi_, found->second->easy);
    active_.erase(found);
  }

 private:
  struct Socket : Reactor::Watcher {
    CurlTransport* transport = nullptr;
    curl_socket_t fd = CURL_SOCKET_BAD;
    void OnReady(uint32_t events) override {
      int action = 0;
      if ((events & EPOLLIN) != 0) action |= CURL_CSELECT_IN;
      if ((events & EPOLLOUT) != 0) action |= CURL_CSELECT_OUT;
      if ((events & (EPOLLERR | EPOLLHUP)) != 0) action |= CURL_CSELECT_ERR;
      transport->Act(fd, action);
    }
  };

  static int OnSocket(CURL*, curl_socket_t fd, int what, void* context, void*) {
    auto* self = static_cast<CurlTransport*>(context);
    const auto found = self->sockets_.find(fd);
    if (what == CURL_POLL_REMOVE) {
      if (found == self->sockets_.end()) return 0;
      self->reactor_.Unwatch(fd, found->second.get());
      // Perhaps it is what called us.
      self->retired_.push_back(std::move(found->second));
      self->sockets_.erase(found);
      return 0;
    }
    const uint32_t events = ((what & CURL_POLL_IN) != 0 ? uint32_t{EPOLLIN} : 0) |
                            ((what & CURL_POLL_OUT) != 0 ? uint32_t{EPOLLOUT} : 0);
    if (found != self->sockets_.end()) {
      self->reactor_.Rewatch(fd, events, found->second.get());
      return 0;
    }
    auto socket = std::make_unique<Socket>();
    socket->transport = self;
    socket->fd = fd;
    self->reactor_.Watch(fd, events, socket.get());
    self->sockets_.emplace(fd, std::move(socket));
    return 0;
  }

  static int OnTimer(CURLM*, long timeout_millis, void* context) {
    auto* self = static_cast<CurlTransport*>(context);
    if (self->timer_ != 0) self->reactor_.Cancel(std::exchange(self->timer_, 0));
    if (timeout_millis < 0) return 0;
    self->timer_ = self->reactor_.RunAfter(timeout_millis * kNanosPerMilli, [self] {
      self->timer_ = 0;
      self->Act(CURL_SOCKET_TIMEOUT, 0);
    });
    return 0;
  }

  void Act(curl_socket_t fd, int action) {
    int running = 0;
    curl_multi_socket_action(multi_, fd, action, &running);
    int queued = 0;
    std::vector<std::pair<uint64_t, CURLcode>> ended;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &queued)) {
      if (message->msg != CURLMSG_DONE) continue;
      char* pointer = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &pointer);
      ended.emplace_back(reinterpret_cast<Transfer*>(pointer)->id, message->data.result);
    }
    retired_.clear();
    for (const auto& [id, code] : ended) End(id, code);
  }

  void End(uint64_t id, CURLcode code) {
    const auto found = active_.find(id);
    if (found == active_.end()) return;
    std::unique_ptr<Transfer> transfer = std::move(found->second);
    active_.erase(found);
    curl_multi_remove_handle(multi_, transfer->easy);
    if (code == CURLE_SEND_ERROR && PrepareAgain(transfer.get())) {
      CURL* easy = transfer->easy;
      active_.emplace(id, std::move(transfer));
      curl_multi_add_handle(multi_, easy);
      return;
    }
    transfer->done(ResultOf(*transfer, code));
  }

  static ExchangeResult ResultOf(Transfer& transfer, CURLcode code) {
    ExchangeResult result;
    if (transfer.canceled) {
      result.error = Status(ErrorCode::kCanceled, "context canceled");
      return result;
    }
    if (transfer.too_large) {
      result.error_names_url = false;
      result.error = Status(ErrorCode::kLimitExceeded, "body size limit exceeded");
      return result;
    }
    if (code != CURLE_OK) return TransferError(transfer, code);
    transfer.response.body.resize(transfer.filled);
    result.response = std::move(transfer.response);
    long status = 0;
    curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    result.response.status = static_cast<int>(status);
    // HTTP/2 has no text; Go fills in its own.
    long version = 0;
    curl_easy_getinfo(transfer.easy, CURLINFO_HTTP_VERSION, &version);
    if (version >= CURL_HTTP_VERSION_2_0) {
      result.response.status_text =
          fmt::format("{} {}", status, HttpStatusText(result.response.status));
    }
    return result;
  }

  // A kept connection may be closed by the server just when it is used again. As Go does, such a
  // request is sent once more, over a new connection and within the same time.
  static bool PrepareAgain(Transfer* transfer) {
    if (transfer->sent_again || transfer->canceled || transfer->request.method != "GET") {
      return false;
    }
    transfer->sent_again = true;
    const int64_t left = (transfer->request.deadline_nanos - MonotonicNanos()) / kNanosPerMilli;
    if (left <= 0) return false;
    curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, static_cast<long>(left));
    curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L);
    transfer->header_bytes = 0;
    transfer->headers_complete = false;
    transfer->response.headers = Headers();
    transfer->response.status_text.clear();
    return true;
  }

  static void SetTls(Transfer* transfer) {
    CURL* easy = transfer->easy;
    const HttpClientOptions& options = *transfer->request.options;
    const auto set_blob = [&](CURLoption option, const Bytes& pem) {
      if (pem == nullptr) return;
      curl_blob blob{const_cast<char*>(pem->data()), pem->size(), CURL_BLOB_COPY};
      curl_easy_setopt(easy, option, &blob);
    };
    // As blobs, not as files: connections are shared by what they hold, and so end with it.
    set_blob(CURLOPT_CAINFO_BLOB, transfer->request.ca);
    set_blob(CURLOPT_SSLCERT_BLOB, transfer->request.certificate);
    set_blob(CURLOPT_SSLKEY_BLOB, transfer->request.key);
    if (options.insecure_skip_verify) {
      curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
      curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                     TlsVersion(options.tls_min_version) | TlsMaxVersion(options.tls_max_version));
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     options.http2_prior_knowledge ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE
                     : options.enable_http2        ? CURL_HTTP_VERSION_2TLS
                                                   : CURL_HTTP_VERSION_1_1);
  }

  static void SetProxy(Transfer* transfer) {
    CURL* easy = transfer->easy;
    // An empty proxy also switches the environment's off: which one to use was decided above.
    curl_easy_setopt(easy, CURLOPT_PROXY, transfer->request.proxy.c_str());
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    if (transfer->request.proxy.empty()) return;
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXYAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_HEADEROPT, CURLHEADER_SEPARATE);
    for (const auto& [name, value] : transfer->request.options->proxy_connect_headers) {
      transfer->proxy_header_list =
          curl_slist_append(transfer->proxy_header_list, (name + ": " + value).c_str());
    }
    // Only CONNECT carries them.
    if (transfer->request.url.scheme == "https") {
      curl_easy_setopt(easy, CURLOPT_PROXYHEADER, transfer->proxy_header_list);
    }
  }

  // The URL without its user. libcurl verifies the name it has in the URL, so with `server_name`
  // the URL gets that name, and the connection goes where the URL had meant it to.
  static void SetUrl(Transfer* transfer) {
    const Url& url = transfer->request.url;
    const std::string& server_name = transfer->request.options->server_name;
    const std::string port = url.port.empty() ? (url.scheme == "https" ? "443" : "80") : url.port;
    const bool v6 = url.host.find(':') != std::string::npos;
    const std::string host = v6 ? "[" + url.host + "]" : url.host;
    std::string name = host;
    if (url.scheme == "https" && !server_name.empty() && server_name != url.host) {
      name = server_name;
      transfer->connect_to_list = curl_slist_append(
          nullptr, fmt::format("{}:{}:{}:{}", server_name, port, host, port).c_str());
      curl_easy_setopt(transfer->easy, CURLOPT_CONNECT_TO, transfer->connect_to_list);
      transfer->request.fields.emplace_back("Host",
                                            url.port.empty() ? host : host + ":" + url.port);
    }
    const std::string query = url.query.empty() ? "" : "?" + url.query;
    curl_easy_setopt(transfer->easy, CURLOPT_URL,
                     fmt::format("{}://{}:{}{}{}", url.scheme, name, port,
                                 url.path.empty() ? "/" : url.path, query)
                         .c_str());
    curl_easy_setopt(transfer->easy, CURLOPT_PATH_AS_IS, 1L);
  }

  static void Prepare(Transfer* transfer) {
    CURL* easy = transfer->easy;
    const ExchangeRequest& request = transfer->request;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error_text.data());
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
    const int64_t left = (request.deadline_nanos - MonotonicNanos()) / kNanosPerMilli;
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<int64_t>(left, 1)));
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBody);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeader);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    if (!request.unix_socket.empty()) {
      curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str());
    }
    SetUrl(transfer);
    SetTls(transfer);
    SetProxy(transfer);
    if (request.method == "HEAD") {
      curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (request.method != "GET" || !request.body.empty()) {
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(request.body.size()));
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
      transfer->request.fields.emplace_back("Expect", "");  // No waiting for 100 Continue.
    }
    for (const auto& [name, value] : request.fields) {
      // An empty value would take the field away; the semicolon sends it.
      const std::string line = value.empty() && name != "Expect" ? name + ";" : name + ": " + value;
      transfer->header_list = curl_slist_append(transfer->header_list, line.c_str());
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->header_list);
  }

  Reactor& reactor_;
  BodyBuffers& buffers_;
  CURLM* multi_ = nullptr;
  Reactor::TimerId timer_ = 0;
  // Transfers give their handles back, so they go first.
  EasyHandles handles_;
  std::unordered_map<uint64_t, std::unique_ptr<Transfer>> active_;
  std::unordered_map<curl_socket_t, std::unique_ptr<Socket>> sockets_;
  std::vector<std::unique_ptr<Socket>> retired_;
};

}  // namespace

std::unique_ptr<Transport> MakeCurlTransport(Reactor& reactor, BodyBuffers& buffers,
                                             size_t idle_connections_max) {
  return std::make_unique<CurlTransport>(reactor, buffers, idle_connections_max);
}

}  // namespace narthex::net
