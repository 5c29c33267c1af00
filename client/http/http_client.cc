#include "http_client.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "http_text.h"
#include "socket.h"

namespace narthex::client {
namespace {

constexpr size_t kHeadBytesMax = 64 * 1024;
constexpr size_t kBodyBytesMax = 64 * 1024;

// Reads an answer piece by piece: `100 Continue` is not among what Pushgateways send, as we never
// ask for it.
class ResponseReader {
 public:
  // True when the answer is complete.
  Result<bool> Take(std::string_view bytes) {
    text_.append(bytes);
    if (!head_done_) {
      const size_t end = text_.find("\r\n\r\n");
      if (end == std::string::npos) {
        if (text_.size() > kHeadBytesMax) return Malformed();
        return false;
      }
      if (!ReadHead(std::string_view(text_).substr(0, end))) return Malformed();
      text_.erase(0, end + 4);
      head_done_ = true;
    }
    if (chunked_) return TakeChunks();
    if (length_) {
      const size_t count = std::min(text_.size(), *length_ - taken_);
      Keep(count);
      taken_ += count;
      return taken_ == *length_;
    }
    Keep(text_.size());
    return response_.status == 204;
  }

  // The peer has closed the connection.
  bool CompleteAtEnd() const { return head_done_ && !chunked_ && !length_; }
  ClientResponse& response() { return response_; }

 private:
  static Status Malformed() { return {StatusCode::kIo, "malformed HTTP response"}; }

  bool ReadHead(std::string_view head) {
    // HTTP/1.1 200 OK
    if (head.substr(0, 7) != "HTTP/1." || head.size() < 12) return false;
    const auto [rest, error] = std::from_chars(head.data() + 9, head.data() + 12, response_.status);
    if (error != std::errc() || rest != head.data() + 12 || response_.status < 100) return false;
    Labels headers;
    for (size_t at = head.find("\r\n"); at != std::string_view::npos;) {
      const size_t next = head.find("\r\n", at + 2);
      const std::string_view line = head.substr(
          at + 2, next == std::string_view::npos ? std::string_view::npos : next - at - 2);
      const size_t colon = line.find(':');
      if (colon == std::string_view::npos) return false;
      const size_t value = line.find_first_not_of(" \t", colon + 1);
      headers.push_back(
          {std::string(line.substr(0, colon)),
           std::string(value == std::string_view::npos ? std::string_view() : line.substr(value))});
      at = next;
    }
    chunked_ = EqualsIgnoringCase(FindHeader(headers, "Transfer-Encoding"), "chunked");
    const std::string_view length = FindHeader(headers, "Content-Length");
    if (!length.empty() && !chunked_) {
      size_t bytes = 0;
      const char* const end = length.data() + length.size();
      if (std::from_chars(length.data(), end, bytes).ptr != end) return false;
      length_ = bytes;
    }
    return true;
  }

  Result<bool> TakeChunks() {
    for (;;) {
      if (chunk_left_ > 0) {
        const size_t count = std::min(chunk_left_, text_.size());
        Keep(count);
        chunk_left_ -= count;
        if (chunk_left_ > 0) return false;
      }
      const size_t begin = after_first_ ? 2 : 0;  // The line end of the chunk before.
      const size_t end = text_.find("\r\n", begin);
      if (end == std::string::npos) {
        if (text_.size() > 1024) return Malformed();
        return false;
      }
      size_t size = 0;
      if (std::from_chars(text_.data() + begin, text_.data() + end, size, 16).ec != std::errc()) {
        return Malformed();
      }
      if (size == 0) return true;
      text_.erase(0, end + 2);
      chunk_left_ = size;
      after_first_ = true;
    }
  }

  void Keep(size_t count) {
    const size_t room = kBodyBytesMax - response_.body.size();
    response_.body.append(text_, 0, std::min(count, room));
    text_.erase(0, count);
  }

  ClientResponse response_;
  std::string text_;
  bool head_done_ = false;
  bool chunked_ = false;
  bool after_first_ = false;
  size_t chunk_left_ = 0;
  size_t taken_ = 0;
  std::optional<size_t> length_;
};

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
