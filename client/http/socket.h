// Sockets for the exposer and the clients: addresses, waiting with a deadline, plain channels.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "narthex/client/channel.h"
#include "narthex/client/status.h"

namespace narthex::client {

using SteadyTime = std::chrono::steady_clock::time_point;

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const noexcept { return fd_; }

 private:
  int fd_ = -1;
};

// What the last system call complains of: `<what>: <reason>`.
Status LastError(const std::string& what);

// `host:port`, `[v6]:port` and `:port`. Fails on a port that is none.
Result<std::pair<std::string, std::string>> SplitAddress(const std::string& address);

struct Listener {
  Fd fd;
  uint16_t port = 0;
};
// Sockets never block.
Result<Listener> Listen(const std::string& host, const std::string& port);
Result<Fd> Connect(const std::string& host, const std::string& port, SteadyTime deadline);

// False when the deadline passed first.
bool WaitFor(int fd, bool writable, SteadyTime deadline);

std::unique_ptr<Channel> MakePlainChannel(int socket);
// Blocks until all is written.
Status WriteAll(Channel& channel, int fd, const std::string& bytes, SteadyTime deadline);

}  // namespace narthex::client
