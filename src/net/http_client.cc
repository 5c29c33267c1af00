#include "net/http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "net/url.h"
#include "util/file.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::net {
namespace {

constexpr long kReceiveBufferBytes = 256 * 1024;
constexpr uint64_t kReserveBytesMax = 8 << 20;
constexpr int kPollMillis = 1000;
constexpr long kRedirectsMax = 10;            // Go's limit.
constexpr size_t kHeaderBytesMax = 10 << 20;  // Likewise.

long TlsVersion(std::string_view name) {
  if (name == "TLS10") return CURL_SSLVERSION_TLSv1_0;
  if (name == "TLS11") return CURL_SSLVERSION_TLSv1_1;
  if (name == "TLS12") return CURL_SSLVERSION_TLSv1_2;
  if (name == "TLS13") return CURL_SSLVERSION_TLSv1_3;
  return CURL_SSLVERSION_DEFAULT;
}

long TlsMaxVersion(std::string_view name) {
  if (name == "TLS10") return CURL_SSLVERSION_MAX_TLSv1_0;
  if (name == "TLS11") return CURL_SSLVERSION_MAX_TLSv1_1;
  if (name == "TLS12") return CURL_SSLVERSION_MAX_TLSv1_2;
  if (name == "TLS13") return CURL_SSLVERSION_MAX_TLSv1_3;
  return CURL_SSLVERSION_MAX_DEFAULT;
}

// Memory of bodies between two answers. A transfer takes some when its body begins, so that those
// that wait hold none.
class BodyBuffers {
 public:
  std::string Take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return {};
    std::string buffer = std::move(free_.back());
    free_.pop_back();
    return buffer;
  }
  void Give(std::string buffer) {
    if (buffer.capacity() < kBytesMin || buffer.capacity() > kBytesMax) return;
    buffer.clear();
    const std::lock_guard lock(mutex_);
    if (free_.size() < kBuffersMax) free_.push_back(std::move(buffer));
  }

 private:
  static constexpr size_t kBytesMin = 16 << 10;
  static constexpr size_t kBytesMax = 4 << 20;
  static constexpr size_t kBuffersMax = 8;
  std::mutex mutex_;
  std::vector<std::string> free_;
};

// Handles between two transfers: a new one costs more to build than to set up again. On the
// client's thread only.
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

// One request in flight; owned by the client, touched by its thread alone.
struct Transfer {
  HttpClient::RequestId id = 0;
  HttpClientRequest request;
  HttpClient::Callback done;
  HttpClientResponse response;
  BodyBuffers* buffers = nullptr;
  EasyHandles* handles = nullptr;
  size_t content_bytes = 0;  // As the answer claims, within a bound.
  CURL* easy = nullptr;
  curl_slist* header_list = nullptr;
  curl_slist* proxy_header_list = nullptr;
  size_t header_bytes = 0;
  bool headers_complete = false;
  curl_slist* connect_to_list = nullptr;
  bool too_large = false;
  bool canceled = false;
  bool sent_again = false;
  std::string malformed;  // What came where a status line should be.
  std::string location;   // Of the latest redirect, as it stood.
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
  if (transfer->request.on_data && transfer->response.status_text.starts_with('2')) {
    if (transfer->request.on_data({data, bytes})) return bytes;
    transfer->canceled = true;
    return 0;
  }
  std::string& body = transfer->response.body;
  const size_t bound = transfer->request.body_bytes_max;
  if (bound > 0 && body.size() + bytes > bound) {
    transfer->too_large = true;
    return 0;
  }
  if (body.empty() && bytes > 0) {
    if (body.capacity() < bytes) body = transfer->buffers->Take();
    body.reserve(transfer->content_bytes);
  }
  body.append(data, bytes);
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
    // Each answer of a redirect chain starts anew.
    const size_t space = line.find(' ');
    transfer->response.headers = Headers();
    transfer->response.body.clear();
    transfer->content_bytes = 0;
    transfer->response.status_text =
        space == std::string_view::npos ? "" : std::string(TrimSpace(line.substr(space + 1)));
    return bytes;
  }
  if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = TrimSpace(line.substr(colon + 1));
    if (ToLower(name) == "content-length") {
      // Saves growing the body step by step; the claim is believed only up to a bound.
      const uint64_t claimed = ParseUint(value).value_or(0);
      transfer->content_bytes = std::min<uint64_t>(claimed, kReserveBytesMax);
    }
    if (ToLower(name) == "location") transfer->location = value;
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

// The error as Go's client words it.
Status TransferError(const Transfer& transfer, CURLcode code) {
  constexpr std::string_view kBroken = "net/http: HTTP/1.x transport connection broken: ";
  std::string method = transfer.request.method;
  for (size_t i = 1; i < method.size(); ++i) method[i] = static_cast<char>(method[i] | 0x20);
  const auto with_url = [&](std::string_view what) {
    return fmt::format("{} {}: {}", method, GoQuote(transfer.request.url), what);
  };
  const auto headers_too_large = [&] {
    return Status(
        ErrorCode::kIo,
        with_url(fmt::format("{}net/http: server response headers exceeded {} bytes; aborted",
                             kBroken, kHeaderBytesMax)));
  };
  const char* ip = nullptr;
  long port = 0;
  long os_error = 0;
  curl_easy_getinfo(transfer.easy, CURLINFO_PRIMARY_IP, &ip);
  curl_easy_getinfo(transfer.easy, CURLINFO_PRIMARY_PORT, &port);
  curl_easy_getinfo(transfer.easy, CURLINFO_OS_ERRNO, &os_error);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      // A body cut short has no URL in front: upstream reads it outside the client.
      if (!transfer.headers_complete) {
        return Status(ErrorCode::kTimeout, with_url("context deadline exceeded"));
      }
      return Status(ErrorCode::kTimeout, "context deadline exceeded");
    case CURLE_COULDNT_RESOLVE_HOST: {
      const Result<Url> url = ParseUrl(transfer.request.url);
      return Status(ErrorCode::kIo,
                    with_url(fmt::format("dial tcp: lookup {}: no such host",
                                         url.ok() ? url->host : transfer.request.url)));
    }
    case CURLE_COULDNT_CONNECT: {
      const int error = os_error == 0 ? ECONNREFUSED : static_cast<int>(os_error);
      if (!transfer.request.unix_socket.empty()) {
        return Status(ErrorCode::kIo,
                      with_url(fmt::format("dial unix {}: connect: {}",
                                           transfer.request.unix_socket, ErrnoText(error))));
      }
      // Before a connection stands curl may not tell the address.
      std::string address = ip != nullptr ? ip : "";
      if (address.empty()) {
        const Result<Url> url = ParseUrl(transfer.request.url);
        if (url.ok()) {
          address = url->host == "localhost" ? "127.0.0.1" : url->host;
          port = url->port.empty() ? (url->scheme == "https" ? 443 : 80) : std::stol(url->port);
        }
      }
      if (address.find(':') != std::string::npos) address = "[" + address + "]";
      return Status(ErrorCode::kIo, with_url(fmt::format("dial tcp {}:{}: connect: {}", address,
                                                         port, ErrnoText(error))));
    }
    case CURLE_GOT_NOTHING: return Status(ErrorCode::kIo, with_url("EOF"));
    case CURLE_PARTIAL_FILE: return Status(ErrorCode::kIo, "unexpected EOF");
    case CURLE_TOO_MANY_REDIRECTS:
      return Status(ErrorCode::kIo, fmt::format("{} {}: stopped after {} redirects", method,
                                                GoQuote(transfer.location), kRedirectsMax));
    case CURLE_RECV_ERROR: {
      const std::string_view reason(transfer.error_text.data());
      if (reason.find("chunked-encoding") != std::string_view::npos) {
        return Status(ErrorCode::kIo, reason.find("hexadecimal") != std::string_view::npos
                                          ? "invalid byte in chunk length"
                                          : "malformed chunked encoding");
      }
      // libcurl itself takes 300 KiB.
      if (reason.find("response headers") != std::string_view::npos) return headers_too_large();
      std::string what = transfer.headers_complete ? "unexpected EOF" : "EOF";
      if (os_error == ECONNRESET) what = ConnectionReset(transfer.easy);
      return Status(ErrorCode::kIo, transfer.headers_complete ? what : with_url(what));
    }
    case CURLE_WEIRD_SERVER_REPLY:
      if (std::string_view(transfer.error_text.data()).find("Content-Length") !=
          std::string_view::npos) {
        return Status(ErrorCode::kIo, with_url(fmt::format("{}bad Content-Length", kBroken)));
      }
      return Status(ErrorCode::kIo, with_url(curl_easy_strerror(code)));
    case CURLE_WRITE_ERROR:
      if (!transfer.malformed.empty()) {
        return Status(ErrorCode::kIo, with_url(fmt::format("{}malformed HTTP response {}", kBroken,
                                                           GoQuote(transfer.malformed))));
      }
      if (transfer.header_bytes > kHeaderBytesMax) return headers_too_large();
      return Status(ErrorCode::kIo, with_url(curl_easy_strerror(code)));
    default: return Status(ErrorCode::kIo, with_url(curl_easy_strerror(code)));
  }
}

// Sets the credentials and TLS part; an unreadable file is an error before any byte is sent.
Status ApplyOptions(const HttpClientOptions& options, Transfer* transfer,
                    std::vector<std::string>* fields) {
  CURL* easy = transfer->easy;
  const auto set_blob = [&](CURLoption option, const std::string& pem) {
    curl_blob blob{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_COPY};
    curl_easy_setopt(easy, option, &blob);
  };
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, options.follow_redirects ? 1L : 0L);
  if (!options.basic_user.empty()) {
    std::string password = options.basic_password;
    if (!options.basic_password_file.empty()) {
      NARTHEX_TRY(const std::string text, FileSystem::Posix().ReadAll(options.basic_password_file));
      password = TrimSpace(text);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_USERNAME, options.basic_user.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, password.c_str());
  }
  std::string credentials = options.authorization_credentials;
  if (!options.authorization_credentials_file.empty()) {
    NARTHEX_TRY(const std::string text,
                FileSystem::Posix().ReadAll(options.authorization_credentials_file));
    credentials = TrimSpace(text);
  }
  // libcurl itself keeps a custom Authorization field from other hosts after a redirect.
  if (!credentials.empty()) {
    fields->push_back("Authorization: " + options.authorization_type + " " + credentials);
  }
  for (const auto& [name, value] : options.headers) fields->push_back(name + ": " + value);

  if (!options.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
  if (!options.ca_pem.empty()) set_blob(CURLOPT_CAINFO_BLOB, options.ca_pem);
  if (!options.certificate_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSLCERT, options.certificate_file.c_str());
  }
  if (!options.certificate_pem.empty()) set_blob(CURLOPT_SSLCERT_BLOB, options.certificate_pem);
  if (!options.key_file.empty()) curl_easy_setopt(easy, CURLOPT_SSLKEY, options.key_file.c_str());
  if (!options.key_pem.empty()) set_blob(CURLOPT_SSLKEY_BLOB, options.key_pem);
  if (options.insecure_skip_verify) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                   TlsVersion(options.tls_min_version) | TlsMaxVersion(options.tls_max_version));
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                   options.enable_http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
  // An empty proxy also switches the environment's proxies off.
  if (!options.proxy_from_environment) {
    curl_easy_setopt(easy, CURLOPT_PROXY, options.proxy_url.c_str());
    if (!options.no_proxy.empty()) {
      curl_easy_setopt(easy, CURLOPT_NOPROXY, options.no_proxy.c_str());
    }
  }
  for (const auto& [name, value] : options.proxy_connect_headers) {
    transfer->proxy_header_list =
        curl_slist_append(transfer->proxy_header_list, (name + ": " + value).c_str());
  }
  if (transfer->proxy_header_list != nullptr) {
    curl_easy_setopt(easy, CURLOPT_PROXYHEADER, transfer->proxy_header_list);
    curl_easy_setopt(easy, CURLOPT_HEADEROPT, CURLHEADER_SEPARATE);
  }
  return {};
}

// libcurl verifies the name it has in the URL. So the URL gets the wanted name, and the connection
// goes where the URL had meant it to.
Status ApplyServerName(const std::string& server_name, Transfer* transfer,
                       std::vector<std::string>* fields) {
  const std::string& url = transfer->request.url;
  NARTHEX_TRY(const Url parsed, ParseUrl(url));
  if (parsed.scheme != "https" || parsed.host == server_name) return {};
  const size_t begin = url.find("://") + 3;
  const size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  const std::string port = parsed.port.empty() ? "443" : parsed.port;
  const bool v6 = parsed.host.find(':') != std::string::npos;
  const std::string host = v6 ? "[" + parsed.host + "]" : parsed.host;
  transfer->connect_to_list =
      curl_slist_append(nullptr, fmt::format("{}:{}:{}:{}", server_name, port, host, port).c_str());
  curl_easy_setopt(transfer->easy, CURLOPT_CONNECT_TO, transfer->connect_to_list);
  const std::string user = parsed.user_info.empty() ? "" : parsed.user_info + "@";
  curl_easy_setopt(
      transfer->easy, CURLOPT_URL,
      fmt::format("https://{}{}:{}{}", user, server_name, port, url.substr(end)).c_str());
  fields->push_back("Host: " + (parsed.port.empty() ? host : host + ":" + port));
  return {};
}

Status Prepare(Transfer* transfer) {
  CURL* easy = transfer->easy = transfer->handles->Take();
  if (easy == nullptr) return Status(ErrorCode::kInternal, "cannot create an HTTP transfer");
  const HttpClientRequest& request = transfer->request;
  static const HttpClientOptions defaults;
  std::vector<std::string> fields;
  NARTHEX_RETURN_IF_ERROR(
      ApplyOptions(request.options ? *request.options : defaults, transfer, &fields));
  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error_text.data());
  curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 1L);
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  if (request.options && !request.options->server_name.empty()) {
    NARTHEX_RETURN_IF_ERROR(ApplyServerName(request.options->server_name, transfer, &fields));
  }
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, kRedirectsMax);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                   static_cast<long>(std::max<int64_t>(request.timeout_nanos / 1'000'000, 1)));
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
  if (!request.unix_socket.empty()) {
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str());
  }
  if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.method != "GET" || !request.body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    fields.push_back("Expect:");  // No waiting for 100 Continue.
  }
  for (const auto& [name, value] : request.headers) fields.push_back(name + ": " + value);
  for (const std::string& field : fields) {
    transfer->header_list = curl_slist_append(transfer->header_list, field.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->header_list);
  return {};
}

// What a server sends beyond the length it announced would be read as the beginning of its next
// answer, so such a connection ends here. TLS records cannot be told from outside; there the next
// exchange fails.
void DrainUnasked(CURL* easy) {
  curl_socket_t socket = CURL_SOCKET_BAD;
  if (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket) != CURLE_OK) return;
  const char* scheme = nullptr;
  curl_easy_getinfo(easy, CURLINFO_SCHEME, &scheme);
  if (socket == CURL_SOCKET_BAD || scheme == nullptr || ToLower(scheme) != "http") return;
  constexpr int kPartsMax = 16;
  std::array<char, 4096> discarded;
  for (int i = 0; i < kPartsMax; ++i) {
    if (recv(socket, discarded.data(), discarded.size(), MSG_DONTWAIT) <= 0) return;
    if (i == 0) shutdown(socket, SHUT_RDWR);
  }
}

// A kept connection may be closed by the server just when it is used again. As Go does, such a
// request is sent once more, over a new connection and within the same time.
bool PrepareAgain(Transfer* transfer) {
  if (transfer->sent_again || transfer->canceled || transfer->request.method != "GET") return false;
  transfer->sent_again = true;
  curl_off_t elapsed_micros = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &elapsed_micros);
  const int64_t left_millis = transfer->request.timeout_nanos / 1'000'000 - elapsed_micros / 1000;
  if (left_millis <= 0) return false;
  curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, static_cast<long>(left_millis));
  curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L);
  transfer->header_bytes = 0;
  transfer->headers_complete = false;
  transfer->response.headers = Headers();
  transfer->response.status_text.clear();
  return true;
}

}  // namespace

struct HttpClient::Impl {
  CURLM* multi = nullptr;
  std::thread thread;
  BodyBuffers buffers;

  std::mutex mutex;
  std::deque<std::unique_ptr<Transfer>> incoming;
  std::deque<RequestId> cancellations;
  bool stopping = false;
  std::atomic<RequestId> last_id{0};

  // On the thread only. Transfers give their handles back, so they go first.
  EasyHandles handles;
  std::unordered_map<RequestId, std::unique_ptr<Transfer>> active;

  void Complete(std::unique_ptr<Transfer> transfer, CURLcode code) {
    HttpClientResponse& response = transfer->response;
    if (transfer->canceled) {
      response.error = Status(ErrorCode::kCanceled, "context canceled");
    } else if (transfer->too_large) {
      response.error = Status(ErrorCode::kLimitExceeded, "body size limit exceeded");
    } else if (code != CURLE_OK) {
      response.error = TransferError(*transfer, code);
    } else {
      long status = 0;
      curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
      response.status = static_cast<int>(status);
      // HTTP/2 has no text; Go fills in its own.
      long version = 0;
      curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version);
      if (version >= CURL_HTTP_VERSION_2_0) {
        response.status_text = fmt::format("{} {}", status, HttpStatusText(response.status));
      }
    }
    transfer->done(std::move(response));
  }

  void Start(std::unique_ptr<Transfer> transfer) {
    if (Status status = Prepare(transfer.get()); !status.ok()) {
      transfer->response.error = std::move(status);
      transfer->done(std::move(transfer->response));
      return;
    }
    curl_multi_add_handle(multi, transfer->easy);
    const RequestId id = transfer->id;
    active.emplace(id, std::move(transfer));
  }

  void Remove(RequestId id, CURLcode code) {
    const auto found = active.find(id);
    if (found == active.end()) return;
    std::unique_ptr<Transfer> transfer = std::move(found->second);
    active.erase(found);
    if (code == CURLE_OK) DrainUnasked(transfer->easy);
    curl_multi_remove_handle(multi, transfer->easy);
    if (code == CURLE_SEND_ERROR && PrepareAgain(transfer.get())) {
      curl_multi_add_handle(multi, transfer->easy);
      active.emplace(id, std::move(transfer));
      return;
    }
    Complete(std::move(transfer), code);
  }

  void Run() {
    for (;;) {
      std::deque<std::unique_ptr<Transfer>> starting;
      std::deque<RequestId> canceling;
      bool stop = false;
      {
        const std::lock_guard lock(mutex);
        starting.swap(incoming);
        canceling.swap(cancellations);
        stop = stopping;
      }
      for (auto& transfer : starting) Start(std::move(transfer));
      if (stop) {
        for (const auto& [id, transfer] : active) canceling.push_back(id);
      }
      for (const RequestId id : canceling) {
        if (const auto found = active.find(id); found != active.end()) {
          found->second->canceled = true;
          Remove(id, CURLE_ABORTED_BY_CALLBACK);
        }
      }
      if (stop) return;
      int running = 0;
      curl_multi_perform(multi, &running);
      int queued = 0;
      while (const CURLMsg* message = curl_multi_info_read(multi, &queued)) {
        if (message->msg != CURLMSG_DONE) continue;
        char* pointer = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &pointer);
        // Copied out: removing the handle frees the message.
        const CURLcode code = message->data.result;
        Remove(reinterpret_cast<Transfer*>(pointer)->id, code);
      }
      curl_multi_poll(multi, nullptr, 0, kPollMillis, nullptr);
    }
  }
};

HttpClient::HttpClient(size_t idle_connections_max) : impl_(std::make_unique<Impl>()) {
  // Not safe to run twice at once, which a function-local static prevents.
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(global);
  impl_->multi = curl_multi_init();
  curl_multi_setopt(impl_->multi, CURLMOPT_MAXCONNECTS, static_cast<long>(idle_connections_max));
  impl_->thread = std::thread([this] { impl_->Run(); });
}

HttpClient::~HttpClient() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  curl_multi_wakeup(impl_->multi);
  impl_->thread.join();
  curl_multi_cleanup(impl_->multi);
}

HttpClient::RequestId HttpClient::Fetch(HttpClientRequest request, Callback done) {
  auto transfer = std::make_unique<Transfer>();
  const RequestId id = ++impl_->last_id;
  transfer->id = id;
  transfer->buffers = &impl_->buffers;
  transfer->handles = &impl_->handles;
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->incoming.push_back(std::move(transfer));
  }
  curl_multi_wakeup(impl_->multi);
  return id;
}

void HttpClient::Cancel(RequestId id) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->cancellations.push_back(id);
  }
  curl_multi_wakeup(impl_->multi);
}

void HttpClient::Recycle(std::string body) {
  impl_->buffers.Give(std::move(body));
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
