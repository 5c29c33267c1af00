#include "socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace narthex::client {
namespace {

using std::chrono::milliseconds;

class PlainChannel final : public Channel {
 public:
  explicit PlainChannel(int socket) : socket_(socket) {}

  Outcome Read(char* data, size_t size) override {
    const ssize_t got = recv(socket_, data, size, 0);
    if (got == 0) return {State::kClosed, 0};
    return Report(got, State::kWantRead);
  }
  Outcome Write(const char* data, size_t size) override {
    return Report(send(socket_, data, size, MSG_NOSIGNAL), State::kWantWrite);
  }
  std::string error() const override { return std::strerror(errno_); }

 private:
  Outcome Report(ssize_t count, State when_blocked) {
    if (count >= 0) return {State::kOk, static_cast<size_t>(count)};
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {when_blocked, 0};
    errno_ = errno;
    return {State::kFailed, 0};
  }

  const int socket_;
  int errno_ = 0;
};

struct AddressList {
  addrinfo* first = nullptr;
  ~AddressList() {
    if (first != nullptr) freeaddrinfo(first);
  }
};

Status Resolve(const std::string& host, const std::string& port, int flags, AddressList& out) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  const int code =
      getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &out.first);
  if (code == 0) return {};
  return {StatusCode::kIo, "lookup " + host + ": " + gai_strerror(code)};
}

Fd NewSocket(const addrinfo& address) {
  return Fd(socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                   address.ai_protocol));
}

uint16_t PortOf(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
  return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                           : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Status LastError(const std::string& what) {
  return {StatusCode::kIo, what + ": " + std::strerror(errno)};
}

Result<std::pair<std::string, std::string>> SplitAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  const Status bad(StatusCode::kInvalid, "address \"" + address + "\": not host:port");
  if (colon == std::string::npos) return bad;
  std::string host = address.substr(0, colon);
  std::string port = address.substr(colon + 1);
  if (port.empty() || port.size() > 5 ||
      !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }) ||
      std::stoi(port) > 65535) {
    return bad;
  }
  if (!host.empty() && host.front() == '[') {
    if (host.back() != ']') return bad;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return bad;  // An IPv6 address needs brackets.
  }
  return std::make_pair(std::move(host), std::move(port));
}

Result<Listener> Listen(const std::string& host, const std::string& port) {
  AddressList list;
  if (Status status = Resolve(host, port, AI_PASSIVE, list); !status.ok()) return status;
  const std::string shown = "listen on " + host + ":" + port;
  // Without a host: the IPv6 socket, which takes IPv4 too, where there is IPv6.
  std::vector<const addrinfo*> order;
  for (const addrinfo* a = list.first; a != nullptr; a = a->ai_next) order.push_back(a);
  if (host.empty()) {
    std::stable_partition(order.begin(), order.end(),
                          [](const addrinfo* a) { return a->ai_family == AF_INET6; });
  }
  Status status(StatusCode::kIo, shown + ": no address");
  for (const addrinfo* a : order) {
    Fd fd = NewSocket(*a);
    const int on = 1;
    const int off = 0;
    if (fd.get() < 0 || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (a->ai_family == AF_INET6 && host.empty() &&
         setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
        bind(fd.get(), a->ai_addr, a->ai_addrlen) != 0 || listen(fd.get(), 128) != 0) {
      status = LastError(shown);
      continue;
    }
    const uint16_t bound = PortOf(fd.get());
    return Listener{std::move(fd), bound};
  }
  return status;
}

bool WaitFor(int fd, bool writable, SteadyTime deadline) {
  pollfd wanted{fd, static_cast<short>(writable ? POLLOUT : POLLIN), 0};
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    const int ready =
        poll(&wanted, 1, static_cast<int>(std::min<milliseconds::rep>(left.count(), 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // The next read or write tells the error.
  }
}

Result<Fd> Connect(const std::string& host, const std::string& port, SteadyTime deadline) {
  AddressList list;
  if (Status status = Resolve(host, port, 0, list); !status.ok()) return status;
  const std::string shown = "connect to " + host + ":" + port;
  Status status(StatusCode::kIo, shown + ": no address");
  for (const addrinfo* a = list.first; a != nullptr; a = a->ai_next) {
    Fd fd = NewSocket(*a);
    if (fd.get() < 0) {
      status = LastError(shown);
      continue;
    }
    if (connect(fd.get(), a->ai_addr, a->ai_addrlen) != 0) {
      if (errno != EINPROGRESS) {
        status = LastError(shown);
        continue;
      }
      if (!WaitFor(fd.get(), true, deadline)) {
        status = {StatusCode::kIo, shown + ": timeout"};
        continue;
      }
      socklen_t size = sizeof errno;
      getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &errno, &size);
      if (errno != 0) {
        status = LastError(shown);
        continue;
      }
    }
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
  }
  return status;
}

std::unique_ptr<Channel> MakePlainChannel(int socket) {
  return std::make_unique<PlainChannel>(socket);
}

Status WriteAll(Channel& channel, int fd, const std::string& bytes, SteadyTime deadline) {
  for (size_t sent = 0; sent < bytes.size();) {
    const Channel::Outcome outcome = channel.Write(bytes.data() + sent, bytes.size() - sent);
    sent += outcome.bytes;
    switch (outcome.state) {
      case Channel::State::kOk: break;
      case Channel::State::kWantRead:
      case Channel::State::kWantWrite:
        if (!WaitFor(fd, outcome.state == Channel::State::kWantWrite, deadline)) {
          return {StatusCode::kIo, "write: timeout"};
        }
        break;
      case Channel::State::kClosed: return {StatusCode::kIo, "write: connection closed"};
      case Channel::State::kFailed: return {StatusCode::kIo, "write: " + channel.error()};
    }
  }
  return {};
}

}  // namespace narthex::client
