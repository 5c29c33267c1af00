// Chunks sample by sample, for whoever writes them anew: vertical compaction, tombstones, dumps.
// Queries use DecodeChunk, which is faster and gives float histograms only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "model/histogram.h"
#include "storage/storage.h"
#include "tsdb/chunks/chunk.h"
#include "tsdb/chunks/histogram_chunk.h"
#include "tsdb/chunks/xor.h"
#include "tsdb/chunks/xor2.h"
#include "util/status.h"

namespace narthex::tsdb {

// One sample of any kind; only the member that `kind` names is meaningful.
struct AnySample {
  int64_t timestamp_ms = 0;
  int64_t start_ms = 0;
  ValueKind kind = ValueKind::kNone;
  double value = 0;
  Histogram histogram;
  FloatHistogram float_histogram;
};

class ChunkSampleReader {
 public:
  // `bytes` outlive the reader.
  ChunkSampleReader(ChunkEncoding encoding, std::string_view bytes);

  // False at the end and on an error, which status() tells.
  bool Next(AnySample* sample);
  const Status& status() const { return status_; }

 private:
  ValueKind kind_;
  Status status_;
  storage::SampleColumns floats_;
  size_t next_float_ = 0;
  std::optional<HistogramChunkReader> histograms_;
};

// A float chunk of either encoding that grows on its own memory.
class FloatChunkEncoder {
 public:
  explicit FloatChunkEncoder(ChunkEncoding encoding);  // kXor or kXor2

  // At most kChunkSamplesMax times. XOR loses the start timestamp.
  void Append(int64_t start_ms, int64_t timestamp_ms, double value);
  ChunkEncoding encoding() const { return encoding_; }
  uint32_t sample_count() const;
  size_t size_bytes() const;
  // The finished chunk.
  std::string Bytes();

 private:
  ChunkEncoding encoding_;
  XorState xor_;
  Xor2State xor2_;
  std::string buffer_;
};

}  // namespace narthex::tsdb
