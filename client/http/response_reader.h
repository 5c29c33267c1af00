// An HTTP/1.1 answer, put together from the pieces in which it comes.
#pragma once

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "http_client.h"
#include "http_text.h"

namespace narthex::client {

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
    if (response_.status == 204) return true;  // Has no body, whatever follows.
    if (chunked_) return TakeChunks();
    if (length_) {
      const size_t count = std::min(text_.size(), *length_ - taken_);
      Keep(count);
      taken_ += count;
      return taken_ == *length_;
    }
    Keep(text_.size());
    return false;
  }

  // The peer has closed the connection.
  bool CompleteAtEnd() const { return head_done_ && !chunked_ && !length_; }
  ClientResponse& response() { return response_; }

 private:
  static constexpr size_t kHeadBytesMax = 64 * 1024;
  static constexpr size_t kBodyBytesMax = 64 * 1024;

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

}  // namespace narthex::client
