#include "net/http_server.h"

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>

#include "net/http2_session.h"
#include "net/server_exchange.h"
#include "util/check.h"
#include "util/file.h"
#include "util/log.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::net {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kAsValue = asio::as_tuple(asio::use_awaitable);  // Errors come back, never throw.

// Writing moves, and a TLS handshake ends, within these times.
constexpr auto kProgressTimeout = std::chrono::seconds(120);
constexpr auto kHandshakeTimeout = std::chrono::seconds(10);
std::string SerializeHead(const HttpResponse& response, bool keep_alive, bool chunked,
                          size_t content_length) {
  const std::string_view text = HttpStatusText(response.status);
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, text);
  for (const auto& [name, value] : response.headers.fields()) {
    head.append(name).append(": ").append(value).append("\r\n");
  }
  if (!response.headers.Has("Date")) head.append("Date: ").append(DateField()).append("\r\n");
  if (chunked) {
    head.append("Transfer-Encoding: chunked\r\n");
  } else if (response.status != 204 && response.status != 304) {
    head.append(fmt::format("Content-Length: {}\r\n", content_length));
  }
  if (!keep_alive) head.append("Connection: close\r\n");
  head.append("\r\n");
  return head;
}

std::string EndpointText(const tcp::endpoint& endpoint) {
  const bool v6 = endpoint.address().is_v6();
  const std::string address = endpoint.address().to_string();
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", address, v6 ? "]" : "", endpoint.port());
}

class ServerImpl;

// What one connection shows the server: enough to end it.
class Connection {
 public:
  virtual ~Connection() = default;
  // Ends an idle connection at once, a busy one when `force`, otherwise after its answer.
  virtual void Shutdown(bool force) = 0;
};

template <typename Stream>
class Session : public Connection, public std::enable_shared_from_this<Session<Stream>> {
 public:
  Session(Stream stream, ServerImpl& server);
  asio::awaitable<void> Run();
  void Shutdown(bool force) override;

 private:
  asio::awaitable<bool> ServeOne(const http::request<http::string_body>& message);
  asio::awaitable<bool> SendAnswer(std::shared_ptr<Exchange> exchange, bool head, bool keep_alive);
  asio::awaitable<bool> WriteAll(std::string first, std::string second);
  // frames[0], parts[0], frames[1] and so on; one frame more than parts.
  asio::awaitable<bool> WriteParts(std::vector<std::string> frames, std::vector<std::string> parts);
  void WatchForClose(const std::shared_ptr<Exchange>& exchange);
  void Wake() { wake_.cancel(); }

  beast::tcp_stream& tcp_layer() { return beast::get_lowest_layer(stream_); }

  Stream stream_;
  ServerImpl& server_;
  asio::steady_timer wake_;
  std::shared_ptr<Exchange> current_;
  std::shared_ptr<Http2Session> http2_;  // Once the client has chosen it.
  std::string remote_address_;
  bool stopping_ = false;
};

class ServerImpl : public HttpServer {
 public:
  ServerImpl(EventLoop& loop, HttpServerOptions server_options, Handler request_handler)
      : context(*static_cast<asio::io_context*>(loop.native_context())),
        options(std::move(server_options)),
        handler(std::move(request_handler)) {}
  ~ServerImpl() override { Stop(0); }

  Status Listen();
  std::vector<std::string> addresses() const override { return addresses_; }
  size_t connection_count() const override { return count_.load(std::memory_order_relaxed); }
  uint64_t accepted_count() const override { return accepted_.load(std::memory_order_relaxed); }
  void Stop(int64_t grace_nanos) override;

  asio::io_context& context;
  const HttpServerOptions options;
  const Handler handler;

 private:
  Status RenewTls();
  asio::awaitable<void> Accept(std::shared_ptr<tcp::acceptor> acceptor);
  template <typename Stream>
  void Spawn(Stream stream);
  void Forget(Connection* connection);
  void Enter();
  void Leave();

  std::vector<std::shared_ptr<tcp::acceptor>> acceptors_;
  std::vector<std::string> addresses_;
  std::atomic<size_t> count_{0};
  std::atomic<uint64_t> accepted_{0};
  std::atomic<bool> stopped_{false};

  // On the loop only, once it listens.
  std::unique_ptr<asio::ssl::context> tls_;
  TlsServerOptions tls_options_;
  std::set<Connection*> connections_;
  bool stopping_ = false;

  std::mutex mutex_;
  std::condition_variable idle_;
  size_t alive_ = 0;  // Coroutines and posted functions that may still touch this object.
};

template <typename Stream>
Session<Stream>::Session(Stream stream, ServerImpl& server)
    : stream_(std::move(stream)), server_(server), wake_(server.context) {
  error_code error;
  remote_address_ = EndpointText(tcp_layer().socket().remote_endpoint(error));
  tcp_layer().socket().set_option(tcp::no_delay(true), error);
}

template <typename Stream>
void Session<Stream>::Shutdown(bool force) {
  stopping_ = true;
  if (http2_ != nullptr) {
    http2_->Shutdown(force);
    return;
  }
  if (current_ != nullptr) current_->Close();
  if (current_ == nullptr || force) tcp_layer().close();
}

template <typename Stream>
asio::awaitable<void> Session<Stream>::Run() {
  if constexpr (!std::is_same_v<Stream, beast::tcp_stream>) {
    tcp_layer().expires_after(kHandshakeTimeout);
    // A client that speaks plain HTTP gets an answer it can read, as Go's server gives.
    // The stream's own deadline covers reads and writes only, so this wait has one of its own.
    wake_.expires_after(kHandshakeTimeout);
    wake_.async_wait([weak = this->weak_from_this()](error_code cancelled) {
      const auto session = weak.lock();
      if (!cancelled && session != nullptr) session->tcp_layer().close();
    });
    const auto [wait_error] =
        co_await tcp_layer().socket().async_wait(tcp::socket::wait_read, kAsValue);
    wake_.cancel();
    char byte = 0;
    if (wait_error ||
        ::recv(tcp_layer().socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1) {
      co_return;
    }
    if (byte >= 'A' && byte <= 'Z') {
      static constexpr std::string_view kAnswer =
          "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
      co_await asio::async_write(tcp_layer(), asio::buffer(kAnswer), kAsValue);
      error_code ignored;
      tcp_layer().socket().shutdown(tcp::socket::shutdown_send, ignored);
      co_return;
    }
    const auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kAsValue);
    if (error) co_return;
    const unsigned char* chosen = nullptr;
    unsigned int chosen_size = 0;
    SSL_get0_alpn_selected(stream_.native_handle(), &chosen, &chosen_size);
    if (chosen_size == 2 && chosen[0] == 'h' && chosen[1] == '2') {
      http2_ = MakeHttp2Session(&stream_, &server_.context, server_.options, server_.handler,
                                remote_address_);
      if (stopping_) http2_->Shutdown(/*force=*/false);
      bool ended = false;
      http2_->Start([this, &ended] {
        ended = true;
        Wake();
      });
      while (!ended) {
        wake_.expires_at(asio::steady_timer::time_point::max());
        co_await wake_.async_wait(kAsValue);
      }
      co_return;
    }
  }
  beast::flat_buffer buffer;
  while (!stopping_) {
    http::request_parser<http::string_body> parser;
    parser.body_limit(server_.options.body_bytes_max);
    parser.header_limit(static_cast<uint32_t>(server_.options.header_bytes_max));
    tcp_layer().expires_after(std::chrono::nanoseconds(server_.options.read_timeout_nanos));
    const auto [error, size] = co_await http::async_read(stream_, buffer, parser, kAsValue);
    static_cast<void>(size);
    if (error) {
      int status = 0;
      if (error == http::error::body_limit) status = 413;
      if (error == http::error::header_limit) status = 431;
      if (error.category() == make_error_code(http::error::bad_method).category() && status == 0 &&
          error != http::error::end_of_stream && error != http::error::partial_message) {
        status = 400;
      }
      if (status != 0) {
        HttpResponse response =
            PlainError(status, fmt::format("{} {}", status, HttpStatusText(status)));
        std::string head = SerializeHead(response, false, false, response.body.size());
        co_await WriteAll(std::move(head), std::move(response.body));
      }
      break;
    }
    const http::request<http::string_body> message = parser.release();
    const bool go_on = co_await ServeOne(message);
    if (!go_on) break;
  }
  if constexpr (std::is_same_v<Stream, beast::tcp_stream>) {
    error_code ignored;
    tcp_layer().socket().shutdown(tcp::socket::shutdown_send, ignored);
  } else {
    tcp_layer().expires_after(std::chrono::seconds(1));
    co_await stream_.async_shutdown(kAsValue);
  }
}

template <typename Stream>
asio::awaitable<bool> Session<Stream>::ServeOne(const http::request<http::string_body>& message) {
  HttpRequest request;
  request.method = std::string(message.method_string());
  const std::string_view target(message.target().data(), message.target().size());
  const size_t mark = target.find('?');
  request.path = target.substr(0, mark);
  if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
  for (const auto& field : message) {
    request.headers.Add(std::string(field.name_string()), std::string(field.value()));
  }
  request.body = message.body();
  request.remote_address = remote_address_;
  const bool head = message.method() == http::verb::head;
  const bool keep_alive = message.keep_alive();

  auto self = this->shared_from_this();
  auto wake = [weak = this->weak_from_this(), &context = server_.context] {
    asio::post(context, [weak] {
      if (const auto session = weak.lock()) session->Wake();
    });
  };
  auto exchange = std::make_shared<Exchange>(std::move(request),
                                             server_.options.stream_buffer_bytes, std::move(wake));
  current_ = exchange;
  WatchForClose(exchange);
  // The handler holds a reference of its own, whose end without an answer is noticed.
  server_.handler(std::shared_ptr<HttpExchange>(
      exchange.get(), [exchange](HttpExchange*) { exchange->Abandon(); }));
  const bool sent = co_await SendAnswer(exchange, head, keep_alive && !stopping_);
  current_.reset();
  if (!sent) exchange->Close();
  // Ends the watch; nothing else waits on the socket now.
  error_code ignored;
  tcp_layer().socket().cancel(ignored);
  co_return sent&& keep_alive && !stopping_;
}

// Notices a client that hangs up while its request is being worked on.
template <typename Stream>
void Session<Stream>::WatchForClose(const std::shared_ptr<Exchange>& exchange) {
  tcp_layer().socket().async_wait(
      tcp::socket::wait_read,
      [weak = std::weak_ptr<Exchange>(exchange), self = this->weak_from_this()](error_code error) {
        const auto watched = weak.lock();
        const auto session = self.lock();
        if (error || watched == nullptr || session == nullptr) return;
        char byte;
        const ssize_t n = ::recv(session->tcp_layer().socket().native_handle(), &byte, 1,
                                 MSG_PEEK | MSG_DONTWAIT);
        // Data is the next request of a pipelining client (or TLS): it waits its turn.
        if (n != 0) return;
        watched->Close();
        session->Wake();
      });
}

template <typename Stream>
asio::awaitable<bool> Session<Stream>::SendAnswer(std::shared_ptr<Exchange> exchange, bool head,
                                                  bool keep_alive) {
  bool head_sent = false;
  for (;;) {
    wake_.expires_at(asio::steady_timer::time_point::max());
    Exchange::Step step = exchange->Take();
    if (!step.answered || (head_sent && step.parts.empty() && !step.finished)) {
      if (exchange->stop_token().stop_requested() && !stopping_) co_return false;
      co_await wake_.async_wait(kAsValue);
      continue;
    }
    std::string first;
    std::string second;
    size_t released = 0;
    if (!head_sent) {
      HttpResponse response = exchange->TakeResponse();
      first = SerializeHead(response, keep_alive, step.streaming && !head, response.body.size());
      head_sent = true;
      if (!step.streaming) {
        if (!head) second = std::move(response.body);
        co_return co_await WriteAll(std::move(first), std::move(second));
      }
      if (!response.body.empty() && !head) {
        first += fmt::format("{:x}\r\n", response.body.size()) + response.body + "\r\n";
      }
    }
    // What stands before each part, and behind the last.
    std::vector<std::string> frames = {std::move(first)};
    std::vector<std::string> parts;
    for (std::string& part : step.parts) {
      released += part.size();
      if (part.empty() || head) continue;
      frames.back().append(fmt::format("{:x}\r\n", part.size()));
      frames.emplace_back("\r\n");
      parts.push_back(std::move(part));
    }
    if (step.finished && !head) frames.back().append("0\r\n\r\n");
    const bool written = co_await WriteParts(std::move(frames), std::move(parts));
    exchange->Sent(released);
    if (!written) co_return false;
    if (step.finished) co_return true;
  }
}

template <typename Stream>
asio::awaitable<bool> Session<Stream>::WriteParts(std::vector<std::string> frames,
                                                  std::vector<std::string> parts) {
  if constexpr (std::is_same_v<Stream, beast::tcp_stream>) {
    // From where they lie: large answers are not copied once more.
    std::vector<asio::const_buffer> buffers;
    size_t total = 0;
    for (size_t i = 0; i < frames.size(); ++i) {
      buffers.push_back(asio::buffer(frames[i]));
      total += frames[i].size();
      if (i == parts.size()) break;
      buffers.push_back(asio::buffer(parts[i]));
      total += parts[i].size();
    }
    tcp_layer().expires_after(kProgressTimeout);
    const auto [error, size] = co_await asio::async_write(stream_, buffers, kAsValue);
    co_return !error && size == total;
  } else {
    std::string text = std::move(frames[0]);
    for (size_t i = 0; i < parts.size(); ++i) text.append(parts[i]).append(frames[i + 1]);
    const bool written = co_await WriteAll(std::move(text), {});
    co_return written;
  }
}

template <typename Stream>
asio::awaitable<bool> Session<Stream>::WriteAll(std::string first, std::string second) {
  // A deadline for each slice, so that a slow reader may take long in all but not stand still.
  constexpr size_t kSliceBytes = 4 << 20;
  std::string_view rest = second;
  if constexpr (std::is_same_v<Stream, beast::tcp_stream>) {
    const size_t slice = std::min(rest.size(), kSliceBytes);
    const std::array<asio::const_buffer, 2> buffers = {asio::buffer(first),
                                                       asio::buffer(rest.data(), slice)};
    tcp_layer().expires_after(kProgressTimeout);
    const auto [error, size] = co_await asio::async_write(stream_, buffers, kAsValue);
    if (error || size != first.size() + slice) co_return false;
    rest.remove_prefix(slice);
  } else {
    // Over TLS a list of buffers may be reported as written after its first one; so one at a time.
    tcp_layer().expires_after(kProgressTimeout);
    const auto [error, size] = co_await asio::async_write(stream_, asio::buffer(first), kAsValue);
    if (error || size != first.size()) co_return false;
  }
  while (!rest.empty()) {
    const size_t slice = std::min(rest.size(), kSliceBytes);
    tcp_layer().expires_after(kProgressTimeout);
    const auto [error, size] =
        co_await asio::async_write(stream_, asio::buffer(rest.data(), slice), kAsValue);
    if (error || size != slice) co_return false;
    rest.remove_prefix(slice);
  }
  co_return true;
}

Status ServerImpl::Listen() {
  if (options.tls_source) NARTHEX_RETURN_IF_ERROR(RenewTls());
  for (const std::string& text : options.listen_addresses) {
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos) {
      return MakeError(ErrorCode::kInvalidInput, "listen tcp: address {}: missing port in address",
                       text);
    }
    std::string host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const std::string port = text.substr(colon + 1);
    const auto failed = [&](std::string_view step, const error_code& error) {
      return MakeError(ErrorCode::kIo, "listen tcp {}: {}: {}", text, step,
                       ErrnoText(error.value()));
    };
    error_code error;
    tcp::endpoint endpoint;
    if (host.empty()) {
      const std::optional<uint64_t> number = ParseUint(port);
      if (!number || *number > 0xffff) {
        return MakeError(ErrorCode::kInvalidInput, "listen tcp: lookup tcp/{}: unknown port", port);
      }
      endpoint = tcp::endpoint(tcp::v6(), static_cast<uint16_t>(*number));
    } else {
      tcp::resolver resolver(context);
      const auto found = resolver.resolve(host, port, tcp::resolver::passive, error);
      if (error || found.empty()) {
        return MakeError(ErrorCode::kIo, "listen tcp: lookup {}: no such host", host);
      }
      endpoint = found.begin()->endpoint();
    }
    auto acceptor = std::make_shared<tcp::acceptor>(context);
    acceptor->open(endpoint.protocol(), error);
    if (error && host.empty()) {  // A machine without IPv6.
      endpoint = tcp::endpoint(tcp::v4(), endpoint.port());
      acceptor->open(endpoint.protocol(), error);
    }
    if (error) return failed("socket", error);
    acceptor->set_option(tcp::acceptor::reuse_address(true), error);
    if (host.empty() && endpoint.protocol() == tcp::v6()) {
      acceptor->set_option(asio::ip::v6_only(false), error);
    }
    acceptor->bind(endpoint, error);
    if (error) return failed("bind", error);
    acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error) return failed("listen", error);
    addresses_.push_back(EndpointText(acceptor->local_endpoint(error)));
    acceptors_.push_back(std::move(acceptor));
  }
  for (const auto& acceptor : acceptors_) {
    Enter();
    asio::co_spawn(context, Accept(acceptor), [this](const std::exception_ptr& failure) {
      NARTHEX_CHECK(failure == nullptr);
      Leave();
    });
  }
  return {};
}

// Makes the context anew when the certificate or anything else about it has changed.
Status ServerImpl::RenewTls() {
  NARTHEX_TRY(TlsServerOptions wanted, options.tls_source());
  if (tls_ != nullptr && wanted == tls_options_) return {};
  NARTHEX_TRY(const std::shared_ptr<ssl_ctx_st> made, MakeTlsServerContext(wanted));
  SSL_CTX_up_ref(made.get());  // Asio's object takes one reference.
  tls_ = std::make_unique<asio::ssl::context>(made.get());
  tls_options_ = std::move(wanted);
  return {};
}

asio::awaitable<void> ServerImpl::Accept(std::shared_ptr<tcp::acceptor> acceptor) {
  asio::steady_timer pause(context);
  while (acceptor->is_open()) {
    if (connections_.size() >= options.connections_max) {
      pause.expires_after(std::chrono::milliseconds(10));
      co_await pause.async_wait(kAsValue);
      continue;
    }
    auto [error, socket] = co_await acceptor->async_accept(kAsValue);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      // Out of descriptors, usually: others will be closed.
      LOG_WARN("accept failed", {"err", error.message()});
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(kAsValue);
      continue;
    }
    if (stopping_) co_return;
    if (options.tls_source) {
      if (const Status status = RenewTls(); !status.ok()) {
        LOG_ERROR("TLS handshake error", {"err", status.message()});
        continue;
      }
      Spawn(beast::ssl_stream<beast::tcp_stream>(beast::tcp_stream(std::move(socket)), *tls_));
    } else {
      Spawn(beast::tcp_stream(std::move(socket)));
    }
  }
}

template <typename Stream>
void ServerImpl::Spawn(Stream stream) {
  auto session = std::make_shared<Session<Stream>>(std::move(stream), *this);
  connections_.insert(session.get());
  accepted_.fetch_add(1, std::memory_order_relaxed);
  count_.store(connections_.size(), std::memory_order_relaxed);
  Enter();
  asio::co_spawn(context, session->Run(), [this, session](const std::exception_ptr& failure) {
    NARTHEX_CHECK(failure == nullptr);
    Forget(session.get());
  });
}

void ServerImpl::Forget(Connection* connection) {
  connections_.erase(connection);
  count_.store(connections_.size(), std::memory_order_relaxed);
  Leave();
}

void ServerImpl::Enter() {
  const std::lock_guard lock(mutex_);
  ++alive_;
}

void ServerImpl::Leave() {
  const std::lock_guard lock(mutex_);
  --alive_;
  idle_.notify_all();
}

void ServerImpl::Stop(int64_t grace_nanos) {
  if (stopped_.exchange(true)) return;
  const auto shut = [this](bool force) {
    Enter();
    asio::post(context, [this, force] {
      stopping_ = true;
      for (const auto& acceptor : acceptors_) {
        error_code ignored;
        acceptor->close(ignored);
      }
      // Shutdown may end a session, which changes the set.
      for (Connection* connection : std::set<Connection*>(connections_)) {
        connection->Shutdown(force);
      }
      Leave();
    });
  };
  shut(false);
  std::unique_lock lock(mutex_);
  const auto ended = [this] { return alive_ == 0; };
  if (idle_.wait_for(lock, std::chrono::nanoseconds(grace_nanos), ended)) return;
  lock.unlock();
  shut(true);
  lock.lock();
  // Handlers see their stop token and return; a handler that never does is a bug that must show.
  idle_.wait(lock, ended);
}

}  // namespace

void Headers::Set(std::string name, std::string value) {
  const std::string wanted = ToLower(name);
  std::erase_if(fields_, [&](const auto& field) { return ToLower(field.first) == wanted; });
  Add(std::move(name), std::move(value));
}

std::string_view Headers::Get(std::string_view name) const {
  const std::string wanted = ToLower(name);
  for (const auto& [key, value] : fields_) {
    if (key.size() == wanted.size() && ToLower(key) == wanted) return value;
  }
  return {};
}

bool Headers::Has(std::string_view name) const {
  const std::string wanted = ToLower(name);
  for (const auto& [key, value] : fields_) {
    if (key.size() == wanted.size() && ToLower(key) == wanted) return true;
  }
  return false;
}

std::string_view HttpStatusText(int status) {
  if (status == 499) return "status code 499";  // Go has no text for it either.
  const auto text = http::obsolete_reason(static_cast<http::status>(status));
  return {text.data(), text.size()};
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(EventLoop& loop, HttpServerOptions options,
                                                      Handler handler) {
  auto server = std::make_unique<ServerImpl>(loop, std::move(options), std::move(handler));
  NARTHEX_RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace narthex::net
