// Snappy for records of float samples, by somebody who knows how they look.
//
//   type, base  { varint reference | varint time | value, 8 bytes } ...        (records.h, type 2)
//
// A general compressor hashes at every byte and finds what repeats in such a record only by
// chance of alignment. Here each value is looked for once: the same value of another sample, with
// the bytes before it, or else the end of the value before. The output is the block format that
// every reader of Prometheus' log knows; it is about as small, at a quarter of the time.
//
// Lossless whatever the bytes are: what does not parse as samples is kept as it is.
// Threads: any.
#pragma once

#include <string>
#include <string_view>

namespace narthex::tsdb {

// Puts the block in the place of what was in `out`.
void SnappyCompressSamples(std::string_view record, std::string* out);

}  // namespace narthex::tsdb
