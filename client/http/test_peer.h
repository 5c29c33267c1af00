// For the tests of this folder: a client that sends whatever bytes it is told to, and a server that
// answers whatever it is told to.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "socket.h"

namespace narthex::client {

class RawClient {
 public:
  // Speaks TLS when there are channels.
  explicit RawClient(uint16_t port, ChannelFactory* channels = nullptr);
  void Send(const std::string& bytes);
  // One answer, as far as its Content-Length says; or what came before the connection ended.
  std::string ReadAnswer(bool has_body = true);
  // Everything up to the end of the connection. Fails the test after ten seconds.
  std::string ReadAll();

 private:
  bool ReadMore();

  Fd fd_;
  std::unique_ptr<Channel> channel_;
  std::string buffered_;
};

// Takes one request a connection and answers with the next of `answers`; closes afterwards.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::string> answers);
  ~ScriptedServer();
  uint16_t port() const { return port_; }
  // After all answers were given: what was asked.
  std::vector<std::string> Requests();

 private:
  void Run();

  std::vector<std::string> answers_;
  Fd listener_;
  uint16_t port_ = 0;
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace narthex::client
