// How bytes travel over a connected socket: plain, or through something such as TLS. What the
// exposer and the push client ask for, so that neither knows of any TLS library.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "narthex/client/status.h"

namespace narthex::client {

// One connection. Used by one thread at a time. Does not own the socket.
class Channel {
 public:
  enum class State : unsigned char {
    kOk,         // Some bytes went through.
    kWantRead,   // Again when the socket is readable,
    kWantWrite,  // or writable. A read may want to write, and the other way round.
    kClosed,     // The peer has sent everything.
    kFailed,     // See error().
  };
  struct Outcome {
    State state;
    size_t bytes;
  };

  virtual ~Channel() = default;
  // These never block, and raise no signals. The first ones shake hands where need be.
  virtual Outcome Read(char* data, size_t size) = 0;
  virtual Outcome Write(const char* data, size_t size) = 0;
  // Tells the peer that nothing will follow.
  virtual void Finish() {}
  virtual std::string error() const = 0;
};

// Makes channels over sockets that do not block. Any thread.
class ChannelFactory {
 public:
  virtual ~ChannelFactory() = default;
  // `host`: who is expected at the other end; empty on the side that accepts.
  virtual Result<std::unique_ptr<Channel>> Make(int socket, const std::string& host) = 0;
};

}  // namespace narthex::client
