// Decoding two XOR chunks at once.
//
// A decoder waits: where a sample begins is known only once the control bits of the one before have
// been read and looked at, some twenty cycles in which most of the processor idles. Two chunks do
// not wait for each other, so their samples are decoded in turn, one of each, and both take little
// longer than one.
//
//   chunk a   load - control bits - width - load - control bits - width - ...
//   chunk b        load - control bits - width - load - control bits - ...
//
// What a sample of a counter begins with (whether the value changed, whether its bits fit the
// window of the sample before) is as good as random: nothing branches on it, all cases are worked
// out and one is selected.
#pragma once

#include <cstdint>
#include <string_view>

namespace narthex::tsdb {

// A chunk (header included) and room for its samples.
struct XorTask {
  std::string_view bytes;
  uint32_t count = 0;
  int64_t* timestamps = nullptr;
  double* values = nullptr;
};

// Chunks of more bytes are not worth a copy with zeros behind it, which decoding needs.
inline constexpr size_t kXorPairBytesMax = 2048;

// Decodes all samples of both. False when a chunk is too large, too small or damaged: nothing is
// then known of what was written, and DecodeXor tells what is wrong.
bool DecodeXorPair(const XorTask& a, const XorTask& b);

}  // namespace narthex::tsdb
