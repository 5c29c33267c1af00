// Compression formats of the wire and the WAL. Every decompressor has a bound on what it gives.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "util/status.h"

namespace narthex {

// Snappy block format (WAL records, remote write).
std::string SnappyCompress(std::string_view bytes);
Result<std::string> SnappyDecompress(std::string_view bytes, size_t bytes_max);
// Likewise into memory that is used again and only grows; the result is a view into it.
Result<std::string_view> SnappyDecompressInto(std::string_view bytes, size_t bytes_max,
                                              std::string* buffer);

// Snappy framing format (Content-Encoding: snappy of pushes): chunks with checksums, one stream
// after the other. Errors in the words of Go's reader.
std::string SnappyFramedCompress(std::string_view bytes);
Result<std::string> SnappyFramedDecompress(std::string_view bytes, size_t bytes_max);

// A zstd frame.
std::string ZstdCompress(std::string_view bytes);
Result<std::string> ZstdDecompress(std::string_view bytes, size_t bytes_max);
Result<std::string_view> ZstdDecompressInto(std::string_view bytes, size_t bytes_max,
                                            std::string* buffer);

// A gzip member (level 1 to 9).
std::string GzipCompress(std::string_view bytes, int level = 6);
// All members of a gzip stream. More than bytes_max is kLimitExceeded; other errors are in the
// words of Go's reader.
Result<std::string> GzipDecompress(std::string_view bytes, size_t bytes_max);
Result<std::string_view> GzipDecompressInto(std::string_view bytes, size_t bytes_max,
                                            std::string* buffer);
// A raw zlib stream ("deflate" of HTTP).
std::string ZlibCompress(std::string_view bytes, int level = 6);

}  // namespace narthex
