#include "http_client.h"

#include <algorithm>

#include "http_text.h"
#include "response_reader.h"
#include "socket.h"

namespace narthex::client {
namespace {

std::string Render(const ClientRequest& request) {
  std::string out = request.method + " " + (request.url.path.empty() ? "/" : request.url.path) +
                    " HTTP/1.1\r\nHost: " + request.url.authority +
                    "\r\nConnection: close\r\nUser-Agent: narthex-client\r\n";
  for (const LabelPair& header : request.headers) {
    out += header.name + ": " + header.value + "\r\n";
  }
  if (request.method != "DELETE") {
    out += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  out += "\r\n";
  return out += request.body;
}

}  // namespace

Result<Url> ParseUrl(const std::string& text) {
  const Status bad(StatusCode::kInvalid, "invalid URL \"" + text + "\"");
  Url url;
  std::string_view rest = text;
  if (rest.substr(0, 8) == "https://") {
    url.secure = true;
    rest.remove_prefix(8);
  } else if (rest.substr(0, 7) == "http://") {
    rest.remove_prefix(7);
  } else {
    return bad;
  }
  const size_t slash = rest.find('/');
  url.authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) url.path = rest.substr(slash);
  // Spaces and control characters would change what the request says.
  for (const char c : rest) {
    if (c <= ' ' || c == 0x7F || c == '?' || c == '#') return bad;
  }
  if (url.authority.empty() || url.authority.find('@') != std::string::npos) return bad;
  std::string address = url.authority;
  const bool has_port =
      address.back() != ']' && address.find(':', address.rfind(']') + 1) != std::string::npos;
  if (!has_port) address += url.secure ? ":443" : ":80";
  Result<std::pair<std::string, std::string>> pair = SplitAddress(address);
  if (!pair.ok() || pair->first.empty()) return bad;
  url.host = std::move(pair->first);
  url.port = std::move(pair->second);
  return url;
}

Result<ClientResponse> SendHttp(const ClientRequest& request) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + request.timeout;
  if (request.url.secure && request.channels == nullptr) {
    return Status(StatusCode::kInvalid, "https needs a channel factory: see MakeTlsClient");
  }
  Result<Fd> fd = Connect(request.url.host, request.url.port, deadline);
  if (!fd.ok()) return fd.status();
  std::unique_ptr<Channel> channel;
  if (request.url.secure) {
    Result<std::unique_ptr<Channel>> made = request.channels->Make(fd->get(), request.url.host);
    if (!made.ok()) return made.status();
    channel = *std::move(made);
  } else {
    channel = MakePlainChannel(fd->get());
  }
  // A server may answer, and close, before it has read everything: its answer tells more than the
  // failed write.
  const Status written = WriteAll(*channel, fd->get(), Render(request), deadline);
  ResponseReader reader;
  char buffer[8192];
  for (;;) {
    const Channel::Outcome outcome = channel->Read(buffer, sizeof buffer);
    switch (outcome.state) {
      case Channel::State::kOk: {
        Result<bool> complete = reader.Take({buffer, outcome.bytes});
        if (!complete.ok()) return complete.status();
        if (*complete) {
          channel->Finish();
          return std::move(reader.response());
        }
        break;
      }
      case Channel::State::kWantRead:
      case Channel::State::kWantWrite:
        if (!written.ok()) return written;
        if (!WaitFor(fd->get(), outcome.state == Channel::State::kWantWrite, deadline)) {
          return Status(StatusCode::kIo, "read: timeout");
        }
        break;
      case Channel::State::kClosed:
        if (reader.CompleteAtEnd()) return std::move(reader.response());
        if (!written.ok()) return written;
        return Status(StatusCode::kIo, "read: connection closed before the response was complete");
      case Channel::State::kFailed:
        if (!written.ok()) return written;
        return Status(StatusCode::kIo, "read: " + channel->error());
    }
  }
}

}  // namespace narthex::client
