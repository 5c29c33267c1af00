#include "util/compress.h"

#include <libdeflate.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <climits>
#include <memory>
#include <vector>

#include "util/crc32c.h"

namespace narthex {
namespace {

// Frames of a larger window are refused: 8 MiB, as upstream's scraper has it.
constexpr int kZstdWindowLogMax = 23;

Status TooLarge(size_t bytes_max) {
  return MakeError(ErrorCode::kLimitExceeded, "decompressed size exceeds {} bytes", bytes_max);
}

std::string DeflateWith(std::string_view bytes, int level,
                        size_t (*bound)(libdeflate_compressor*, size_t),
                        size_t (*compress)(libdeflate_compressor*, const void*, size_t, void*,
                                           size_t)) {
  const std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> compressor(
      libdeflate_alloc_compressor(level), &libdeflate_free_compressor);
  std::string out(bound(compressor.get(), bytes.size()), '\0');
  out.resize(compress(compressor.get(), bytes.data(), bytes.size(), out.data(), out.size()));
  return out;
}

// What a gzip member unpacks to: its trailer tells if this is the last one and honest. Deflate
// cannot pack tighter than 1032 to one.
size_t GuessPlainSize(std::string_view bytes) {
  constexpr size_t kRatioMax = 1032;
  constexpr size_t kRatioUsual = 12;
  constexpr size_t kSlack = 1024;
  uint32_t claimed = 0;
  if (bytes.size() < sizeof(claimed)) return kSlack;
  for (size_t i = sizeof(claimed); i > 0; --i) {
    claimed = claimed << 8 | static_cast<uint8_t>(bytes[bytes.size() - sizeof(claimed) + i - 1]);
  }
  const bool plausible = claimed >= bytes.size() / 2 && claimed / kRatioMax <= bytes.size();
  return plausible ? claimed : bytes.size() * kRatioUsual + kSlack;
}

// Why a gzip member cannot be read, in Go's words. libdeflate does not tell a stream that was cut
// from one that is wrong; zlib does.
Status GzipError(std::string_view bytes, size_t bytes_max) {
  constexpr size_t kHeaderBytes = 10;
  constexpr int kGzipWindowBits = 16 + MAX_WBITS;
  if (!bytes.starts_with(std::string_view("\x1f\x8b\x08").substr(0, bytes.size()))) {
    return {ErrorCode::kCorruption, "gzip: invalid header"};
  }
  if (bytes.size() < kHeaderBytes) return {ErrorCode::kCorruption, "unexpected EOF"};
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindowBits) != Z_OK) {
    return {ErrorCode::kInternal, "gzip: cannot start a decompressor"};
  }
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(std::min<size_t>(bytes.size(), UINT_MAX));
  std::vector<Bytef> discarded(64 << 10);
  int result = Z_OK;
  while (result == Z_OK && stream.total_out <= bytes_max) {
    stream.next_out = discarded.data();
    stream.avail_out = static_cast<uInt>(discarded.size());
    result = inflate(&stream, Z_NO_FLUSH);
  }
  const std::string_view reason = stream.msg == nullptr ? "" : stream.msg;
  // Go counts from behind the header.
  const uint64_t offset = stream.total_in - std::min<uint64_t>(stream.total_in, kHeaderBytes);
  inflateEnd(&stream);
  if (result == Z_OK) return TooLarge(bytes_max);
  if (result == Z_BUF_ERROR) return {ErrorCode::kCorruption, "unexpected EOF"};
  if (reason.starts_with("incorrect")) return {ErrorCode::kCorruption, "gzip: invalid checksum"};
  return MakeError(ErrorCode::kCorruption, "flate: corrupt input before offset {}", offset);
}

}  // namespace

std::string SnappyCompress(std::string_view bytes) {
  std::string out;
  snappy::Compress(bytes.data(), bytes.size(), &out);
  return out;
}

Result<std::string> SnappyDecompress(std::string_view bytes, size_t bytes_max) {
  std::string out;
  NARTHEX_TRY(const std::string_view decompressed, SnappyDecompressInto(bytes, bytes_max, &out));
  out.resize(decompressed.size());
  return out;
}

Result<std::string_view> SnappyDecompressInto(std::string_view bytes, size_t bytes_max,
                                              std::string* buffer) {
  size_t size = 0;
  if (!snappy::GetUncompressedLength(bytes.data(), bytes.size(), &size)) {
    return MakeError(ErrorCode::kCorruption, "snappy: corrupt input");
  }
  if (size > bytes_max) return TooLarge(bytes_max);
  // Never smaller again: growing fills with zeros, which costs as much as the copying itself.
  if (buffer->size() < size) buffer->resize(size);
  if (!snappy::RawUncompress(bytes.data(), bytes.size(), buffer->data())) {
    return MakeError(ErrorCode::kCorruption, "snappy: corrupt input");
  }
  return std::string_view(*buffer).substr(0, size);
}

namespace {

constexpr std::string_view kSnappyStreamHeader("\xff\x06\x00\x00sNaPpY", 10);
constexpr size_t kSnappyChunkBytesMax = 65536;
constexpr uint8_t kSnappyCompressed = 0x00;
constexpr uint8_t kSnappyPlain = 0x01;
constexpr uint8_t kSnappyFirstSkippable = 0x80;
constexpr uint8_t kSnappyStreamStart = 0xff;

// Checksums are stored rotated, so that data with checksums of its own does not weaken them.
uint32_t MaskedCrc32c(std::string_view bytes) {
  const uint32_t crc = Crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
}

}  // namespace

std::string SnappyFramedCompress(std::string_view bytes) {
  std::string out(kSnappyStreamHeader);
  for (size_t at = 0; at < bytes.size(); at += kSnappyChunkBytesMax) {
    const std::string_view plain = bytes.substr(at, kSnappyChunkBytesMax);
    const std::string packed = SnappyCompress(plain);
    const size_t size = packed.size() + 4;
    const uint32_t crc = MaskedCrc32c(plain);
    out.push_back(static_cast<char>(kSnappyCompressed));
    for (int i = 0; i < 3; ++i) out.push_back(static_cast<char>(size >> (8 * i)));
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(crc >> (8 * i)));
    out += packed;
  }
  return out;
}

Result<std::string> SnappyFramedDecompress(std::string_view bytes, size_t bytes_max) {
  const Status corrupt(ErrorCode::kCorruption, "snappy: corrupt input");
  std::string out;
  bool started = false;
  while (!bytes.empty()) {
    if (bytes.size() < 4) return Status(ErrorCode::kCorruption, "unexpected EOF");
    const auto byte = [&](size_t i) {
      return static_cast<uint32_t>(static_cast<uint8_t>(bytes[i]));
    };
    const uint32_t type = byte(0);
    const size_t size = byte(1) | byte(2) << 8 | byte(3) << 16;
    if (size > bytes.size() - 4) return Status(ErrorCode::kCorruption, "unexpected EOF");
    if (type == kSnappyStreamStart) {
      if (bytes.substr(0, 4 + size) != kSnappyStreamHeader) return corrupt;
      started = true;
    } else if (!started) {
      return corrupt;
    } else if (type == kSnappyCompressed || type == kSnappyPlain) {
      if (size < 4) return corrupt;
      const uint32_t crc = byte(4) | byte(5) << 8 | byte(6) << 16 | byte(7) << 24;
      const std::string_view data = bytes.substr(8, size - 4);
      std::string unpacked;
      if (type == kSnappyCompressed) {
        NARTHEX_TRY(unpacked, SnappyDecompress(data, kSnappyChunkBytesMax));
      } else {
        unpacked = std::string(data);
      }
      if (MaskedCrc32c(unpacked) != crc) return corrupt;
      if (unpacked.size() > bytes_max - out.size()) return TooLarge(bytes_max);
      out += unpacked;
    } else if (type < kSnappyFirstSkippable) {
      return Status(ErrorCode::kUnsupported, "snappy: unsupported input");
    }
    bytes.remove_prefix(4 + size);
  }
  return out;
}

std::string ZstdCompress(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1));
  return out;
}

Result<std::string> ZstdDecompress(std::string_view bytes, size_t bytes_max) {
  std::string out;
  NARTHEX_TRY(const std::string_view plain, ZstdDecompressInto(bytes, bytes_max, &out));
  out.resize(plain.size());
  return out;
}

Result<std::string_view> ZstdDecompressInto(std::string_view bytes, size_t bytes_max,
                                            std::string* buffer) {
  // The frame's own size is a claim of whoever sent it, so output grows with what really comes out.
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                     &ZSTD_freeDCtx);
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax);
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  size_t filled = 0;
  size_t pending = 1;
  while (input.pos < input.size || pending != 0) {
    if (buffer->size() < filled + ZSTD_DStreamOutSize()) {
      buffer->resize(std::max(filled + ZSTD_DStreamOutSize(), 2 * filled));
    }
    ZSTD_outBuffer output{buffer->data() + filled, buffer->size() - filled, 0};
    pending = ZSTD_decompressStream(context.get(), &output, &input);
    filled += output.pos;
    if (ZSTD_isError(pending)) {
      return MakeError(ErrorCode::kCorruption, "zstd: {}", ZSTD_getErrorName(pending));
    }
    if (filled > bytes_max) return TooLarge(bytes_max);
    if (output.pos == 0 && input.pos == input.size && pending != 0) {
      return MakeError(ErrorCode::kCorruption, "zstd: unexpected end of input");
    }
  }
  return std::string_view(*buffer).substr(0, filled);
}

std::string GzipCompress(std::string_view bytes, int level) {
  return DeflateWith(bytes, level, libdeflate_gzip_compress_bound, libdeflate_gzip_compress);
}

std::string ZlibCompress(std::string_view bytes, int level) {
  return DeflateWith(bytes, level, libdeflate_zlib_compress_bound, libdeflate_zlib_compress);
}

Result<std::string> GzipDecompress(std::string_view bytes, size_t bytes_max) {
  std::string out;
  NARTHEX_TRY(const std::string_view plain, GzipDecompressInto(bytes, bytes_max, &out));
  out.resize(plain.size());
  return out;
}

Result<std::string_view> GzipDecompressInto(std::string_view bytes, size_t bytes_max,
                                            std::string* buffer) {
  const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)>
      decompressor(libdeflate_alloc_decompressor(), &libdeflate_free_decompressor);
  size_t filled = 0;
  while (!bytes.empty()) {
    // A wrong guess costs another pass over this member.
    size_t capacity = std::min(bytes_max - filled, GuessPlainSize(bytes));
    for (;;) {
      if (buffer->size() < filled + capacity) buffer->resize(filled + capacity);
      size_t consumed = 0;
      size_t produced = 0;
      const libdeflate_result result =
          libdeflate_gzip_decompress_ex(decompressor.get(), bytes.data(), bytes.size(),
                                        buffer->data() + filled, capacity, &consumed, &produced);
      if (result == LIBDEFLATE_SUCCESS) {
        filled += produced;
        bytes.remove_prefix(consumed);
        break;
      }
      if (result != LIBDEFLATE_INSUFFICIENT_SPACE) return GzipError(bytes, bytes_max);
      if (filled + capacity >= bytes_max) return TooLarge(bytes_max);
      capacity = std::min(bytes_max - filled, capacity * 2);
    }
  }
  return std::string_view(*buffer).substr(0, filled);
}

}  // namespace narthex
