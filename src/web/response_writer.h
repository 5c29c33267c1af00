// The body of an answer on its way out: small ones go in one piece with a length, large ones stream
// in chunks as they are produced, so that no answer stands in memory whole.
//
// Threads: one, which may block in Append while a slow reader drains the connection.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/http_server.h"
#include "util/status.h"

namespace narthex::web {

enum class ContentCoding { kIdentity, kGzip, kDeflate };
// Of Accept-Encoding: the first element that is exactly gzip or deflate, as upstream chooses.
ContentCoding ChooseContentCoding(std::string_view accept_encoding);
// "gzip", "deflate"; "identity".
std::string_view ContentCodingName(ContentCoding coding);

class ResponseWriter {
 public:
  // `response` has status and headers; Content-Encoding is added as needed.
  ResponseWriter(std::shared_ptr<net::HttpExchange> exchange, net::HttpResponse response,
                 ContentCoding coding);
  // Finish() must have been called, or the client sees a broken answer.
  ~ResponseWriter();
  ResponseWriter(const ResponseWriter&) = delete;
  ResponseWriter& operator=(const ResponseWriter&) = delete;

  // Text not yet sent; write to it, then call Flush() now and then.
  std::string& buffer() { return buffer_; }
  // Whether part of the answer is on its way, so that it cannot become an error any more.
  bool streaming() const { return started_; }
  // Sends what is buffered once there is enough of it. kCanceled: the client is gone.
  Status Flush();
  void Finish();

 private:
  struct Deflater;
  Status Send(bool last);

  std::shared_ptr<net::HttpExchange> exchange_;
  net::HttpResponse response_;
  std::unique_ptr<Deflater> deflater_;
  std::string buffer_;
  bool started_ = false;
};

}  // namespace narthex::web
