#include "net/resolver.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <thread>

namespace narthex::net {
namespace {

constexpr size_t kThreadsMax = 8;

}  // namespace

std::string SocketAddress::Print() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(v4->sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(v6->sin6_port));
  }
  return reinterpret_cast<const sockaddr_un*>(&storage)->sun_path;
}

std::optional<SocketAddress> ParseAddress(const std::string& host, uint16_t port) {
  SocketAddress address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof *v4;
    return address;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.size = sizeof *v6;
    return address;
  }
  return std::nullopt;
}

Result<SocketAddress> UnixAddress(const std::string& path) {
  SocketAddress address;
  auto* local = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.size() >= sizeof local->sun_path) {
    return MakeError(ErrorCode::kInvalidInput, "dial unix {}: connect: invalid argument", path);
  }
  local->sun_family = AF_UNIX;
  std::memcpy(local->sun_path, path.data(), path.size());
  address.size = sizeof *local;
  return address;
}

// Outlives the resolver for as long as a look-up runs.
struct Resolver::Shared : std::enable_shared_from_this<Resolver::Shared> {
  using Key = std::pair<std::string, uint16_t>;

  std::mutex mutex;
  Reactor* reactor = nullptr;  // Null once the resolver is gone.
  std::map<Key, std::vector<Done>> waiting;
  std::deque<Key> queue;
  size_t threads = 0;

  static Result<std::vector<SocketAddress>> LookUp(const Key& key) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    const std::string port = std::to_string(key.second);
    const int code = getaddrinfo(key.first.c_str(), port.c_str(), &hints, &list);
    std::vector<SocketAddress> addresses;
    for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
      SocketAddress& address = addresses.emplace_back();
      std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
      address.size = at->ai_addrlen;
    }
    if (list != nullptr) freeaddrinfo(list);
    if (!addresses.empty()) return addresses;
    // Of a server that does not answer Go says this.
    return MakeError(ErrorCode::kIo, "lookup {}: {}", key.first,
                     code == EAI_AGAIN ? "server misbehaving" : "no such host");
  }

  // One thread takes names until none is left.
  void Work() {
    for (;;) {
      Key key;
      {
        const std::lock_guard lock(mutex);
        if (queue.empty() || reactor == nullptr) {
          --threads;
          return;
        }
        key = std::move(queue.front());
        queue.pop_front();
      }
      Result<std::vector<SocketAddress>> found = LookUp(key);
      const std::lock_guard lock(mutex);
      if (reactor == nullptr) continue;
      reactor->Post([self = shared_from_this(), key, found = std::move(found)] {
        std::vector<Done> callbacks;
        {
          const std::lock_guard inner(self->mutex);
          const auto at = self->waiting.find(key);
          if (at == self->waiting.end()) return;
          callbacks = std::move(at->second);
          self->waiting.erase(at);
        }
        for (Done& done : callbacks) done(found);
      });
    }
  }
};

Resolver::Resolver(Reactor& reactor) : shared_(std::make_shared<Shared>()) {
  shared_->reactor = &reactor;
}

Resolver::~Resolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->reactor = nullptr;
  shared_->waiting.clear();
}

void Resolver::Resolve(const std::string& host, uint16_t port, Done done) {
  const std::lock_guard lock(shared_->mutex);
  Shared::Key key{host, port};
  auto& callbacks = shared_->waiting[key];
  callbacks.push_back(std::move(done));
  if (callbacks.size() > 1) return;
  shared_->queue.push_back(std::move(key));
  if (shared_->threads >= kThreadsMax) return;
  ++shared_->threads;
  std::thread([shared = shared_] { shared->Work(); }).detach();
}

}  // namespace narthex::net
