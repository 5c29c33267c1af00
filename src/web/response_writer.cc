#include "web/response_writer.h"

#include <zlib.h>

#include "util/check.h"
#include "util/strings.h"

namespace narthex::web {
namespace {

// Answers below this size are sent in one piece; above it, in parts of about this size.
// Small enough to come out of the allocator's caches again and again.
constexpr size_t kPartBytes = 128 * 1024;
constexpr size_t kPartSlackBytes = 64 * 1024;
// Fast rather than small: JSON of samples shrinks about tenfold at any level.
constexpr int kCompressionLevel = 1;
constexpr int kGzipWindowBits = 15 + 16;
constexpr int kZlibWindowBits = 15;

}  // namespace

ContentCoding ChooseContentCoding(std::string_view accept_encoding) {
  for (const std::string_view part : Split(accept_encoding, ',')) {
    const std::string_view coding = TrimSpace(part);
    if (coding == "gzip") return ContentCoding::kGzip;
    if (coding == "deflate") return ContentCoding::kDeflate;
  }
  return ContentCoding::kIdentity;
}

std::string_view ContentCodingName(ContentCoding coding) {
  switch (coding) {
    case ContentCoding::kGzip: return "gzip";
    case ContentCoding::kDeflate: return "deflate";
    case ContentCoding::kIdentity: break;
  }
  return "identity";
}

struct ResponseWriter::Deflater {
  z_stream stream{};

  explicit Deflater(ContentCoding coding) {
    NARTHEX_CHECK(deflateInit2(&stream, kCompressionLevel, Z_DEFLATED,
                               coding == ContentCoding::kGzip ? kGzipWindowBits : kZlibWindowBits,
                               8, Z_DEFAULT_STRATEGY) == Z_OK);
  }
  ~Deflater() { deflateEnd(&stream); }

  std::string Run(std::string_view input, bool last) {
    std::string out;
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream.avail_in = static_cast<uInt>(input.size());
    do {
      const size_t filled = out.size();
      out.resize(filled + 64 * 1024);
      stream.next_out = reinterpret_cast<Bytef*>(out.data() + filled);
      stream.avail_out = static_cast<uInt>(out.size() - filled);
      deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
      out.resize(out.size() - stream.avail_out);
    } while (stream.avail_out == 0);
    return out;
  }
};

ResponseWriter::ResponseWriter(std::shared_ptr<net::HttpExchange> exchange,
                               net::HttpResponse response, ContentCoding coding)
    : exchange_(std::move(exchange)), response_(std::move(response)) {
  if (coding == ContentCoding::kIdentity) return;
  response_.headers.Set("Content-Encoding", std::string(ContentCodingName(coding)));
  deflater_ = std::make_unique<Deflater>(coding);
}

// A stream that was not finished breaks off when the exchange goes.
ResponseWriter::~ResponseWriter() = default;

Status ResponseWriter::Flush() {
  if (buffer_.size() < kPartBytes) return {};
  return Send(/*last=*/false);
}

void ResponseWriter::Finish() {
  if (!started_) {
    response_.body = deflater_ ? deflater_->Run(buffer_, true) : std::move(buffer_);
    exchange_->Respond(std::move(response_));
    return;
  }
  // A client that left needs no end either.
  if (Send(/*last=*/true).ok()) exchange_->Finish();
}

Status ResponseWriter::Send(bool last) {
  std::string part = deflater_ ? deflater_->Run(buffer_, last) : std::move(buffer_);
  buffer_.clear();
  if (!started_) {
    started_ = true;
    exchange_->StartStream(std::move(response_));
  }
  if (!last) buffer_.reserve(kPartBytes + kPartSlackBytes);
  if (part.empty()) return {};
  return exchange_->Write(std::move(part));
}

}  // namespace narthex::web
