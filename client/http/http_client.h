// One HTTP/1.1 request over a connection of its own, for the push client.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "narthex/client/channel.h"
#include "narthex/client/labels.h"
#include "narthex/client/status.h"

namespace narthex::client {

struct Url {
  bool secure = false;
  std::string host;  // Without brackets.
  std::string port;
  std::string authority;  // As the Host header has it.
  std::string path;       // Begins with a slash, or is empty.
};
// http:// and https://, without user, query or fragment.
Result<Url> ParseUrl(const std::string& text);

struct ClientRequest {
  std::string method;
  Url url;
  Labels headers;
  std::string body;
  std::chrono::milliseconds timeout{10'000};
  ChannelFactory* channels = nullptr;  // For https.
};
struct ClientResponse {
  int status = 0;
  std::string body;  // Cut at 64 KiB: for messages.
};
Result<ClientResponse> SendHttp(const ClientRequest& request);

}  // namespace narthex::client
