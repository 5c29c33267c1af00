// Any bytes as a record of a chunk snapshot: an error or entries; what was decoded encodes to what
// decodes again.
#include <cstdint>
#include <string_view>

#include "tsdb/head/chunk_snapshot.h"
#include "tsdb/wal/records.h"
#include "util/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;
  using namespace narthex::tsdb;
  const std::string_view record(reinterpret_cast<const char*>(data), size);
  SnapshotSeries series;
  if (DecodeSnapshotSeries(record, &series).ok()) {
    (void)DecodeWalLabels(series.labels);
    std::string again;
    EncodeSnapshotSeries(series, &again);
    SnapshotSeries decoded;
    NARTHEX_CHECK(DecodeSnapshotSeries(again, &decoded).ok());
    NARTHEX_CHECK(decoded.ref == series.ref);
    NARTHEX_CHECK(decoded.labels == series.labels);
    NARTHEX_CHECK(decoded.encoding == series.encoding);
    if (series.encoding != ChunkEncoding::kNone) NARTHEX_CHECK(decoded.chunk == series.chunk);
  }
  std::vector<SnapshotTombstone> stones;
  if (DecodeSnapshotTombstones(record, &stones).ok()) {
    std::string again;
    EncodeSnapshotTombstones(stones, &again);
    std::vector<SnapshotTombstone> decoded;
    NARTHEX_CHECK(DecodeSnapshotTombstones(again, &decoded).ok());
    NARTHEX_CHECK(decoded.size() == stones.size());
  }
  return 0;
}
