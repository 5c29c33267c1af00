// Requests, answers, addresses and headers from strangers. The first byte says what to read.
#include <cstdlib>

#include "http_client.h"
#include "http_text.h"
#include "response_reader.h"
#include "socket.h"

namespace client = narthex::client;

namespace {

void ReadResponse(std::string_view text) {
  // The same answer in one piece and byte by byte.
  client::ResponseReader whole;
  const client::Result<bool> done = whole.Take(text);
  client::ResponseReader pieces;
  for (const char c : text) {
    const client::Result<bool> step = pieces.Take({&c, 1});
    if (!step.ok() || *step) {
      // What one way ends with, the other must not take for unfinished.
      if (done.ok() && !*done) std::abort();
      if (step.ok() && done.ok() && pieces.response().body != whole.response().body) std::abort();
      return;
    }
  }
  if (done.ok() && *done) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 5) {
    case 0: {
      const auto head = client::ParseRequestHead(text);
      // A path begins with a slash and no header can end a line.
      if (head && head->request.path.front() != '/') std::abort();
      for (size_t i = 0; head && i < head->request.headers.size(); ++i) {
        if (head->request.headers[i].value.find("\r\n") != std::string::npos) std::abort();
      }
      break;
    }
    case 1: ReadResponse(text); break;
    case 2: {
      const auto url = client::ParseUrl(std::string(text));
      if (url.ok() && (url->host.empty() || url->port.empty())) std::abort();
      break;
    }
    case 3: {
      static_cast<void>(client::PrefersGzip(text));
      static_cast<void>(client::SplitAddress(std::string(text)).ok());
      break;
    }
    default: {
      const auto bytes = client::DecodeBase64(text);
      if (client::DecodeBase64(client::EncodeBase64(text, client::Base64::kStandard)) != text) {
        std::abort();
      }
      static_cast<void>(bytes);
    }
  }
  return 0;
}
