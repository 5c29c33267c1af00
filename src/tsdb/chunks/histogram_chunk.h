// Histogram chunks: integer and float, with and without start timestamps (encodings 2, 3, 5, 6).
//
//   plain:  [count u16 BE][flags: 2 bits counter reset, 6 unused][layout][sample]...
//   ST:     [2 bits counter reset, 14 bits count][st header][layout][sample ([varbit st])]...
//
// All samples of a chunk share one bucket layout. A sample with buckets that the chunk does not
// know makes the whole chunk be written anew with the wider layout ("recode"); a counter reset or a
// change of schema starts a new chunk, so that within a chunk of counters no reset ever happens.
//
// HistogramChunkAppender is the writing side; HistogramChunkReader walks the samples and is what
// DecodeChunk and the compactor use. Byte diagram: docs/formats/chunks.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/histogram.h"
#include "tsdb/chunks/bit_stream.h"
#include "tsdb/chunks/chunk.h"
#include "tsdb/chunks/histogram_layout.h"
#include "tsdb/chunks/varbit.h"
#include "util/status.h"

namespace narthex::tsdb {

inline constexpr size_t kHistogramHeaderBytes = 3;
inline constexpr uint32_t kHistogramStSamplesMax = 0x3fff;

// The two bits in the chunk's header.
enum class CounterResetHeader : uint8_t {
  kUnknown = 0b00,
  kNotReset = 0b01,
  kReset = 0b10,
  kGauge = 0b11,
};
CounterResetHeader CounterResetHeaderOf(ChunkEncoding encoding, std::string_view bytes);

// Start timestamps behind the samples of ST chunks; the same rule as XOR2.
struct StartTimestampState {
  int64_t start_ms = 0;
  int64_t diff = 0;
  uint8_t header = 0;
};

class HistogramChunkReader {
 public:
  // `bytes` outlive the reader.
  HistogramChunkReader(ChunkEncoding encoding, std::string_view bytes,
                       uint32_t sample_count = kCountFromHeader);

  // Moves to the next sample. False at the end and on an error, which status() tells.
  bool Next();
  const Status& status() const { return status_; }

  int64_t timestamp_ms() const { return static_cast<int64_t>(t_); }
  int64_t start_ms() const { return start_.start_ms; }
  uint32_t sample_count() const { return total_; }
  uint32_t position() const { return read_; }  // Samples read so far.
  bool is_stale() const;

  // The current sample. Only of integer chunks / of any chunk. Schemas above 8 are reduced unless
  // `raw`.
  void Get(Histogram* histogram, bool raw = false) const;
  void Get(FloatHistogram* histogram, bool raw = false) const;
  // Count, sum, schema, zero bucket and hint; no buckets.
  void GetStats(FloatHistogram* histogram) const;

 private:
  bool Fail(Status status);
  bool ReadFirst();
  bool ReadNext();
  void ReadStart(uint64_t previous_t);
  CounterResetHint Hint() const;

  ChunkEncoding encoding_;
  bool is_float_;
  BitReader reader_;
  uint32_t total_ = 0;
  uint32_t read_ = 0;
  CounterResetHeader header_ = CounterResetHeader::kUnknown;
  HistogramLayout layout_;
  uint64_t t_ = 0;
  uint64_t t_delta_ = 0;
  StartTimestampState start_;
  XorWindow sum_;
  // Integer chunks: counts with their last deltas, buckets as deltas to the bucket before.
  uint64_t count_ = 0, count_delta_ = 0;
  uint64_t zero_count_ = 0, zero_count_delta_ = 0;
  std::vector<int64_t> positive_, positive_delta_, negative_, negative_delta_;
  // Float chunks.
  XorWindow float_count_, float_zero_count_;
  std::vector<XorWindow> float_positive_, float_negative_;
  Status status_;
};

Status DecodeHistograms(ChunkEncoding encoding, std::string_view bytes, TimeRange range,
                        const DecodeOptions& options, storage::SampleColumns* out);

enum class AppendMode : uint8_t {
  kCutOrRecode,  // What does not fit starts a new chunk or rewrites this one.
  kAppendOnly,   // What does not fit is an error (the sample came from one chunk, so it must fit).
};

enum class HistogramAppendKind : uint8_t { kAppended, kRecoded, kNewChunk };

// H is Histogram or FloatHistogram.
template <typename H>
class HistogramChunkAppender {
 public:
  struct Outcome {
    HistogramAppendKind kind = HistogramAppendKind::kAppended;
    // kNewChunk: the chunk that the sample went into; this one is complete.
    std::unique_ptr<HistogramChunkAppender> next;
  };

  // kHistogram or kHistogramSt, or the float pair.
  explicit HistogramChunkAppender(ChunkEncoding encoding);

  // Appends one sample. `previous` (may be null) is the appender of the chunk before this one, of
  // the same kind of value: the first sample of a chunk is compared with it to tell a counter
  // reset. The bytes() of before are replaced on kRecoded.
  Result<Outcome> Append(const HistogramChunkAppender* previous, int64_t start_ms,
                         int64_t timestamp_ms, const H& histogram,
                         AppendMode mode = AppendMode::kCutOrRecode);

  ChunkEncoding encoding() const { return encoding_; }
  // A complete chunk at any time. Views hold until the next append.
  std::string_view bytes() const { return writer_.bytes(); }
  uint32_t sample_count() const { return count_; }
  int64_t last_ms() const { return static_cast<int64_t>(t_); }
  CounterResetHeader header() const { return header_; }

 private:
  using Count = std::conditional_t<std::is_same_v<H, Histogram>, int64_t, double>;
  struct Verdict;

  Verdict JudgeCounter(const H& histogram) const;
  Verdict JudgeGauge(const H& histogram) const;
  bool SameShape(const H& histogram) const;
  std::vector<Count> Counts(bool positive) const;
  void Write(int64_t start_ms, int64_t timestamp_ms, const H& histogram);
  void WriteFirst(int64_t timestamp_ms, const H& histogram);
  void WriteNext(int64_t timestamp_ms, const H& histogram);
  void WriteStart(uint64_t previous_t, int64_t timestamp_ms, int64_t start_ms);
  void WriteHeader();
  Status Recode(const std::vector<Span>& positive, const std::vector<Span>& negative);
  std::unique_ptr<HistogramChunkAppender> Fresh(CounterResetHeader header, int64_t start_ms,
                                                int64_t timestamp_ms, const H& histogram) const;

  ChunkEncoding encoding_;
  CounterResetHeader header_ = CounterResetHeader::kUnknown;
  uint32_t count_ = 0;
  BitWriter writer_;
  HistogramLayout layout_;
  uint64_t t_ = 0;
  uint64_t t_delta_ = 0;
  StartTimestampState start_;
  XorWindow sum_;
  // Integers: plain numbers in `bits`. Floats: xor windows.
  XorWindow count_value_, zero_count_value_;
  uint64_t count_delta_ = 0, zero_count_delta_ = 0;
  std::vector<int64_t> positive_, positive_delta_, negative_, negative_delta_;
  std::vector<XorWindow> float_positive_, float_negative_;
};

using IntHistogramAppender = HistogramChunkAppender<Histogram>;
using FloatHistogramAppender = HistogramChunkAppender<FloatHistogram>;

extern template class HistogramChunkAppender<Histogram>;
extern template class HistogramChunkAppender<FloatHistogram>;

}  // namespace narthex::tsdb
