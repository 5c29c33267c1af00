// Reads one HTTP/1.1 answer as its bytes arrive.
//
//   bytes ─Consume─▶ head ─▶ body by length, in chunks, or to the end of the connection ─▶ done
//             Direct ─▲ where the rest of a body of known length may be received in place
//
// Bounds: the head by kHeaderBytesMax, the body by `body_bytes_max`. Errors are in Go's words.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "net/http_server.h"
#include "net/transport.h"
#include "util/status.h"

namespace narthex::net {

class Http1Reader {
 public:
  // `buffers` outlives the reader, `on_data` the answer.
  void Begin(bool head_request, size_t body_bytes_max,
             const std::function<bool(std::string_view)>* on_data, BodyBuffers* buffers);

  // Takes what belongs to this answer and returns how much that was; less than all means that the
  // answer is complete.
  Result<size_t> Consume(std::string_view bytes);
  // Empty: receive elsewhere and call Consume. Otherwise `ReceivedDirect` tells how much came.
  std::span<char> Direct();
  Status ReceivedDirect(size_t count);
  // The server closed the connection. Ok where that is how the body ends.
  Status EndOfConnection();

  bool done() const { return state_ == State::kDone; }
  bool began() const { return state_ != State::kHead || !head_.empty(); }
  bool head_complete() const { return state_ > State::kHead; }
  bool keep_alive() const { return keep_alive_; }
  int status() const { return status_; }
  // Once done.
  HttpClientResponse TakeResponse();
  // Gives the memory of an answer that is not wanted back.
  void Drop();

 private:
  enum class State : uint8_t {
    kHead,
    kLength,      // remaining_ bytes of body
    kChunkSize,   // A line
    kChunkData,   // remaining_ bytes of chunk
    kChunkBreak,  // The line end behind it
    kTrailer,
    kUntilClose,
    kDone,
  };

  Status ParseHead(std::string_view head);
  Status ParseField(std::string_view line, bool* chunked, bool* has_length, uint64_t* length);
  Status AddBody(std::string_view bytes);
  Status GrowBody(size_t needed);
  // A line that ends within `bytes`, joined with what came before; false: more is needed.
  Result<bool> TakeLine(std::string_view* bytes, std::string_view* line);
  Status ParseChunkSize(std::string_view line);
  void BodyPartDone();

  State state_ = State::kDone;
  bool head_request_ = false;
  bool keep_alive_ = false;
  bool http_1_0_ = false;
  int status_ = 0;
  size_t body_bytes_max_ = 0;
  const std::function<bool(std::string_view)>* on_data_ = nullptr;
  BodyBuffers* buffers_ = nullptr;
  std::string head_;  // A head or line that did not come in one piece.
  size_t line_bytes_ = 0;
  uint64_t remaining_ = 0;
  HttpClientResponse response_;
  std::string body_;   // Longer than what has come.
  size_t filled_ = 0;  // Of body_.
};

}  // namespace narthex::net
