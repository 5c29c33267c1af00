// Addresses of host names, as the system finds them (/etc/hosts, DNS, …). The system's function
// blocks, so it runs on a few threads of its own; callers that ask for the same name share a
// look-up.
//
// Threads: the reactor's alone. Callbacks come there too, never from within Resolve.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/reactor.h"
#include "util/status.h"

namespace narthex::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  // "127.0.0.1:80", "[::1]:80", "/run/x.sock".
  std::string Print() const;
};

// The address a literal names; nullopt: not a literal.
std::optional<SocketAddress> ParseAddress(const std::string& host, uint16_t port);
Result<SocketAddress> UnixAddress(const std::string& path);

class Resolver {
 public:
  using Done = std::function<void(Result<std::vector<SocketAddress>>)>;

  explicit Resolver(Reactor& reactor);
  // Look-ups under way are left to end by themselves; their callbacks do not run.
  ~Resolver();
  // Errors: `lookup HOST: no such host`.
  void Resolve(const std::string& host, uint16_t port, Done done);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace narthex::net
