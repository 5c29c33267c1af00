// Any bytes as a chunk of any encoding: an error or samples, and never more than the count says.
#include <cstdint>
#include <limits>
#include <string_view>

#include "tsdb/chunks/sample_reader.h"
#include "util/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;
  using namespace narthex::tsdb;
  if (size == 0) return 0;
  const auto encoding = static_cast<ChunkEncoding>(data[0] % 8);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const TimeRange all = {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  storage::SampleColumns columns;
  const bool ok = DecodeChunk(encoding, bytes, all, {}, &columns).ok();
  if (ok) {
    NARTHEX_CHECK(columns.size() == ChunkSampleCount(encoding, bytes));
  } else {
    NARTHEX_CHECK(columns.empty() && columns.histograms.empty());
  }
  ChunkSampleReader reader(encoding, bytes);
  AnySample sample;
  size_t count = 0;
  while (reader.Next(&sample)) ++count;
  NARTHEX_CHECK(reader.status().ok() == ok);
  if (ok) NARTHEX_CHECK(count == columns.size());
  return 0;
}
