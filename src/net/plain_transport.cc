// HTTP/1.1 without TLS. In the steady state of scraping an exchange costs one send, one wait and
// one receive: connections are kept, watched edge-triggered once, and bodies land in place.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unordered_map>

#include "net/http1_reader.h"
#include "net/reactor.h"
#include "net/resolver.h"
#include "net/transport.h"
#include "util/file.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::net {
namespace {

constexpr size_t kScratchBytes = 256 << 10;
constexpr size_t kIdlePerHostMax = 1000;  // Upstream's.
constexpr int64_t kIdleNanosMax = 300 * kNanosPerSecond;
constexpr int64_t kSweepNanos = 30 * kNanosPerSecond;
constexpr int64_t kDialNanosMin = 2 * kNanosPerSecond;  // Of one address among several.
constexpr int kKeepAliveSeconds = 15;                   // Between probes of a silent connection.

class PlainTransport;

struct Connection;

struct Exchange {
  uint64_t id = 0;
  ExchangeRequest request;
  ExchangeDone done;
  Connection* connection = nullptr;
  std::string key;  // What its connection must lead to.
  Reactor::TimerId deadline = 0;
  bool sent_again = false;
  // While dialling.
  std::vector<SocketAddress> addresses;
  size_t next_address = 0;
  Status first_error;
  Reactor::TimerId dial_timer = 0;
};

struct Connection : Reactor::Watcher {
  explicit Connection(PlainTransport* t) : transport(t) {}
  void OnReady(uint32_t events) override;

  PlainTransport* const transport;
  int fd = -1;
  bool connecting = true;
  bool used_before = false;  // An exchange succeeded on it.
  bool peer_closed = false;
  Exchange* exchange = nullptr;  // Null: idle.
  std::string key;
  std::string address;  // For error texts.
  int64_t idle_since = 0;
  std::string out;  // The head, then what is left of the request.
  size_t sent = 0;
  Http1Reader reader;
};

std::string DialError(const Exchange& exchange, const std::string& address, std::string_view step,
                      int error) {
  const bool local = !exchange.request.unix_socket.empty();
  return fmt::format("dial {} {}: {}: {}", local ? "unix" : "tcp", address, step, ErrnoText(error));
}

class PlainTransport : public Transport {
 public:
  PlainTransport(Reactor& reactor, BodyBuffers& buffers, size_t idle_max)
      : reactor_(reactor), buffers_(buffers), idle_max_(idle_max), resolver_(reactor) {
    scratch_.resize(kScratchBytes);
  }

  ~PlainTransport() override {
    if (sweep_timer_ != 0) reactor_.Cancel(sweep_timer_);
    for (auto& [id, exchange] : exchanges_) CancelTimers(*exchange);
    for (auto& [pointer, connection] : connections_) CloseFd(*connection);
  }

  void Start(uint64_t id, ExchangeRequest request, ExchangeDone done) override {
    auto owned = std::make_unique<Exchange>();
    Exchange& exchange = *owned;
    exchange.id = id;
    exchange.request = std::move(request);
    exchange.done = std::move(done);
    const ExchangeRequest& asked = exchange.request;
    exchange.key = asked.unix_socket.empty() ? asked.url.host + "|" + Port(asked.url)
                                             : "|" + asked.unix_socket;
    exchanges_.emplace(id, std::move(owned));
    exchange.deadline =
        reactor_.RunAfter(asked.deadline_nanos - MonotonicNanos(), [this, id] { OnDeadline(id); });
    Connect(exchange);
  }

  void Cancel(uint64_t id) override {
    const auto found = exchanges_.find(id);
    if (found == exchanges_.end()) return;
    const std::unique_ptr<Exchange> exchange = std::move(found->second);
    exchanges_.erase(found);
    CancelTimers(*exchange);
    if (exchange->connection != nullptr) Close(*exchange->connection);
  }

  void OnReady(Connection& connection, uint32_t events) {
    if (connection.connecting) {
      OnConnected(connection, events);
      return;
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) connection.peer_closed = true;
    if (connection.exchange == nullptr) {
      // A kept connection that says anything is over.
      if ((events & ~uint32_t{EPOLLOUT}) != 0) Close(connection);
      return;
    }
    if ((events & EPOLLOUT) != 0 && !Send(connection)) return;
    if ((events & ~uint32_t{EPOLLOUT}) != 0) Receive(connection);
  }

 private:
  static std::string Port(const Url& url) { return url.port.empty() ? "80" : url.port; }

  // ---- Connecting ------------------------------------------------------------------------------

  void Connect(Exchange& exchange) {
    if (!exchange.sent_again) {
      if (Connection* kept = TakeIdle(exchange.key)) {
        Attach(*kept, exchange);
        return;
      }
    }
    const uint64_t id = exchange.id;
    if (!exchange.request.unix_socket.empty()) {
      const Result<SocketAddress> address = UnixAddress(exchange.request.unix_socket);
      if (!address.ok()) {
        Fail(exchange, address.status());
        return;
      }
      exchange.addresses = {*address};
      DialNext(exchange);
      return;
    }
    uint32_t port = 0;
    for (const char c : Port(exchange.request.url)) {
      port = std::min<uint32_t>(port * 10 + static_cast<uint32_t>(c - '0'), 1 << 16);
    }
    const std::string& host = exchange.request.url.host;
    if (port > 65535) {
      Fail(exchange, MakeError(ErrorCode::kInvalidInput, "dial tcp: address {}: invalid port",
                               exchange.request.url.port));
      return;
    }
    const auto port16 = static_cast<uint16_t>(port);
    if (const auto literal = ParseAddress(host, port16)) {
      exchange.addresses = {*literal};
      DialNext(exchange);
      return;
    }
    resolver_.Resolve(host, port16, [this, id](Result<std::vector<SocketAddress>> found) {
      const auto at = exchanges_.find(id);
      if (at == exchanges_.end()) return;
      if (!found.ok()) {
        Fail(*at->second, found.status().WithPrefix("dial tcp: "));
        return;
      }
      at->second->addresses = *std::move(found);
      DialNext(*at->second);
    });
  }

  // Tries the addresses one after the other; an error is told of the first.
  void DialNext(Exchange& exchange) {
    while (exchange.next_address < exchange.addresses.size()) {
      const SocketAddress& address = exchange.addresses[exchange.next_address++];
      if (Dial(exchange, address)) return;
    }
    Fail(exchange, exchange.first_error);
  }

  void NoteDialError(Exchange& exchange, std::string text) {
    if (exchange.first_error.ok()) {
      exchange.first_error = Status(ErrorCode::kIo, std::move(text));
    }
  }

  bool Dial(Exchange& exchange, const SocketAddress& address) {
    const std::string name =
        exchange.request.unix_socket.empty() ? address.Print() : exchange.request.unix_socket;
    const int family = address.storage.ss_family;
    const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      NoteDialError(exchange, DialError(exchange, name, "socket", errno));
      return false;
    }
    if (family != AF_UNIX) {
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
      setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kKeepAliveSeconds, sizeof kKeepAliveSeconds);
      setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepAliveSeconds, sizeof kKeepAliveSeconds);
    }
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 &&
        errno != EINPROGRESS) {
      const int error = errno;
      close(fd);
      NoteDialError(exchange, DialError(exchange, name, "connect", error));
      return false;
    }
    auto owned = std::make_unique<Connection>(this);
    Connection& connection = *owned;
    connections_.emplace(&connection, std::move(owned));
    connection.fd = fd;
    connection.key = exchange.key;
    connection.address = name;
    connection.exchange = &exchange;
    exchange.connection = &connection;
    reactor_.Watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &connection);
    const size_t others = exchange.addresses.size() - exchange.next_address;
    if (others > 0) {
      const int64_t left = exchange.request.deadline_nanos - MonotonicNanos();
      const int64_t share = std::max(left / static_cast<int64_t>(others + 1), kDialNanosMin);
      exchange.dial_timer =
          reactor_.RunAfter(share, [this, id = exchange.id] { OnDialFailed(id, ETIMEDOUT); });
    }
    return true;
  }

  void OnDialFailed(uint64_t id, int error) {
    const auto found = exchanges_.find(id);
    if (found == exchanges_.end() || found->second->connection == nullptr ||
        !found->second->connection->connecting) {
      return;
    }
    Exchange& exchange = *found->second;
    NoteDialError(exchange, DialError(exchange, exchange.connection->address, "connect", error));
    Close(*exchange.connection);
    StopDialTimer(exchange);
    DialNext(exchange);
  }

  void OnConnected(Connection& connection, uint32_t events) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
    Exchange& exchange = *connection.exchange;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      OnDialFailed(exchange.id, error);
      return;
    }
    StopDialTimer(exchange);
    connection.connecting = false;
    Attach(connection, exchange);
  }

  // ---- The exchange ----------------------------------------------------------------------------

  void Attach(Connection& connection, Exchange& exchange) {
    const ExchangeRequest& request = exchange.request;
    connection.exchange = &exchange;
    exchange.connection = &connection;
    connection.reader.Begin(request.method == "HEAD", request.body_bytes_max, request.on_data,
                            &buffers_);
    std::string& out = connection.out;
    out.clear();
    connection.sent = 0;
    out.append(request.method).append(" ");
    if (request.url.path.empty()) out += '/';
    out += request.url.path;
    if (!request.url.query.empty()) out.append("?").append(request.url.query);
    out += " HTTP/1.1\r\n";
    bool has_host = false;
    const auto add = [&](const HeaderFields& fields) {
      for (const auto& [name, value] : fields) {
        out.append(name).append(": ").append(value).append("\r\n");
        has_host = has_host || name == "Host";
      }
    };
    if (request.shared_fields != nullptr) add(*request.shared_fields);
    add(request.fields);
    if (!has_host) {
      const bool v6 = request.url.host.find(':') != std::string::npos;
      out.append(v6 ? "Host: [" : "Host: ").append(request.url.host).append(v6 ? "]" : "");
      if (!request.url.port.empty()) out.append(":").append(request.url.port);
      out += "\r\n";
    }
    if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
      out += fmt::format("Content-Length: {}\r\n", request.body.size());
    }
    out += "\r\n";
    Send(connection);
  }

  // False when the connection is no more.
  bool Send(Connection& connection) {
    const std::string_view body = connection.exchange->request.body;
    const size_t total = connection.out.size() + body.size();
    while (connection.sent < total) {
      std::array<iovec, 2> parts{};
      size_t count = 0;
      if (connection.sent < connection.out.size()) {
        parts[count++] = {connection.out.data() + connection.sent,
                          connection.out.size() - connection.sent};
      }
      const size_t body_sent =
          connection.sent > connection.out.size() ? connection.sent - connection.out.size() : 0;
      if (body_sent < body.size()) {
        parts[count++] = {const_cast<char*>(body.data()) + body_sent, body.size() - body_sent};
      }
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = count;
      const ssize_t sent = sendmsg(connection.fd, &message, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EAGAIN || errno == EINTR) return true;
        // The server may have answered and closed before it read all: its answer is wanted, or the
        // error that reading gives.
        connection.peer_closed = true;
        connection.sent = total;
        Receive(connection);
        return false;
      }
      connection.sent += static_cast<size_t>(sent);
    }
    return true;
  }

  void Receive(Connection& connection) {
    for (;;) {
      const std::span<char> direct = connection.reader.Direct();
      std::array<iovec, 2> parts{};
      size_t count = 0;
      if (!direct.empty()) parts[count++] = {direct.data(), direct.size()};
      parts[count++] = {scratch_.data(), scratch_.size()};
      const ssize_t got = readv(connection.fd, parts.data(), static_cast<int>(count));
      if (got < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN) return;
        Broken(connection, Status(ErrorCode::kIo, ReadError(connection, errno)));
        return;
      }
      if (got == 0) {
        connection.peer_closed = true;
        Status status = connection.reader.EndOfConnection();
        if (status.ok()) {
          Succeed(connection);
        } else {
          Broken(connection, std::move(status));
        }
        return;
      }
      const auto bytes = static_cast<size_t>(got);
      const size_t in_place = std::min(bytes, direct.size());
      Status status;
      if (in_place > 0) status = connection.reader.ReceivedDirect(in_place);
      std::string_view rest(scratch_.data(), bytes - in_place);
      if (status.ok() && !rest.empty()) {
        const Result<size_t> taken = connection.reader.Consume(rest);
        if (taken.ok()) rest.remove_prefix(*taken);
        status = taken.status();
      }
      if (!status.ok()) {
        Fail(*connection.exchange, std::move(status));
        return;
      }
      if (connection.reader.done()) {
        // What follows an answer unasked would be read as the beginning of the next.
        const bool more = !rest.empty() || bytes == direct.size() + scratch_.size();
        if (more || !connection.reader.keep_alive()) connection.peer_closed = true;
        Succeed(connection);
        return;
      }
      // Less than there was room for: nothing is left, and the next bytes are an event again.
      if (bytes < direct.size() + scratch_.size() && !connection.peer_closed) return;
    }
  }

  std::string ReadError(const Connection& connection, int error) const {
    if (!connection.exchange->request.unix_socket.empty()) {
      return fmt::format("read unix @->{}: read: {}", connection.address, ErrnoText(error));
    }
    SocketAddress local;
    local.size = sizeof local.storage;
    getsockname(connection.fd, reinterpret_cast<sockaddr*>(&local.storage), &local.size);
    return fmt::format("read tcp {}->{}: read: {}", local.Print(), connection.address,
                       ErrnoText(error));
  }

  // The connection failed under an exchange. One that was kept may have been closed by the server
  // just as it was used again: then the request is sent once more, over a new one.
  void Broken(Connection& connection, Status status) {
    Exchange& exchange = *connection.exchange;
    const std::string& method = exchange.request.method;
    const bool repeatable = method == "GET" || method == "HEAD";
    if (connection.used_before && !connection.reader.began() && repeatable &&
        !exchange.sent_again) {
      exchange.sent_again = true;
      Close(connection);
      Connect(exchange);
      return;
    }
    Fail(exchange, std::move(status));
  }

  void Succeed(Connection& connection) {
    const std::unique_ptr<Exchange> exchange = Release(*connection.exchange);
    ExchangeResult result;
    result.response = connection.reader.TakeResponse();
    connection.exchange = nullptr;
    if (connection.peer_closed ||
        connection.sent < connection.out.size() + exchange->request.body.size()) {
      Close(connection);
    } else {
      Keep(connection);
    }
    exchange->done(std::move(result));
  }

  void Fail(Exchange& failed, Status status) {
    const std::unique_ptr<Exchange> exchange = Release(failed);
    ExchangeResult result;
    result.error = std::move(status);
    if (exchange->connection != nullptr) {
      const Http1Reader& reader = exchange->connection->reader;
      result.error_names_url = exchange->connection->connecting || !reader.head_complete();
      Close(*exchange->connection);
    }
    exchange->done(std::move(result));
  }

  void OnDeadline(uint64_t id) {
    const auto found = exchanges_.find(id);
    if (found == exchanges_.end()) return;
    found->second->deadline = 0;
    Fail(*found->second, Status(ErrorCode::kTimeout, "context deadline exceeded"));
  }

  // The exchange is over; its connection still points to it.
  std::unique_ptr<Exchange> Release(Exchange& exchange) {
    const auto found = exchanges_.find(exchange.id);
    std::unique_ptr<Exchange> owned = std::move(found->second);
    exchanges_.erase(found);
    CancelTimers(*owned);
    return owned;
  }

  void StopDialTimer(Exchange& exchange) {
    if (exchange.dial_timer != 0) reactor_.Cancel(std::exchange(exchange.dial_timer, 0));
  }

  void CancelTimers(Exchange& exchange) {
    StopDialTimer(exchange);
    if (exchange.deadline != 0) reactor_.Cancel(std::exchange(exchange.deadline, 0));
  }

  // ---- Kept connections ------------------------------------------------------------------------

  Connection* TakeIdle(const std::string& key) {
    const auto found = idle_.find(key);
    if (found == idle_.end() || found->second.empty()) return nullptr;
    Connection* connection = found->second.back();
    found->second.pop_back();
    --idle_count_;
    return connection;
  }

  void Keep(Connection& connection) {
    std::vector<Connection*>& kept = idle_[connection.key];
    if (kept.size() >= kIdlePerHostMax || idle_count_ >= idle_max_) {
      Close(connection);
      return;
    }
    connection.used_before = true;
    connection.idle_since = MonotonicNanos();
    // A request head of ordinary length may stay; a long one goes.
    if (connection.out.capacity() > 4096) connection.out = std::string();
    kept.push_back(&connection);
    ++idle_count_;
    if (sweep_timer_ == 0) {
      sweep_timer_ = reactor_.RunAfter(kSweepNanos, [this] { Sweep(); });
    }
  }

  void Sweep() {
    sweep_timer_ = 0;
    const int64_t oldest = MonotonicNanos() - kIdleNanosMax;
    std::vector<Connection*> over;
    for (const auto& [key, kept] : idle_) {
      for (Connection* connection : kept) {
        if (connection->idle_since < oldest) over.push_back(connection);
      }
    }
    for (Connection* connection : over) Close(*connection);
    std::erase_if(idle_, [](const auto& entry) { return entry.second.empty(); });
    if (idle_count_ > 0) sweep_timer_ = reactor_.RunAfter(kSweepNanos, [this] { Sweep(); });
  }

  void CloseFd(Connection& connection) {
    reactor_.Unwatch(connection.fd, &connection);
    close(connection.fd);
  }

  void Close(Connection& connection) {
    if (connection.exchange != nullptr) {
      connection.exchange->connection = nullptr;
    } else if (const auto found = idle_.find(connection.key); found != idle_.end()) {
      idle_count_ -= std::erase(found->second, &connection);
    }
    connection.reader.Drop();
    CloseFd(connection);
    connections_.erase(&connection);
  }

  Reactor& reactor_;
  BodyBuffers& buffers_;
  const size_t idle_max_;
  Resolver resolver_;
  std::string scratch_;
  std::unordered_map<uint64_t, std::unique_ptr<Exchange>> exchanges_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::unordered_map<std::string, std::vector<Connection*>> idle_;
  size_t idle_count_ = 0;
  Reactor::TimerId sweep_timer_ = 0;
};

void Connection::OnReady(uint32_t events) {
  transport->OnReady(*this, events);
}

}  // namespace

std::unique_ptr<Transport> MakePlainTransport(Reactor& reactor, BodyBuffers& buffers,
                                              size_t idle_connections_max) {
  return std::make_unique<PlainTransport>(reactor, buffers, idle_connections_max);
}

}  // namespace narthex::net
