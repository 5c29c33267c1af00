#include "util/compress.h"

#include <libdeflate.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

namespace narthex {
namespace {

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

std::string ZstdCompress(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1));
  return out;
}

Result<std::string> ZstdDecompress(std::string_view bytes, size_t bytes_max) {
  // The frame's own size is a claim of whoever sent it, so output grows with what really comes out.
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                     &ZSTD_freeDCtx);
  std::string out;
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  size_t pending = 1;
  while (input.pos < input.size || pending != 0) {
    const size_t filled = out.size();
    out.resize(filled + ZSTD_DStreamOutSize());
    ZSTD_outBuffer output{out.data() + filled, out.size() - filled, 0};
    pending = ZSTD_decompressStream(context.get(), &output, &input);
    out.resize(filled + output.pos);
    if (ZSTD_isError(pending)) {
      return MakeError(ErrorCode::kCorruption, "zstd: {}", ZSTD_getErrorName(pending));
    }
    if (out.size() > bytes_max) return TooLarge(bytes_max);
    if (output.pos == 0 && input.pos == input.size && pending != 0) {
      return MakeError(ErrorCode::kCorruption, "zstd: unexpected end of input");
    }
  }
  return out;
}

std::string GzipCompress(std::string_view bytes, int level) {
  return DeflateWith(bytes, level, libdeflate_gzip_compress_bound, libdeflate_gzip_compress);
}

std::string ZlibCompress(std::string_view bytes, int level) {
  return DeflateWith(bytes, level, libdeflate_zlib_compress_bound, libdeflate_zlib_compress);
}

Result<std::string> GzipDecompress(std::string_view bytes, size_t bytes_max) {
  const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)>
      decompressor(libdeflate_alloc_decompressor(), &libdeflate_free_decompressor);
  std::string out;
  while (!bytes.empty()) {
    // Pages compress about tenfold; a wrong guess costs another pass over this member.
    size_t capacity = std::min(bytes_max, bytes.size() * 12 + 1024);
    for (;;) {
      const size_t filled = out.size();
      out.resize(filled + capacity);
      size_t consumed = 0;
      size_t produced = 0;
      const libdeflate_result result =
          libdeflate_gzip_decompress_ex(decompressor.get(), bytes.data(), bytes.size(),
                                        out.data() + filled, capacity, &consumed, &produced);
      if (result == LIBDEFLATE_SUCCESS) {
        out.resize(filled + produced);
        bytes.remove_prefix(consumed);
        break;
      }
      out.resize(filled);
      if (result != LIBDEFLATE_INSUFFICIENT_SPACE) {
        return MakeError(ErrorCode::kCorruption, "gzip: invalid data");
      }
      if (filled + capacity >= bytes_max) return TooLarge(bytes_max);
      capacity = std::min(bytes_max - filled, capacity * 2);
    }
    if (out.size() > bytes_max) return TooLarge(bytes_max);
  }
  return out;
}

}  // namespace narthex
