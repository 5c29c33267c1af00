// An answer read whole and in parts of any size must come to the same end, within its bounds.
#include <algorithm>
#include <cstdint>
#include <string>

#include "net/http1_reader.h"
#include "util/check.h"

namespace narthex::net {
namespace {

constexpr size_t kBodyBytesMax = 1000;

struct Outcome {
  std::string error;
  int status = 0;
  std::string body;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome Read(std::string_view text, size_t part, bool direct) {
  BodyBuffers buffers;
  Http1Reader reader;
  reader.Begin(/*head_request=*/false, kBodyBytesMax, nullptr, &buffers);
  Status status;
  while (!text.empty() && status.ok() && !reader.done()) {
    size_t taken = std::min(part, text.size());
    const std::span<char> place = reader.Direct();
    if (direct && !place.empty()) {
      taken = std::min(taken, place.size());
      std::copy_n(text.data(), taken, place.data());
      status = reader.ReceivedDirect(taken);
    } else {
      const Result<size_t> consumed = reader.Consume(text.substr(0, taken));
      status = consumed.status();
      if (consumed.ok()) {
        NARTHEX_CHECK(*consumed <= taken);
        taken = *consumed;
      }
    }
    text.remove_prefix(taken);
  }
  if (status.ok() && !reader.done()) status = reader.EndOfConnection();
  if (!status.ok()) return {status.message(), 0, ""};
  const HttpClientResponse response = reader.TakeResponse();
  NARTHEX_CHECK(response.body.size() <= kBodyBytesMax);
  return {"", response.status, response.body};
}

}  // namespace
}  // namespace narthex::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using narthex::net::Read;
  if (size == 0) return 0;
  const size_t part = 1 + data[0] % 16;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = Read(text, text.size() + 1, false);
  // What fails may be told by different bytes first; what succeeds is the same.
  for (const bool direct : {false, true}) {
    const auto in_parts = Read(text, part, direct);
    NARTHEX_CHECK(whole.error.empty() == in_parts.error.empty());
    if (whole.error.empty()) NARTHEX_CHECK(whole == in_parts);
  }
  return 0;
}
